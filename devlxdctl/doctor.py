"""A diagnosis of what keeps the devLXD API from working in this guest, from the machine to the token."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

from devlxdctl.config.keys import KeyReader
from devlxdctl.errors import (
    DevLXDError,
    ExitStatus,
    HostUnavailable,
    NotFound,
    NotSupported,
    PermissionDenied,
    UnexpectedResponse,
    os_reason,
)
from devlxdctl.guest import SOCKETS, find_product, find_socket, guest_signs
from devlxdctl.http.endpoints import DEVICES, IMAGE, PRO, PRO_TOKEN, RAW, STATE, VERSIONS, Cause, hint
from devlxdctl.http.messages import Request
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session
from devlxdctl.http.tokens import Token, resolve_token
from devlxdctl.models import EVENT_TYPES

__all__ = ["Check"]

CHECKS: Final = (
    *("guest", "directory", "socket", "permission", "user", "connection", "answer", "api", "instance"),
    *("config", "keys", "devices", "events", "images", "pro", "ready", "token"),
)
"""The names of all checks, in their order: a later check needs the earlier ones."""

_SLOW: Final = 1.0  # seconds
_NO_IMAGE: Final = f"/1.0/images/{'0' * 64}/export"


@dataclass(frozen=True)
class Check:
    """The result of one check.

    * `status`: `skip` for what could not be checked, or what the host does not offer.
    * `detail`: what was found.
    * `fix`: what to do about it, None without advice.
    * `exit_status`: the exit status that the check causes: OK, unless an essential check failed.
    """

    check: str
    status: Literal["ok", "fail", "skip"]
    detail: str
    fix: str | None = None
    exit_status: ExitStatus = ExitStatus.OK


class _Stop(Exception):
    """No further check can be made."""


def diagnose(
    socket: str | os.PathLike[str] | None, *, timeout: float, wait: float | None, token: Token
) -> list[Check]:
    """See `Client.diagnose`. The arguments are those of `Client`."""
    return _Diagnosis(socket, timeout, wait, token).checks()


class _Diagnosis:
    def __init__(
        self, given: str | os.PathLike[str] | None, timeout: float, wait: float | None, token: Token
    ) -> None:
        self._given = given
        self._timeout = timeout
        self._wait = wait
        self._results: dict[str, Check] = {}
        self._path = ""
        self._retries = 0
        self._signs = guest_signs()
        self._token: str | None = None
        self._token_error: DevLXDError | None = None
        try:
            self._token = resolve_token(token)
        except DevLXDError as error:
            self._token_error = error

    def checks(self) -> list[Check]:
        with contextlib.suppress(_Stop):
            self._check_connection()
            self._check_api()
        return [self._results.get(name) or Check(name, "skip", "not reached") for name in CHECKS]

    def _ok(self, name: str, detail: str) -> None:
        self._results[name] = Check(name, "ok", detail)

    def _skip(self, name: str, detail: str, fix: str | None = None) -> None:
        self._results[name] = Check(name, "skip", detail, fix)

    def _fail(self, name: str, detail: str, fix: str | None, status: ExitStatus = ExitStatus.OK) -> None:
        self._results[name] = Check(name, "fail", detail, fix, status)

    def _stop(self, name: str, detail: str, error: DevLXDError, fix: str | None = None) -> NoReturn:
        self._fail(name, detail, fix or error.hint, error.exit_status)
        raise _Stop

    def _retry(self) -> RetryPolicy:
        return RetryPolicy(self._wait)

    def _check_connection(self) -> None:
        """From the guest to the first response."""
        start = time.monotonic()
        error = self._get_versions()
        elapsed = time.monotonic() - start
        self._check_guest(error)
        if error is not None and not self._path:
            self._stop("socket", error.problem, error)
        self._check_files(error)
        self._check_user(error)
        if error is not None and error.http_status is None and not isinstance(error, UnexpectedResponse):
            from devlxdctl.http.error_mapping import is_timeout

            origin = error.__cause__ if isinstance(error.__cause__, DevLXDError) else error
            self._stop(
                "connection", error.problem, error, None if is_timeout(origin) else self._lost_socket()
            )
        self._ok("connection", "accepted")
        if error is not None:
            self._stop("answer", error.problem, error)
        # A slow guest takes as long without a retry.
        restarted = self._retries > 0 and elapsed > _SLOW
        delay = f" after {elapsed:.0f} s: its daemon was restarting" if restarted else ""
        self._ok("answer", f"the host responds{delay}")

    def _get_versions(self) -> DevLXDError | None:
        """Get the versions, with retries while the daemon restarts. A rejected token is set aside."""
        retry = self._retry()
        try:
            self._path = find_socket(self._given)
            self._session = Session(self._given, self._timeout, self._token)
            try:
                self._versions = self._session.get_json(VERSIONS, list, retry)
            except PermissionDenied as error:
                if self._token is None or error.http_status != 403:
                    raise
                self._session = Session(self._given, self._timeout, None)
                self._versions = self._session.get_json(VERSIONS, list, retry)
                self._token, self._token_error = None, error
        except DevLXDError as error:
            return error
        finally:
            self._retries = retry.retries
            with contextlib.suppress(DevLXDError):
                self._path = find_socket(self._given)
        return None

    def _check_guest(self, error: DevLXDError | None) -> None:
        if self._signs:
            self._ok("guest", ", ".join(map(str, self._signs)))
        elif error is None or self._path not in SOCKETS or os.path.exists(self._path):
            self._skip("guest", "no sign of a guest of LXD or Incus, but there is a socket")
        else:
            problem = "no sign of a guest of LXD or Incus: no virtio port, no DMI board, no container"
            self._stop("guest", problem, error, self._hint("not-a-guest"))

    def _check_files(self, error: DevLXDError | None) -> None:
        """Check the directory and the socket. `error` has the exit status, after any wait for a socket."""
        directory = os.path.dirname(self._path) or "."
        if error is not None and not os.path.isdir(directory):
            fix = self._hint("api-off")
            if isinstance(error, HostUnavailable):  # a virtual machine, whose agent creates it
                fix = error.hint or fix
            elif self._path not in SOCKETS:
                fix = self._hint("wrong-socket")
            self._stop("directory", f"{directory} does not exist", error, fix)
        self._ok("directory", directory)
        try:
            status = os.stat(self._path)
        except OSError as failure:
            if error is None:  # removed just now
                return
            is_missing = isinstance(failure, FileNotFoundError)
            problem = error.problem if is_missing else os_reason(failure)
            self._stop("socket", f"{self._path}: {problem}", error, self._lost_socket())
        if not stat.S_ISSOCK(status.st_mode) and error is not None:
            self._stop("socket", f"{self._path} is not a socket", error)
        self._ok("socket", f"{self._path}, mode {stat.S_IMODE(status.st_mode):04o}, uid {status.st_uid}")
        if os.access(self._path, os.R_OK | os.W_OK, effective_ids=True):
            self._ok("permission", "this user can read and write the socket")
        elif error is not None:
            self._stop("permission", "this user cannot read and write the socket", error)

    def _check_user(self, error: DevLXDError | None) -> None:
        uid = os.geteuid()
        if error is not None and error.http_status == 401:
            self._fail("user", f"uid {uid}: the host accepts root only", error.hint, error.exit_status)
        elif uid == 0:
            self._ok("user", "root")
        elif error is None:
            self._ok("user", f"uid {uid}, which this host accepts")
        else:
            self._skip("user", f"uid {uid}; most hosts accept root only")

    def _hint(self, cause: Cause) -> str | None:
        return hint(self._path, STATE, cause)

    def _lost_socket(self) -> str | None:
        """What to do about a socket that is missing or dead, None where the host cannot have lost it."""
        if self._path not in SOCKETS or any(sign.kind == "virtual machine" for sign in self._signs):
            return None
        return self._hint("lost-socket")

    def _check_api(self) -> None:
        """Check what the host offers, once it responds."""
        if "/1.0" not in self._versions:
            no_version = NotSupported("/", f"no version 1.0, the host offers {self._versions}")
            self._stop("api", no_version.problem, no_version, self._session.hint(VERSIONS, 404))
        session = Session(self._given, self._timeout, self._token)
        with contextlib.closing(self._session), contextlib.closing(session):
            state = self._try("instance", lambda: session.get_json(STATE, dict, self._retry()))
            self._check_state(state)
            reader = KeyReader(session, lambda retry: (state or {}).get("instance_type", ""))
            keys = self._try("config", lambda: reader.list_keys(self._retry()))
            if keys is not None:
                self._ok("config", _count(len(keys), "key"))
                self._check_keys(reader, keys)
            devices = self._try("devices", lambda: session.get_json(DEVICES, dict, self._retry()))
            if devices is not None:
                self._ok("devices", _count(len(devices), "device"))
            if self._try("events", lambda: _connects(session, self._retry())):
                self._ok("events", "a websocket connects")
            self._check_images(session)
            self._check_pro(session)

    def _try(self, name: str, read: Callable[[], Any]) -> Any:
        """Return what `read` returns, or None after a failed check."""
        try:
            return read()
        except DevLXDError as error:
            self._fail(name, error.problem, error.hint, error.exit_status)
        return None

    def _check_state(self, state: dict[str, Any] | None) -> None:
        if state is None:
            self._skip("api", "/1.0")
            return
        # As measured: only LXD 6 sends `auth`, only LXD 5.0 an empty state.
        generation = " 6" if "auth" in state else "" if state.get("state") else " 5.0"
        self._ok("api", f"{find_product(self._path)}{generation}, /1.0")
        self._ok("instance", f"{state.get('instance_type')} on {state.get('location')}")
        if state.get("state"):
            self._ok("ready", f"supported; the instance is {state['state']}")
        else:
            self._skip("ready", "not supported by this host")
        auth = state.get("auth")
        rejected = self._hint("token-rejected")
        if self._token_error is not None:
            fix = rejected if self._token_error.http_status == 403 else None
            self._fail("token", self._token_error.problem, fix, self._token_error.exit_status)
        elif not self._token:
            self._skip("token", "no token given" if auth else "not supported by this host")
        elif auth == "trusted":
            self._ok("token", "the host trusts it")
        elif auth:
            problem = "the host does not know it, and ignores it"
            self._fail("token", problem, rejected, ExitStatus.PERMISSION_DENIED)
        else:
            self._skip("token", "not supported by this host, which ignores it")

    def _check_keys(self, reader: KeyReader, keys: list[str]) -> None:
        unreadable: dict[str, DevLXDError] = {}
        for key in keys:
            try:
                reader.read(key, self._retry())
            except NotFound:  # unset since it was listed
                continue
            except DevLXDError as error:
                unreadable[key] = error
        if not unreadable:
            self._ok("keys", "all of them can be read here")
            return
        first = next(iter(unreadable.values()))
        fix = self._hint("unlike-names") if isinstance(first, NotSupported) else first.hint
        self._fail("keys", f"{', '.join(unreadable)}: {first.problem}", fix)

    def _check_images(self, session: Session) -> None:
        request = Request("GET", _NO_IMAGE, RAW, expected=(403, 404))
        try:
            response = session.send(request, self._retry())
        except DevLXDError as error:
            self._fail("images", error.problem, error.hint)
            return
        if response.status == 403:
            self._skip("images", "export is switched off", session.hint(IMAGE, 403))
        elif response.media_type == "application/json":
            self._ok("images", "public and cached images can be exported")
        else:
            self._skip("images", "not supported by this host")

    def _check_pro(self, session: Session) -> None:
        try:
            setting = session.get_json(PRO, dict, self._retry()).get("guest_attach")
        except NotSupported:
            self._skip("pro", "not supported by this host")
        except DevLXDError as error:
            self._fail("pro", error.problem, error.hint)
        else:
            if setting == "off":
                self._skip("pro", "guest_attach is off", hint(self._path, PRO_TOKEN, 403))
            else:
                self._ok("pro", f"guest_attach is {setting}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _connects(session: Session, retry: RetryPolicy) -> bool:
    """Open the stream of events and close it. Raises what prevents that."""
    from devlxdctl.events.stream import EventStream, Queue

    with EventStream(session, EVENT_TYPES, Queue(), retry):
        return True
