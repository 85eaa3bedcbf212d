"""The client: a method per endpoint of the devLXD API."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast
from urllib.parse import quote

from devlxdctl.errors import InvalidRequest, NotFound, NotSupported, UnexpectedAnswer
from devlxdctl.exchange import Answer, Question
from devlxdctl.hints import hint
from devlxdctl.log import log
from devlxdctl.models import Device, ProSettings, ProToken, State
from devlxdctl.session import CONNECTIONS, HostSession
from devlxdctl.tokens import Token

if TYPE_CHECKING:
    from devlxdctl.images import Export, Output, Progress
    from devlxdctl.query import Query, Reply

_T = TypeVar("_T")
_KEYS: Final = "/1.0/config/"
_READ_TWICE: Final = "in a virtual machine, keys with % or / cannot be read"
_PRO_SILENCE: Final = 90.0  # the host asks Canonical's servers
_READY_PAUSES: Final = (0.2, 0.5, 1.0, 2.0)


class Client:
    """The devLXD API of the host that this guest runs on.

    `socket` is its path; by default `$DEVLXD_SOCKET`, else `/dev/lxd/sock` or `/dev/incus/sock`. `wait` is
    the number of seconds to keep trying while the host gives no answer, a missing socket included, counted
    from the first question; None bears a restart of the host for ten seconds. `token` is a bearer token, or a
    function that returns it, called for each request.

    Does no I/O until asked something. Every method raises a `DevLXDError`. Values of config keys are text
    decoded from UTF-8 with `surrogateescape`: encoding them likewise gives the host's bytes back.
    """

    def __init__(
        self, socket: str | os.PathLike[str] | None = None, wait: float | None = None, token: Token = None
    ) -> None:
        self.session = HostSession(socket, wait, token)
        self._has_token = token is not None
        self._distrusted = False
        self._instance_type: str | None = None
        self._warned: set[str] = set()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. The client can be used again, and connects anew."""
        self.session.close()

    def versions(self) -> list[str]:
        """The versions of the API that the host offers, as paths: `["/1.0"]`."""
        return self._strings("/", "versions")

    def state(self) -> State:
        """The instance as the host sees it: state, type, location.

        Warns in the log `devlxdctl`, once, when the host does not trust the token: one that is not its own it
        ignores in silence.
        """
        state = cast(State, self.session.get_json("/1.0", "state", dict))
        self._instance_type = state.get("instance_type", "")
        distrusted = self._has_token and state.get("auth") == "untrusted"
        if distrusted and not self._distrusted:
            log.warning("the host does not trust the bearer token that was given")
        self._distrusted = distrusted
        return state

    def is_ready(self) -> bool:
        """Whether the host counts the instance as Ready. Raises `NotSupported` where hosts know none."""
        state = self.state().get("state")
        if not state:
            raise self._ready_ignored("this host knows no readiness")
        return state == "Ready"

    def set_ready(self, ready: bool = True) -> None:
        """Tells the host that the instance is Ready, or is not any more, and looks whether that took effect.

        Raises `NotSupported` if it did not: LXD 5.0 answers 200 with the state, and changes nothing. One look
        that disagrees is no proof: a restart of the host's daemon forgets Ready a moment after it is back.
        """
        wanted = "Ready" if ready else "Started"
        for pause in (*_READY_PAUSES, None):
            body = b'{"state":"%s"}' % wanted.encode()
            answer = self.session.ask(Question("PATCH", "/1.0", "ready", body))
            if answer.body:
                self.session.parse(answer, "/1.0")
                raise self._ready_ignored("this host ignores it")
            if self.is_ready() is ready:
                return
            if pause is not None:
                time.sleep(pause)
        raise self._ready_ignored(f"the host took {wanted}, and the state did not change")

    def config_keys(self, patterns: Sequence[str] = ()) -> list[str]:
        """The config keys of the instance, `user.*` and `cloud-init.*`, sorted.

        With `patterns`, those that match one of them, as a shell's glob matches the whole key.
        """
        entries = self._strings("/1.0/config", "config")
        if not all(entry.startswith(_KEYS) and _is_sendable(entry) for entry in entries):
            raise UnexpectedAnswer("/1.0/config", "the answer is no list of config keys", http_status=200)
        keys = sorted({entry.removeprefix(_KEYS) for entry in entries})
        return [key for key in keys if matches(key, patterns)] if patterns else keys

    def config_value(self, key: str) -> str:
        """The value of one config key. Raises `NotFound` where it is not set."""
        if key in ("", ".", "..") or not _is_sendable(key):
            raise InvalidRequest(f"config key {key!r}", "no key has this name")
        if self._is_read_twice(key):
            raise NotSupported(key, _READ_TWICE)
        path = _KEYS + quote(key, safe="", errors="surrogateescape")
        return _text(self.session.ask(Question("GET", path, "key", key=key)), key)

    def config_values(self, keys: Iterable[str], default: str | None = None) -> dict[str, str]:
        """The values of `keys`, in that order, `default` for one that is not set: read several at a time.

        Without a default, raises `NotFound` with the names of all that are not set.
        """
        found = self._read(keys)
        missing = [key for key, value in found.items() if value is None]
        if missing and default is None:
            advice = hint(self.session.socket, "key", 404, key=missing[0])
            raise NotFound(", ".join(missing), "not set on this instance", hint=advice, http_status=404)
        return {key: default or "" if value is None else value for key, value in found.items()}

    def config(self, patterns: Sequence[str] = ()) -> dict[str, str]:
        """The config keys of the instance, sorted, with their values.

        A key that is unset before it is read is left out. So is one that cannot be read here, with a warning
        in the log `devlxdctl`.
        """
        return self.config_found(self.config_keys(patterns))

    def config_found(self, keys: Iterable[str]) -> dict[str, str]:
        """The values of those of `keys` that are set, in that order; others are left out as `config` does."""
        readable = []
        for key in keys:
            if not self._is_read_twice(key):
                readable.append(key)
            elif key not in self._warned:
                self._warned.add(key)
                log.warning("%s: %s", key, _READ_TWICE)
        return {key: value for key, value in self._read(readable).items() if value is not None}

    def _read(self, keys: Iterable[str]) -> dict[str, str | None]:
        def read(key: str) -> str | None:
            try:
                return self.config_value(key)
            except NotFound:
                return None

        keys = list(dict.fromkeys(keys))
        return dict(zip(keys, _map(read, keys), strict=True))

    def devices(self) -> dict[str, Device]:
        """The devices of the instance by name, those of its profiles included, in the host's order."""
        devices = self.session.get_json("/1.0/devices", "devices", dict)
        if not all(isinstance(device, dict) for device in devices.values()):
            raise UnexpectedAnswer("/1.0/devices", "the answer is no map of devices", http_status=200)
        return cast("dict[str, Device]", devices)

    def metadata(self) -> str:
        """The instance's meta-data for cloud-init, a YAML document as the host wrote it.

        Decoded as the values of config keys are.
        """
        path = "/1.0/meta-data"
        return _text(self.session.ask(Question("GET", path, "metadata")), path)

    def pro_settings(self) -> ProSettings:
        """Whether this guest may be attached to the Ubuntu Pro of its host."""
        return cast(ProSettings, self.session.get_json("/1.0/ubuntu-pro", "pro", dict))

    def pro_token(self) -> ProToken:
        """A token to attach this guest to Ubuntu Pro with: each call makes the host issue one.

        Asked for once, and not again where the question may have arrived. The host gets it from elsewhere and
        may be silent for 90 seconds. Raises `NotPermitted` where attaching is not offered to this guest.
        """
        path = "/1.0/ubuntu-pro/token"
        question = Question("POST", path, "pro-token", silence=_PRO_SILENCE, repeatable=False)
        token = cast(ProToken, self.session.ask_json(question, dict))
        secret = token.get("guest_token")
        if not isinstance(secret, str) or not secret:
            raise UnexpectedAnswer(path, "the answer holds no token", http_status=200)
        return token

    def query(self, query: Query) -> Reply:
        """Sends any request as it is: the way to what has no method here. No status is an error."""
        from devlxdctl.query import send

        return send(self.session, query)

    def image_export(
        self,
        fingerprint: str,
        output: Output = "",
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Export:
        """Fetches an image of the host and verifies it: its SHA-256 is its fingerprint, 64 hex digits.

        `output` is a directory that exists, "" being the one at hand, where files take the host's names for
        them; or the path of the file that a unified image becomes; or a binary stream for such an image,
        which has the bytes before they are verified. Files appear when they are verified, in place of others
        only with `overwrite`. `progress` is called for each piece with the bytes so far, and of how many,
        None where the host does not say.

        A unified image is continued where its connection is lost; a split one cannot be. Raises
        `InvalidRequest` for half a fingerprint, and for a split image that is to be one file; `NotPermitted`
        where the guest may not have images; `NotFound` for one that is absent or private; `BadData` for a
        wrong digest, a name that is taken, a full disk; `Unreachable` when the connection is lost for good.
        """
        from devlxdctl.images import export

        return export(self.session, fingerprint, output, overwrite, progress)

    def _strings(self, path: str, endpoint: Literal["versions", "config"]) -> list[str]:
        entries = self.session.get_json(path, endpoint, list)
        if not all(isinstance(entry, str) for entry in entries):
            raise UnexpectedAnswer(path, "the answer is no list of strings", http_status=200)
        return cast("list[str]", entries)

    def _ready_ignored(self, why: str) -> NotSupported:
        return NotSupported("ready", why, hint=hint(self.session.socket, "ready", "ignored"))

    def _is_read_twice(self, key: str) -> bool:
        """Whether an agent stands between, which decodes the key once more than it was encoded.

        It would answer with nothing, or with the value of another key.
        """
        if "%" not in key and "/" not in key:
            return False
        if self._instance_type is None:
            self.state()
        return self._instance_type == "virtual-machine"


def _text(answer: Answer, what: str) -> str:
    """The value that the host sent. Raises `UnexpectedAnswer` for what is none."""
    if answer.media_type != "application/octet-stream":
        kind = answer.media_type or "of no type"
        raise UnexpectedAnswer(what, f"the answer is {kind}, and no value", http_status=200)
    return answer.body.decode("utf-8", "surrogateescape")


def _is_sendable(key: str) -> bool:
    """Whether a key can be asked for: JSON can hold characters that no encoding has."""
    try:
        key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def matches(key: str, patterns: Sequence[str]) -> bool:
    """Whether a key matches one of the patterns, each a shell's glob over the whole key."""
    from fnmatch import fnmatchcase

    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _map(function: Callable[[str], _T], items: list[str]) -> list[_T]:
    """`function` of each of `items`, in order, over all the connections of the session.

    Raises the first error, without waiting for what is still being read.
    """
    if len(items) < 2:
        return [function(item) for item in items]
    # A queue and threads: an executor's futures take a tenth of what a request does, and its import is slow.
    from collections import deque
    from queue import SimpleQueue
    from threading import Thread

    left = deque(enumerate(items))
    results: dict[int, _T] = {}
    ends: SimpleQueue[BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            while True:
                try:
                    number, item = left.popleft()
                except IndexError:
                    break
                results[number] = function(item)
            ends.put(None)
        except BaseException as error:  # it is the caller's
            ends.put(error)

    threads = min(CONNECTIONS, len(items))
    try:
        for _ in range(threads):
            Thread(target=work, name="devlxd-read", daemon=True).start()
        for _ in range(threads):
            if (error := ends.get()) is not None:
                raise error
    finally:
        left.clear()
    return [results[number] for number in range(len(items))]
