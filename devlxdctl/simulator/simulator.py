"""The simulator as a Python object: a host in its own thread."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any

from devlxdctl.simulator.faults import Faults, parse_faults
from devlxdctl.simulator.guest import Guest, default_guest, read_guest
from devlxdctl.simulator.host import Host
from devlxdctl.simulator.profiles import DEFAULT_PROFILE, PROFILES, Profile
from devlxdctl.simulator.server import Request

_TIMEOUT = 10.0
"""Seconds that any operation except a restart may take."""


class Simulator:
    """A simulated host that runs while its `with` block does.

    - socket_path: where the guest's socket is created, with its directory if needed.
    - guest: a Guest, the path of a guest file, or None for the default guest.
    - profile: a Profile or its name; see `profiles.PROFILES`.
    - faults: texts as for the option `--fault`, or Faults.
    - on_listening: called in the simulator's thread when the socket first accepts connections.

    The constructor raises GuestFileError, FaultError or, for an unknown profile, KeyError. Entering the
    block returns when the socket accepts connections, or when a fault that prevents this is active. It
    raises SocketError. Methods that change the instance raise Refused if a real host would refuse.

    Example:

        with Simulator("/tmp/lxd/sock") as simulator:
            simulator.set({"user.role": "db"})
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
        self._stop_event: asyncio.Event | None = None
        self._host: Host | None = None

    def __enter__(self) -> "Simulator":
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(started)), name="devlxd-simulator"
        )
        self._thread.start()
        try:
            started.result(_TIMEOUT)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def set(self, changes: Mapping[str, str]) -> None:
        """Set all these config keys in one update; an empty value removes its key."""
        self._execute({"do": "set", "changes": dict(changes)})

    def unset(self, key: str) -> None:
        """Remove a config key."""
        self._execute({"do": "unset", "key": key})

    def device(self, name: str, config: Mapping[str, str]) -> None:
        """Add or replace a device."""
        self._execute({"do": "device", "name": name, "config": dict(config)})

    def remove_device(self, name: str) -> None:
        """Remove a device."""
        self._execute({"do": "remove-device", "name": name})

    def switch(self, on: bool) -> None:
        """Switch the guest API on or off."""
        self._execute({"do": "switch", "on": on})

    def restart(self, down: float = 1.0, *, wait: bool = True) -> None:
        """Restart the daemon, which is down for `down` seconds, and return when it has lost the state Ready.

        That happens shortly after it responds again. With `wait=False` return at once.
        """
        restarting = self._submit({"do": "restart", "down": down})
        if wait:
            restarting.result(down + _TIMEOUT)

    def finish_operations(self) -> None:
        """End all running storage operations now, for example those slowed down by `operation-seconds`."""
        self._execute({"do": "finish-operations"})

    def show(self) -> dict[str, Any]:
        """Return the state of the instance on the host, as `devlxd-simulator show` prints it."""
        shown = self._execute({"do": "show"})
        assert isinstance(shown, dict)
        return shown

    @property
    def ready(self) -> bool | None:
        """The state that the guest reported; None if it reported none, or the host lost it."""
        return self._running.instance.ready

    @property
    def requests(self) -> list[Request]:
        """All requests so far, as (method, raw path, number of the connection)."""
        return list(self._running.server.requests)

    @property
    def connections(self) -> int:
        """The number of connections so far."""
        return self._running.server.connections

    @property
    def _running(self) -> Host:
        if self._host is None:
            raise RuntimeError("the simulator is not running")
        return self._host

    def _submit(self, request: dict[str, object]) -> Future[object]:
        host = self._running
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(host.execute(request), self._loop)

    def _execute(self, request: dict[str, object]) -> object:
        return self._submit(request).result(_TIMEOUT)

    def _stop(self) -> None:
        if self._loop is not None and self._stop_event is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop_event.set)
        if self._thread is not None:
            self._thread.join(_TIMEOUT)

    async def _run(self, started: Future[None]) -> None:
        self._loop, self._stop_event = asyncio.get_running_loop(), asyncio.Event()
        try:
            host = Host(self.path, self._guest, self._profile, self._faults, self._on_listening)
            try:
                await host.start()
                self._host = host
                started.set_result(None)
                await self._stop_event.wait()
            finally:
                await host.stop()
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)
