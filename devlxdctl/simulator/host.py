"""The host's daemon: its socket in the guest, its restarts, and changes to the instance."""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path

from devlxdctl.simulator.control import CONTROL_SUFFIX, control_path, serve_control
from devlxdctl.simulator.events import Hub
from devlxdctl.simulator.faults import Faults
from devlxdctl.simulator.guest import Guest
from devlxdctl.simulator.instance import Instance, Refused
from devlxdctl.simulator.os_errors import SocketError, os_reason
from devlxdctl.simulator.profiles import Profile
from devlxdctl.simulator.server import Server
from devlxdctl.simulator.storage.api import StorageAPI
from devlxdctl.simulator.storage.model import OPERATION_KINDS

PATH_LIMIT = 107
STOPPING_SECONDS = 0.2
"""A stopping daemon responds with 500 for this long."""
READY_LOST_SECONDS = 0.2
"""After a restart the daemon loses the state Ready this long after its first response."""


class Host:
    """A host with one instance. Use all methods in one event loop."""

    def __init__(
        self,
        path: Path,
        guest: Guest,
        profile: Profile,
        faults: Faults,
        on_listening: Callable[[], None] | None = None,
    ) -> None:
        hub = Hub()
        self.instance = Instance(guest, profile, hub.publish)
        plan = faults.operation_plan()
        plans = dict.fromkeys(OPERATION_KINDS, plan) if plan else guest.operations
        storage = StorageAPI(self.instance, guest.pools, plans)
        self.server = Server(self.instance, hub, faults, storage)
        self._path = path
        self._faults = faults
        self._on_listening = on_listening
        self._listening: asyncio.Server | None = None
        self._control: asyncio.AbstractServer | None = None
        self._previous: int | None = None
        """An open descriptor of the last socket, so that the next socket gets another inode."""
        self._refusing = False
        self._down = False
        self._ended = False
        self._made_directory = False
        self._tasks: set[asyncio.Task[None]] = set()
        if faults.off:
            self.instance.config[profile.switch_key] = "false"

    async def start(self) -> None:
        """Start the daemon with its faults; raises SocketError."""
        if len(os.fsencode(control_path(self._path))) > PATH_LIMIT:
            raise SocketError(
                f"{self._path}: path too long, at most {PATH_LIMIT - len(CONTROL_SUFFIX)} bytes are allowed"
            )
        _remove_stale(self._path)
        _remove_stale(control_path(self._path))
        await self.server.start()
        if self._faults.off:
            return
        await self._open_control()
        if self._faults.refuse:
            _bind(self._path, 0o666).close()
            self._refusing = True
            return
        if self._faults.late_socket:
            self._down = True
            self._start_task(self._open_late())
        await self._sync_socket()
        if self._faults.restart:
            self._start_task(self._restart_later())

    async def stop(self) -> None:
        """Stop the daemon and remove all files that it created."""
        self._ended = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close_socket()
        if self._refusing:
            self._path.unlink(missing_ok=True)
        if self._previous is not None:
            os.close(self._previous)
        await self.server.stop()
        self.server.storage.lose_operations()
        if self._control is not None:
            self._control.close()
            control_path(self._path).unlink(missing_ok=True)
        if self._made_directory:
            with contextlib.suppress(OSError):  # others may have created files in it
                self._path.parent.rmdir()

    async def set_config(self, changes: Mapping[str, str]) -> None:
        """Set all keys in one update; raises Refused."""
        self.instance.set_config(changes)
        await self._sync_socket()

    async def unset_config(self, key: str) -> None:
        """Remove a key; raises Refused if it is not set."""
        self.instance.unset_config(key)
        await self._sync_socket()

    async def switch(self, on: bool) -> None:
        """Switch the guest API on or off with its config key."""
        await self.set_config({self.instance.profile.switch_key: "true" if on else "false"})

    async def restart(self, down: float) -> None:
        """Restart the daemon and return when it has lost Ready, shortly after it responds again."""
        if self._down or self._listening is None:
            raise Refused("the daemon is not running")
        self.server.error_text = self.instance.profile.stopping_error
        await asyncio.sleep(STOPPING_SECONDS)
        self._down = True
        await self._sync_socket()
        self.server.drop()
        self.server.storage.lose_operations()
        self.server.error_text = None
        await asyncio.sleep(down)
        self._down = False
        await self._sync_socket()
        await asyncio.sleep(READY_LOST_SECONDS)
        self.instance.set_ready(None)

    async def execute(self, request: dict[str, object]) -> object:
        """Do what a request to the control socket says and return its result; raises Refused."""
        match request:
            case {"do": "set", "changes": dict(changes)}:
                await self.set_config(changes)
            case {"do": "unset", "key": str(key)}:
                await self.unset_config(key)
            case {"do": "device", "name": str(name), "config": dict(config)}:
                self.instance.set_device(name, config)
            case {"do": "remove-device", "name": str(name)}:
                self.instance.remove_device(name)
            case {"do": "show"}:
                return self.describe()
            case {"do": "finish-operations"}:
                self.server.storage.finish_operations()
            case {"do": "switch", "on": bool(on)}:
                await self.switch(on)
            case {"do": "restart", "down": float() | int() as down}:
                await self.restart(float(down))
            case _:
                raise Refused("unknown request to the control socket")
        return None

    def describe(self) -> dict[str, object]:
        """Return the state of the instance and counts of connections, requests and listeners."""
        return {
            **self.instance.describe(),
            "pools": self.server.storage.describe(),
            "connections": self.server.connections,
            "requests": len(self.server.requests),
            "listeners": self.server.hub.listeners,
        }

    async def _sync_socket(self) -> None:
        """Create or remove the socket: it exists while the daemon runs and the guest API is on."""
        wanted = self.instance.api_on and not (self._down or self._refusing or self._ended)
        if wanted and self._listening is None:
            await self._open_control()
            listener = _bind(self._path, 0o666)
            if self._previous is not None:
                os.close(self._previous)
                self._previous = None
            loop = asyncio.get_running_loop()
            self._listening = await loop.create_unix_server(self.server.connection, sock=listener)
            if self._on_listening is not None:
                self._on_listening()
                self._on_listening = None
        elif not wanted:
            await self._close_socket()

    async def _close_socket(self) -> None:
        listening, self._listening = self._listening, None
        if listening is None:
            return
        if self._path.is_socket() and not self._ended:
            self._previous = os.open(self._path, os.O_PATH)
        self._path.unlink(missing_ok=True)
        # asyncio would leave accepted sockets open that have no protocol yet when the server closes. So stop
        # accepting, then let one round of the loop create the protocols.
        for listener in listening.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        await asyncio.sleep(0)
        listening.close()

    async def _open_control(self) -> None:
        if self._control is not None:
            return
        if not self._path.parent.exists():
            try:
                self._path.parent.mkdir(parents=True)
            except OSError as error:
                raise SocketError(f"{self._path.parent}: {os_reason(error)}") from error
            self._made_directory = True
        self._control = await serve_control(self.execute, _bind(control_path(self._path), 0o600))

    def _start_task(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open_late(self) -> None:
        await asyncio.sleep(self._faults.late_socket)
        self._down = False
        await self._sync_socket()

    async def _restart_later(self) -> None:
        await asyncio.sleep(self._faults.restart)
        with contextlib.suppress(Refused):  # it was switched off meanwhile
            await self.restart(self._faults.restart_down)


def _remove_stale(path: Path) -> None:
    """Remove a socket without a listener; raises SocketError for anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketError(f"{path}: {os_reason(error)}") from error
    if not stat.S_ISSOCK(mode):
        raise SocketError(f"{path}: exists and is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.settimeout(1.0)
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise SocketError(f"{path}: {os_reason(error)}") from error
    raise SocketError(f"{path}: already in use by another process")


def _bind(path: Path, mode: int) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        # Nobody can connect before listen(), so the mode is set in time.
        path.chmod(mode)
    except OSError as error:
        bound.close()
        raise SocketError(f"{path}: {os_reason(error)}") from error
    return bound
