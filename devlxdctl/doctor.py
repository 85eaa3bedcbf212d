"""Why it does not work in this guest: a look at all that has to hold, from the machine to the token."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

from devlxdctl.client import Client
from devlxdctl.errors import (
    DevLXDError,
    ExitStatus,
    NotFound,
    NotPermitted,
    NotSupported,
    UnexpectedAnswer,
    Unreachable,
)
from devlxdctl.exchange import Question
from devlxdctl.guestsigns import guest_signs
from devlxdctl.hints import hint, words_for
from devlxdctl.session import HostSession
from devlxdctl.sockets import SOCKETS, socket_path
from devlxdctl.tokens import Token, usable_token

CHECKS: Final = (
    *("guest", "directory", "socket", "permission", "user", "connection", "answer", "api", "instance"),
    *("config", "keys", "devices", "events", "images", "pro", "ready", "token"),
)
"""The names of all checks, in their order: what a later one needs, an earlier one looks at."""

_SLOW: Final = 1.0
_NO_IMAGE: Final = f"/1.0/images/{'0' * 64}/export"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and what to do about it where it does not hold.

    `skip` is what could not be looked at, or what the host does not offer. `exit_status` is what it makes the
    program end with: OK but for a failed check that is essential.
    """

    check: str
    status: Literal["ok", "fail", "skip"]
    detail: str
    fix: str | None = None
    exit_status: ExitStatus = ExitStatus.OK


class _Stop(Exception):
    """Nothing further can be looked at."""


def examine(
    socket: str | os.PathLike[str] | None = None, wait: float | None = None, token: Token = None
) -> list[Check]:
    """Looks at everything in `CHECKS`, changes nothing, and raises no `DevLXDError`.

    The arguments are those of `Client`. A daemon that restarts is waited for, as everywhere.
    """
    return _Examination(socket, wait, token).checks()


class _Examination:
    def __init__(self, given: str | os.PathLike[str] | None, wait: float | None, token: Token = None) -> None:
        self._given = given
        self._wait = wait
        self._found: dict[str, Check] = {}
        self._path = ""
        self._signs = guest_signs()
        self._token: str | None = None
        self._token_error: DevLXDError | None = None
        try:
            self._token = usable_token(token)
        except DevLXDError as error:
            self._token_error = error

    def checks(self) -> list[Check]:
        with contextlib.suppress(_Stop):
            self._reach()
            self._look()
        return [self._found.get(name) or Check(name, "skip", "not reached") for name in CHECKS]

    def _ok(self, name: str, detail: str) -> None:
        self._found[name] = Check(name, "ok", detail)

    def _skip(self, name: str, detail: str, fix: str | None = None) -> None:
        self._found[name] = Check(name, "skip", detail, fix)

    def _fail(self, name: str, detail: str, fix: str | None, status: ExitStatus = ExitStatus.OK) -> None:
        self._found[name] = Check(name, "fail", detail, fix, status)

    def _stop(self, name: str, detail: str, error: DevLXDError, fix: str | None = None) -> NoReturn:
        self._fail(name, detail, fix or error.hint, error.exit_status)
        raise _Stop

    def _reach(self) -> None:
        """From the machine to the first answer."""
        start = time.monotonic()
        error = self._ask_first()
        after = time.monotonic() - start
        self._guest(error)
        if error is not None and not self._path:
            self._stop("socket", error.why, error)
        self._files(error)
        self._user(error)
        if error is not None and error.http_status is None and not isinstance(error, UnexpectedAnswer):
            origin = error.__cause__ if isinstance(error.__cause__, Unreachable) else error
            silent = isinstance(origin, Unreachable) and not origin.passing
            self._stop("connection", error.why, error, None if silent else self._lost())
        self._ok("connection", "it accepts connections")
        if error is not None:
            self._stop("answer", error.why, error)
        late = f" after {after:.0f} s: its daemon was restarting" if after > _SLOW else ""
        self._ok("answer", f"the host answers{late}")

    def _ask_first(self) -> DevLXDError | None:
        """Asks for the versions, which waits for a daemon that restarts. A bad token is put aside."""
        try:
            self._path = socket_path(self._given)
            self._session = HostSession(self._given, self._wait, self._token)
            try:
                self._versions = self._session.get_json("/", "versions", list)
            except NotPermitted as error:
                if self._token is None or error.http_status != 403:
                    raise
                self._session = HostSession(self._given, self._wait)
                self._versions = self._session.get_json("/", "versions", list)
                self._token, self._token_error = None, error
        except DevLXDError as error:
            return error
        finally:
            with contextlib.suppress(DevLXDError):
                self._path = socket_path(self._given)
        return None

    def _guest(self, error: DevLXDError | None) -> None:
        if self._signs:
            self._ok("guest", ", ".join(map(str, self._signs)))
        elif error is None or self._path not in SOCKETS or os.path.exists(self._path):
            self._skip("guest", "nothing says that this is a guest of LXD or Incus, yet there is a socket")
        else:
            fix = "run it in an instance, or in a simulated one: devlxd-simulator run -- devlxdctl doctor"
            why = "nothing says that this is a guest of LXD or Incus: no virtio port, no DMI, no container"
            self._stop("guest", why, error, fix)

    def _files(self, error: DevLXDError | None) -> None:
        """What the file system says. `error` has the status, since waiting for a socket is its business."""
        words = words_for(self._path)
        directory = os.path.dirname(self._path) or "."
        if error is not None and not os.path.isdir(directory):
            fix = f"the devLXD API is switched off; on the host: {words['client']} config set INSTANCE "
            fix += f"{words['switch']}=true"
            if isinstance(error, Unreachable):  # a virtual machine, whose agent makes it
                fix = error.hint or fix
            elif self._path not in SOCKETS:
                fix = "name the right one: --socket, or DEVLXD_SOCKET"
            self._stop("directory", f"{directory} is not there", error, fix)
        self._ok("directory", directory)
        try:
            facts = os.stat(self._path)
        except OSError as failure:
            if error is None:  # it went away just now
                return
            gone = isinstance(failure, FileNotFoundError)
            why = error.why if gone else (failure.strerror or "cannot be looked at").lower()
            self._stop("socket", f"{self._path}: {why}", error, self._lost())
        if not stat.S_ISSOCK(facts.st_mode) and error is not None:
            self._stop("socket", f"{self._path} is no socket", error)
        self._ok("socket", f"{self._path}, mode {stat.S_IMODE(facts.st_mode):04o}, of uid {facts.st_uid}")
        if os.access(self._path, os.R_OK | os.W_OK, effective_ids=True):
            self._ok("permission", "this user may read and write it")
        elif error is not None:
            self._stop("permission", "this user may not read and write it", error)

    def _user(self, error: DevLXDError | None) -> None:
        uid = os.geteuid()
        if error is not None and error.http_status == 401:
            self._fail("user", f"uid {uid}: the host answers root only", error.hint, error.exit_status)
        elif uid == 0:
            self._ok("user", "root")
        elif error is None:
            self._ok("user", f"uid {uid}, which this host answers")
        else:
            self._skip("user", f"uid {uid}; most hosts answer root only")

    def _lost(self) -> str | None:
        """The fix for a socket that is gone or dead, where it is the host's."""
        client = words_for(self._path)["client"]
        if self._path not in SOCKETS or any(sign.kind == "virtual machine" for sign in self._signs):
            return None
        return (
            f"on the host: {client} info. Where that answers, the socket was lost when the host was "
            f"upgraded: {client} restart INSTANCE"
        )

    def _look(self) -> None:
        """What the host offers, once it answers."""
        session, path = self._session, self._path
        if "/1.0" not in self._versions:
            no_version = NotSupported("/", f"no 1.0 among {self._versions}")
            self._stop("api", no_version.why, no_version, hint(path, "versions", 404))
        client = Client(self._given, self._wait, self._token)
        with contextlib.closing(session), client:
            state = self._try("instance", lambda: session.get_json("/1.0", "state", dict))
            self._state(state)
            keys = self._try("config", client.config_keys)
            if keys is not None:
                self._ok("config", _count(len(keys), "key"))
                self._keys(client, keys)
            devices = self._try("devices", client.devices)
            if devices is not None:
                self._ok("devices", _count(len(devices), "device"))
            if self._try("events", lambda: _connects(session)):
                self._ok("events", "a websocket connects")
            self._images(session)
            self._pro(client)

    def _try(self, name: str, ask: Callable[[], Any]) -> Any:
        """What `ask` returns, or None and a failed check."""
        try:
            return ask()
        except DevLXDError as error:
            self._fail(name, error.why, error.hint, error.exit_status)
        return None

    def _state(self, state: dict[str, Any] | None) -> None:
        if state is None:
            self._skip("api", "/1.0")
            return
        words = words_for(self._path)
        # As measured: only LXD 6 tells `auth`, only LXD 5.0 no state.
        generation = " 6" if "auth" in state else "" if state.get("state") else " 5.0"
        self._ok("api", f"{words['product']}{generation}, /1.0")
        self._ok("instance", f"{state.get('instance_type')} on {state.get('location')}")
        if state.get("state"):
            self._ok("ready", f"supported, and the instance is {state['state']}")
        else:
            self._skip("ready", "this host knows no readiness")
        auth = state.get("auth")
        issue = "on the host: lxc auth identity token issue devlxd/NAME"
        if self._token_error is not None:
            fix = issue if self._token_error.http_status == 403 else None
            self._fail("token", self._token_error.why, fix, self._token_error.exit_status)
        elif not self._token:
            self._skip("token", "none was given" if auth else "this host takes none")
        elif auth == "trusted":
            self._ok("token", "the host trusts it")
        elif auth:
            why = "the host does not know it, and ignores it"
            self._fail("token", why, issue, ExitStatus.NOT_PERMITTED)
        else:
            self._skip("token", "this host takes none, and ignores it")

    def _keys(self, client: Client, keys: list[str]) -> None:
        unreadable: dict[str, DevLXDError] = {}
        for key in keys:
            try:
                client.config_value(key)
            except NotFound:  # unset since it was listed
                continue
            except DevLXDError as error:
                unreadable[key] = error
        if not unreadable:
            self._ok("keys", "all of them can be read here")
            return
        first = next(iter(unreadable.values()))
        rename = "on the host: give them names without % and /"
        fix = rename if isinstance(first, NotSupported) else first.hint
        self._fail("keys", f"{', '.join(unreadable)}: {first.why}", fix)

    def _images(self, session: HostSession) -> None:
        words = words_for(self._path)
        question = Question("GET", _NO_IMAGE, "query", expected=(403, 404))
        try:
            answer = session.ask(question)
        except DevLXDError as error:
            self._fail("images", error.why, error.hint)
            return
        if answer.status == 403:
            fix = f"on the host: {words['client']} config set INSTANCE {words['switch']}.images=true"
            self._skip("images", "their export is switched off", fix)
        elif answer.media_type == "application/json":
            self._ok("images", "public ones can be exported")
        else:
            self._skip("images", "this host exports none")

    def _pro(self, client: Client) -> None:
        try:
            setting = client.pro_settings().get("guest_attach")
        except NotSupported:
            self._skip("pro", "this host does not offer it")
        except DevLXDError as error:
            self._fail("pro", error.why, error.hint)
        else:
            if setting == "off":
                self._skip("pro", "guest_attach is off", hint(self._path, "pro-token", 403))
            else:
                self._ok("pro", f"guest_attach is {setting}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _connects(session: HostSession) -> bool:
    """Opens the stream of events, and closes it. Raises what keeps it from that."""
    from devlxdctl.events import TYPES, Events, Queue

    with Events(session, TYPES, Queue()):
        return True
