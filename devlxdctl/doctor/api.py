"""Checks of what the host offers, once it responds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from devlxdctl.config.keys import KeyReader
from devlxdctl.doctor.connection import Connection
from devlxdctl.doctor.report import Report
from devlxdctl.errors import DevLXDError, ExitStatus, NotFound, NotSupported
from devlxdctl.guest import find_product
from devlxdctl.http.endpoints import DEVICES, IMAGE, PRO, PRO_TOKEN, RAW, STATE, VERSIONS
from devlxdctl.http.messages import Request
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session
from devlxdctl.models import EVENT_TYPES

_NO_IMAGE: Final = f"/1.0/images/{'0' * 64}/export"
_RESETTING_DROP_IN: Final = "/run/systemd/system/service.d/zzz-lxc-service.conf"
"""Images made by distrobuilder have a generator that writes this drop-in for all services of a container."""


def check_api(report: Report, connection: Connection) -> None:
    """Check each part of the API. Raises `Stop` if the host does not offer version 1.0."""
    with contextlib.closing(connection.session):
        _ApiChecks(report, connection).run()


class _ApiChecks:
    def __init__(self, report: Report, connection: Connection) -> None:
        self._report = report
        self._connection = connection
        self._session = connection.session

    def run(self) -> None:
        connection, session = self._connection, self._session
        if "/1.0" not in connection.versions:
            error = NotSupported("/", f"no version 1.0, the host offers {connection.versions}")
            self._report.stop("api", error.problem, error, session.hint(VERSIONS, 404))
        state = self._try("instance", lambda: session.get_json(STATE, dict, connection.retry()))
        self._check_state(state)
        reader = KeyReader(session, lambda retry: (state or {}).get("instance_type", ""))
        keys = self._try("config", lambda: reader.list_keys(connection.retry()))
        if keys is not None:
            self._report.ok("config", _count(len(keys), "key"))
            self._check_keys(reader, keys)
        devices = self._try("devices", lambda: session.get_json(DEVICES, dict, connection.retry()))
        if devices is not None:
            self._report.ok("devices", _count(len(devices), "device"))
        if self._try("events", lambda: _connects(session, connection.retry())):
            self._report.ok("events", "a websocket connects")
        self._check_images()
        self._check_pro()
        self._check_volumes(state or {}, devices or {})
        self._check_credentials()

    def _try(self, name: str, read: Callable[[], Any]) -> Any:
        """Return what `read` returns, or None after a failed check."""
        try:
            return read()
        except DevLXDError as error:
            self._report.fail(name, error.problem, error.hint, error.exit_status)
        return None

    def _check_state(self, state: dict[str, Any] | None) -> None:
        if state is None:
            self._report.skip("api", "/1.0")
            return
        # As measured: only LXD 6 sends `auth`, only LXD 5.0 an empty state.
        generation = " 6" if "auth" in state else "" if state.get("state") else " 5.0"
        self._report.ok("api", f"{find_product(self._connection.path)}{generation}, /1.0")
        location = state.get("location")
        # LXD 5.0 has no location but "none".
        where = f" on {location}" if location and location != "none" else ""
        self._report.ok("instance", f"{state.get('instance_type')}{where}")
        if state.get("state"):
            self._report.ok("ready", f"supported; the instance is {state['state']}")
        else:
            self._report.skip("ready", "not supported by this host")
        auth = state.get("auth")
        rejected = self._session.hint(STATE, "token-rejected")
        error = self._connection.token_error
        if error is not None:
            fix = rejected if error.http_status == 403 else None
            self._report.fail("token", error.problem, fix, error.exit_status)
        elif not self._connection.has_token:
            self._report.skip("token", "no token given" if auth else "not supported by this host")
        elif auth == "trusted":
            self._report.ok("token", "the host trusts it")
        elif auth:
            problem = "the host does not know it, and ignores it"
            self._report.fail("token", problem, rejected, ExitStatus.PERMISSION_DENIED)
        else:
            self._report.skip("token", "not supported by this host, which ignores it")

    def _check_keys(self, reader: KeyReader, keys: list[str]) -> None:
        unreadable: dict[str, DevLXDError] = {}
        for key in keys:
            try:
                reader.read(key, self._connection.retry())
            except NotFound:  # unset since it was listed
                continue
            except DevLXDError as error:
                unreadable[key] = error
        if not unreadable:
            self._report.ok("keys", "all of them can be read here")
            return
        first = next(iter(unreadable.values()))
        fix = self._session.hint(STATE, "unlike-names") if isinstance(first, NotSupported) else first.hint
        self._report.fail("keys", f"{', '.join(unreadable)}: {first.problem}", fix)

    def _check_images(self) -> None:
        request = Request("GET", _NO_IMAGE, RAW, expected=(403, 404))
        try:
            response = self._session.send(request, self._connection.retry())
        except DevLXDError as error:
            self._report.fail("images", error.problem, error.hint)
            return
        if response.status == 403:
            self._report.skip("images", "export is switched off", self._session.hint(IMAGE, 403))
        elif response.media_type == "application/json":
            self._report.ok("images", "public and cached images can be exported")
        else:
            self._report.skip("images", "not supported by this host")

    def _check_pro(self) -> None:
        try:
            setting = self._session.get_json(PRO, dict, self._connection.retry()).get("guest_attach")
        except NotSupported:
            self._report.skip("pro", "not supported by this host")
        except DevLXDError as error:
            self._report.fail("pro", error.problem, error.hint)
        else:
            if setting == "off":
                self._report.skip("pro", "guest_attach is off", self._session.hint(PRO_TOKEN, 403))
            else:
                self._report.ok("pro", f"guest_attach is {setting}")

    def _check_volumes(self, state: dict[str, Any], devices: dict[str, Any]) -> None:
        if "auth" not in state:
            self._report.skip("volumes", "not supported by this host")
            return
        if state["auth"] != "trusted":
            self._report.skip("volumes", "need a bearer token that the host trusts")
            return
        pools = [device["pool"] for device in devices.values() if isinstance(device.get("pool"), str)]
        # Any name does: only permission is checked.
        path = f"/1.0/storage-pools/{quote(pools[0] if pools else 'default', safe='')}"
        request = Request("GET", path, RAW, expected=(200, 403, 404))
        try:
            response = self._session.send(request, self._connection.retry())
        except DevLXDError as error:
            self._report.fail("volumes", error.problem, error.hint)
            return
        if response.status == 403:
            self._report.skip("volumes", "management is switched off", self._session.hint(RAW, "entitlement"))
        else:
            self._report.ok("volumes", "can be managed")

    def _check_credentials(self) -> None:
        try:
            with open(_RESETTING_DROP_IN, encoding="utf-8", errors="replace") as file:
                is_reset = "LoadCredential=" in file.read()
        except OSError:
            return
        if is_reset:
            problem = f"{_RESETTING_DROP_IN} resets LoadCredential= in all services"
            self._report.fail("credentials", problem, self._session.hint(STATE, "reset-credentials"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _connects(session: Session, retry: RetryPolicy) -> bool:
    """Open the stream of events and close it. Raises what prevents that."""
    from devlxdctl.events.stream import EventStream, Queue

    with EventStream(session, EVENT_TYPES, Queue(), retry):
        return True
