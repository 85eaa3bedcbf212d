"""The client: a method for everything that the command line does."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, NoReturn, TypeVar, cast

from devlxdctl.config.keys import KeyReader, text_of
from devlxdctl.config.methods import ConfigMethods
from devlxdctl.errors import InvalidRequest, NotSupported, UnexpectedResponse
from devlxdctl.http import endpoints
from devlxdctl.http.messages import Request
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session
from devlxdctl.http.tokens import Token
from devlxdctl.models import DUMP_PARTS, Device, Dump, ProStatus, ProToken, State
from devlxdctl.volumes.methods import VolumeMethods

if TYPE_CHECKING:
    from devlxdctl.doctor.report import Check
    from devlxdctl.events.stream import EventStream, Item
    from devlxdctl.http.raw import RawResponse
    from devlxdctl.images.export import ExportedImage, Output, Progress

__all__ = ["Client"]

_T = TypeVar("_T")
_log: Final = logging.getLogger(__name__)
_PRO_READ_TIMEOUT: Final = 90.0  # the host asks Canonical's servers for a token


class Client(ConfigMethods, VolumeMethods):
    """A client for the devLXD API of the host that this guest runs on.

    * `socket`: the path of its socket; by default `$DEVLXD_SOCKET`, else `/dev/lxd/sock` or
      `/dev/incus/sock`.
    * `timeout`: seconds to wait for the next bytes of a response.
    * `wait`: seconds for which each call retries while the host is unavailable or the socket is missing;
      `math.inf` for ever. With None, it retries for ten seconds while the host's daemon restarts, and a
      missing socket fails at once.
    * `token`: a bearer token, or a function that returns it, called for each request.

    The constructor does no I/O. Every method can raise a `DevLXDError`; those documented with a method are
    the ones that depend on it. A client can be used from several threads. No call changes what later calls
    do.

    Values of config keys are text, decoded from UTF-8 with `surrogateescape`: encoding them in the same way
    returns the bytes of the host.

    >>> with Client() as client:
    ...     role = client.config_get("user.role", default="web")
    """

    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        *,
        timeout: float = 15.0,
        wait: float | None = None,
        token: Token = None,
    ) -> None:
        self._socket = socket
        self._timeout = timeout
        self._wait = wait
        self._token = token
        self._session = Session(socket, timeout, token)
        self._keys = KeyReader(self._session, self._instance_type)
        self._type: str | None = None
        self._is_untrusted = False

    def __repr__(self) -> str:
        socket = "None" if self._socket is None else repr(os.fspath(self._socket))
        return f"Client(socket={socket}, timeout={self._timeout:g}, wait={self._wait})"

    def __enter__(self) -> Client:
        """Import the HTTP libraries, so that the first request does not have to."""
        self._session.transport()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The client remains usable, and connects again."""
        self._session.close()

    # The instance

    def versions(self) -> list[str]:
        """Return the versions of the API that the host offers, as paths: `["/1.0"]`."""
        versions = self._session.get_json(endpoints.VERSIONS, list, self._retry())
        if not all(isinstance(version, str) for version in versions):
            raise UnexpectedResponse("/", "response is not a list of strings", http_status=200)
        return cast("list[str]", versions)

    def state(self) -> State:
        """Return the instance as the host sees it: its state, type, location.

        Logs a warning once when the host does not trust the bearer token: hosts ignore an unknown one.
        """
        return self._state(self._retry())

    def is_ready(self) -> bool:
        """Whether the host has the instance as Ready. Raises `NotSupported` on hosts without readiness."""
        from devlxdctl.events.readiness import is_ready

        return is_ready(self._session, self._state, self._retry())

    def set_ready(self, ready: bool = True) -> None:
        """Report to the host that the instance is Ready, or not Ready any more, and verify the new state.

        Raises `NotSupported` if the state did not change: LXD 5.0 responds with status 200 and ignores it.
        Raises `HostUnavailable` if the host restarts during each of many attempts.
        """
        from devlxdctl.events.readiness import set_ready

        set_ready(self._session, self._state, ready, self._retry())

    def hold_ready(self, *, interval: float = 10.0) -> NoReturn:
        """Report Ready, and again whenever the host has lost it. Runs until an error.

        A restart of the instance or of the host's daemon loses it, and no event says so. `interval` is the
        number of seconds between two checks. Raises what is wrong at the start. After the first response, the
        host can restart as often as it likes, and be unavailable at any time.
        """
        from devlxdctl.events.readiness import hold_ready

        hold_ready(self._session, self._state, interval, self._retry())

    def metadata(self) -> str:
        """Return the meta-data of the instance for cloud-init: a YAML document as the host wrote it."""
        endpoint = endpoints.METADATA
        response = self._session.send(Request("GET", endpoint.path, endpoint), self._retry())
        return text_of(response, endpoint.path)

    def dump(self, *, only: Collection[str] = DUMP_PARTS) -> Dump:
        """Return everything that can be read: versions, state, config, devices and meta-data.

        A part that the host does not support is None. A part that it forbids is an error.

        * `only`: the names of the parts to read; any other raises `InvalidRequest`.
        """
        if unknown := set(only).difference(DUMP_PARTS):
            raise InvalidRequest("dump", f"no such part: {', '.join(sorted(unknown))}")
        # Each part has a method of its name.
        parts = {name: _none_if_not_supported(getattr(self, name)) for name in DUMP_PARTS if name in only}
        return cast(Dump, parts)

    # Devices, events, the host

    def devices(self) -> dict[str, Device]:
        """Return the devices of the instance by name, those of profiles included, in the host's order."""
        return self._devices(self._retry())

    def wait_for_device(
        self, name: str, *, gone: bool = False, timeout: float | None = None
    ) -> Device | None:
        """Wait until the device `name` exists, or with `gone`, does not exist. Return it, or None.

        `timeout` as for `wait_for_config`.
        """
        from devlxdctl.events.watch import wait_for_device

        return wait_for_device(self._session, self._devices, name, gone, timeout)

    def wait_for_node(self, name: str, *, timeout: float | None = None) -> str:
        """Wait until the device `name` has a node in this guest, and return that. See `find_node`.

        `timeout` as for `wait_for_config`. Raises `NotFound` for a type of device that never has one.
        """
        from devlxdctl.events.nodes import wait_for_node

        return wait_for_node(self._session, self._devices, name, timeout)

    def wait_for_host(self, *, timeout: float | None = None) -> State:
        """Wait until the host responds, and return the state. `timeout` as for `wait_for_config`."""
        return self._state(RetryPolicy(math.inf if timeout is None else timeout))

    def events(
        self, types: Collection[str] = ("config", "device"), *, output_fd: int | None = None
    ) -> EventStream[Item]:
        """Connect to the stream of events and return it.

        * `types`: `config`, `device` or both.
        * `output_fd`: as for `watch_config`.
        """
        from devlxdctl.events.stream import EventStream, Queue

        return EventStream(self._session, types, Queue(), self._retry(), output_fd)

    def diagnose(self) -> list[Check]:
        """Check everything that must hold for this client to work. Raises no `DevLXDError`."""
        from devlxdctl.doctor import diagnose

        return diagnose(self._socket, timeout=self._timeout, wait=self._wait, token=self._token)

    # Images and Ubuntu Pro

    def export_image(
        self,
        fingerprint: str,
        output: Output = "",
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> ExportedImage:
        """Download an image of the host and verify its SHA-256, which is its fingerprint.

        * `fingerprint`: all 64 hexadecimal digits.
        * `output`: an existing directory, "" for the current one: files get the names that the host gives. A
          unified image can also go to the path of a file, or to a binary stream. A stream receives the bytes
          before they are verified.
        * `overwrite`: replace existing files.
        * `progress`: called after each piece with the bytes so far and the size, None where it is unknown.

        Files appear under their names once they are verified. A unified image is resumed when the connection
        is lost; a split image cannot be. Raises `InvalidRequest` for an incomplete fingerprint and for a
        split image with an `output` for one file; `PermissionDenied` where the guest may not export images;
        `NotFound` for an image that does not exist or is private; `BadData` for a checksum mismatch, an
        existing file, a full disk; `HostUnavailable` when the connection cannot be restored.
        """
        from devlxdctl.images.export import export_image

        return export_image(self._session, fingerprint, output, overwrite, progress, self._retry())

    def pro_status(self) -> ProStatus:
        """Return whether this guest may attach to the Ubuntu Pro subscription of its host."""
        return cast(ProStatus, self._session.get_json(endpoints.PRO, dict, self._retry()))

    def pro_token(self) -> ProToken:
        """Return a new token to attach this guest to Ubuntu Pro: each call makes the host issue one.

        The request is not sent again once it may have reached the host, which can take 90 seconds to respond.
        Raises `PermissionDenied` where this guest may not attach.
        """
        endpoint = endpoints.PRO_TOKEN
        request = Request("POST", endpoint.path, endpoint, read_timeout=_PRO_READ_TIMEOUT, idempotent=False)
        token = cast(ProToken, self._session.send_json(request, dict, self._retry()))
        secret = token.get("guest_token")
        if not isinstance(secret, str) or not secret:
            raise UnexpectedResponse(endpoint.path, "response contains no token", http_status=200)
        return token

    # Any request

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | BinaryIO | None = None,
    ) -> RawResponse:
        """Send a request unchanged and return when its response begins. No HTTP status is an error.

        * `path`: the request target as it is sent, percent-encoded by the caller.
        * `headers`: pairs of name and value, besides Host, User-Agent, Accept and Authorization.
        * `body`: bytes, or an open file that is sent from its current position.

        There is no read timeout. Only a GET is sent again while the host restarts, and not one of a path
        that ends in `/wait`.
        """
        from devlxdctl.http.raw import RawRequest, send_raw

        return send_raw(self._session, RawRequest(method, path, headers, body), self._retry())

    def _retry(self) -> RetryPolicy:
        return RetryPolicy(self._wait)

    def _state(self, retry: RetryPolicy) -> State:
        state = cast(State, self._session.get_json(endpoints.STATE, dict, retry))
        self._type = state.get("instance_type", "")
        is_untrusted = self._token is not None and state.get("auth") == "untrusted"
        if is_untrusted and not self._is_untrusted:
            _log.warning("the host does not trust the bearer token")
        self._is_untrusted = is_untrusted
        return state

    def _instance_type(self, retry: RetryPolicy) -> str:
        if self._type is None:
            self._state(retry)
        return self._type or ""

    def _devices(self, retry: RetryPolicy) -> dict[str, Device]:
        devices = self._session.get_json(endpoints.DEVICES, dict, retry)
        if not all(isinstance(device, dict) for device in devices.values()):
            raise UnexpectedResponse("/1.0/devices", "response is not a map of devices", http_status=200)
        return cast("dict[str, Device]", devices)


def _none_if_not_supported(read: Callable[[], _T]) -> _T | None:
    try:
        return read()
    except NotSupported:
        return None
