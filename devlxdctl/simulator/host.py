"""The daemon: its socket in the guest, its end and its return, and what is done to the instance on it."""

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path

from devlxdctl.simulator.control import control_path, serve_control
from devlxdctl.simulator.events import Hub
from devlxdctl.simulator.faults import Faults
from devlxdctl.simulator.guest import Guest
from devlxdctl.simulator.instance import Instance, Refused
from devlxdctl.simulator.profiles import Profile
from devlxdctl.simulator.server import Server
from devlxdctl.simulator.storage import Storage

PATH_LIMIT = 107
STOPPING_SECONDS = 0.2
"""While the daemon stops, its answers are 500s."""
FORGET_SECONDS = 0.2
"""A daemon that is back forgets Ready only this long after it answers again."""


class SocketError(Exception):
    """The socket cannot be made at this path; the text says why."""


class Host:
    """One host with one instance. Everything here runs in one event loop."""

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
        self.server = Server(self.instance, hub, faults, Storage(self.instance, guest.pools))
        self._path = path
        self._faults = faults
        self._on_listening = on_listening
        self._listening: asyncio.Server | None = None
        self._control: asyncio.AbstractServer | None = None
        self._previous: int | None = None
        """The last socket's inode, held so that the next socket's is another one."""
        self._refusing = False
        self._down = False
        self._ended = False
        self._made_directory = False
        self._tasks: set[asyncio.Task[None]] = set()
        if faults.off:
            self.instance.config[profile.switch_key] = "false"

    async def start(self) -> None:
        """Bring the host up as its faults have it; raises SocketError."""
        if len(os.fsencode(control_path(self._path))) > PATH_LIMIT:
            raise SocketError(f"{self._path}: too long, a socket's path ends at {PATH_LIMIT} bytes")
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
            self._later(self._appear_late())
        await self._sync()
        if self._faults.restart:
            self._later(self._restart_later())

    async def stop(self) -> None:
        """End it and remove everything that it made."""
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
        if self._control is not None:
            self._control.close()
            control_path(self._path).unlink(missing_ok=True)
        if self._made_directory:
            with contextlib.suppress(OSError):  # someone else's files may be in it by now
                self._path.parent.rmdir()

    async def set_config(self, changes: Mapping[str, str]) -> None:
        """Set all keys in one update; raises Refused."""
        self.instance.set_config(changes)
        await self._sync()

    async def unset_config(self, key: str) -> None:
        """Remove a key; raises Refused where it is not set."""
        self.instance.unset_config(key)
        await self._sync()

    async def switch(self, on: bool) -> None:
        """Switch the guest API on or off, as the instance's key does."""
        await self.set_config({self.instance.profile.switch_key: "true" if on else "false"})

    async def restart(self, down: float) -> None:
        """Restart the daemon and return when it answers again; Ready is forgotten shortly after."""
        if self._down or self._listening is None:
            raise Refused("the host is not up")
        self.server.failing = self.instance.profile.stopping
        await asyncio.sleep(STOPPING_SECONDS)
        self._down = True
        await self._sync()
        self.server.drop()
        self.server.failing = None
        await asyncio.sleep(down)
        self._down = False
        await self._sync()
        self._later(self._forget_ready())

    async def _sync(self) -> None:
        """Have the socket there exactly while the daemon is up and the guest API on."""
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
        # What asyncio has accepted and not yet made a connection of, it would leave open behind a server that
        # was closed. So first nothing more is accepted, and a round of the loop makes what there is.
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
                raise SocketError(f"{self._path.parent}: {error.strerror}") from error
            self._made_directory = True
        self._control = await serve_control(self, _bind(control_path(self._path), 0o600))

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _appear_late(self) -> None:
        await asyncio.sleep(self._faults.late_socket)
        self._down = False
        await self._sync()

    async def _restart_later(self) -> None:
        await asyncio.sleep(self._faults.restart)
        with contextlib.suppress(Refused):  # it was switched off in the meantime
            await self.restart(self._faults.restart_down)

    async def _forget_ready(self) -> None:
        await asyncio.sleep(FORGET_SECONDS)
        self.instance.set_ready(None)


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on; raises SocketError for anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketError(f"{path}: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise SocketError(f"{path}: it exists and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.settimeout(1.0)
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise SocketError(f"{path}: {error.strerror or error}") from error
    raise SocketError(f"{path}: something listens on it already")


def _bind(path: Path, mode: int) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        # Nobody can connect before it listens, so there is no moment with another mode.
        path.chmod(mode)
    except OSError as error:
        bound.close()
        reason = os.strerror(error.errno or errno.EIO)
        raise SocketError(f"{path}: {reason}") from error
    return bound
