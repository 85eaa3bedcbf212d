"""The simulator for use from Python: a host in a thread of its own."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any

from devlxdctl.simulator.control import execute
from devlxdctl.simulator.faults import Faults, parse_faults
from devlxdctl.simulator.guest import Guest, default_guest, read_guest
from devlxdctl.simulator.host import Host
from devlxdctl.simulator.profiles import DEFAULT_PROFILE, PROFILES, Profile
from devlxdctl.simulator.server import Request

_LIMIT = 10.0
"""Seconds that anything but a restart may take."""


class Simulator:
    """A host on a socket while the `with` block lasts.

    `guest` is a Guest, the path of a guest file, or None for the one that comes with the simulator;
    `faults` are texts as `--fault` takes them, or Faults. Entering returns once the socket accepts
    connections, or with a fault that keeps it from that, once the fault is in place; it raises
    SocketError, and the constructor GuestFileError, FaultError or KeyError (profile).

    `on_listening` is called in the simulator's thread when the socket accepts for the first time.

    What changes the instance does as the host's own commands do, and raises Refused where those would.
    """

    def __init__(
        self,
        socket_path: str | os.PathLike[str],
        guest: Guest | str | os.PathLike[str] | None = None,
        profile: str | Profile = DEFAULT_PROFILE,
        faults: Iterable[str] | Faults = (),
        on_listening: Callable[[], None] | None = None,
    ) -> None:
        self.path = Path(socket_path)
        if guest is None:
            guest = default_guest()
        self._guest = guest if isinstance(guest, Guest) else read_guest(Path(guest))
        self._profile = PROFILES[profile] if isinstance(profile, str) else profile
        self._faults = faults if isinstance(faults, Faults) else parse_faults(faults)
        self._on_listening = on_listening
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._host: Host | None = None

    def __enter__(self) -> "Simulator":
        up: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(up)), name="devlxd-simulator")
        self._thread.start()
        try:
            up.result(_LIMIT)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def set(self, changes: Mapping[str, str]) -> None:
        """Set all these keys in one update; an empty value removes its key."""
        self._do({"do": "set", "changes": dict(changes)})

    def unset(self, key: str) -> None:
        """Remove a key."""
        self._do({"do": "unset", "key": key})

    def device(self, name: str, config: Mapping[str, str]) -> None:
        """Add a device, or replace the one of this name."""
        self._do({"do": "device", "name": name, "config": dict(config)})

    def remove_device(self, name: str) -> None:
        """Remove a device."""
        self._do({"do": "remove-device", "name": name})

    def switch(self, on: bool) -> None:
        """Switch the guest API on or off."""
        self._do({"do": "switch", "on": on})

    def restart(self, down: float = 1.0, *, wait: bool = True) -> None:
        """Restart the daemon, which is down for `down` seconds; return when it answers again.

        Ready is forgotten shortly after that. Without `wait` return at once.
        """
        restarting = self._submit({"do": "restart", "down": down})
        if wait:
            restarting.result(down + _LIMIT)

    def show(self) -> dict[str, Any]:
        """The state of the instance as the host sees it, as `devlxd-simulator show` prints it."""
        shown = self._do({"do": "show"})
        assert isinstance(shown, dict)
        return shown

    @property
    def ready(self) -> bool | None:
        """What the guest last said; None when it said nothing or the host forgot."""
        return self._running.instance.ready

    @property
    def requests(self) -> list[Request]:
        """Every request so far, as (method, raw path, connection)."""
        return list(self._running.server.requests)

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return self._running.server.connections

    @property
    def _running(self) -> Host:
        if self._host is None:
            raise RuntimeError("the simulator is not running")
        return self._host

    def _submit(self, request: dict[str, object]) -> Future[object]:
        host = self._running
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(execute(host, request), self._loop)

    def _do(self, request: dict[str, object]) -> object:
        return self._submit(request).result(_LIMIT)

    def _leave(self) -> None:
        if self._loop is not None and self._end is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end.set)
        if self._thread is not None:
            self._thread.join(_LIMIT)

    async def _run(self, up: Future[None]) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        try:
            host = Host(self.path, self._guest, self._profile, self._faults, self._on_listening)
            try:
                await host.start()
                self._host = host
                up.set_result(None)
                await self._end.wait()
            finally:
                await host.stop()
        except BaseException as error:
            if up.done():
                raise
            up.set_exception(error)
