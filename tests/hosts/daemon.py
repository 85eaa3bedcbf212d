"""A LXD or an Incus of the tests' own: a daemon with one guest, apart from any other on the machine.

The daemon runs in mount, network and pid namespaces, with its state in a directory under /tmp. Commands enter
the guest's namespaces from outside, not through the daemon: so they start in milliseconds, with exact bytes
and statuses, and live on while the daemon is down. The host knows them as the guest's by their pid namespace.
"""

import functools
import http.client
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal

from . import image
from .api import Api, multipart
from .base import HostError, Result
from .jobs import Job, poll
from .namespaces import Namespaces

REPOSITORY = Path(__file__).resolve().parents[2]

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TESTS_KEYS = ("user.", "cloud-init.", "security.", "volatile.last_state.ready")


@dataclass(frozen=True)
class Software:
    """What LXD and Incus call the same things."""

    name: str
    daemon: str
    client: str
    directory: str
    """The environment variable with the path of the daemon's state."""
    settings: str
    """The environment variable with the path of the client's settings."""
    socket: str
    """The guest API, inside the guest."""
    offered: str
    """The key that switches the guest API off; with ``.images`` the one that switches its images on."""
    public: str
    """The header that makes an image public on its import."""


LXD = Software("lxd", "lxd", "lxc", "LXD_DIR", "LXD_CONF", "/dev/lxd/sock", "security.devlxd", "X-LXD-public")
INCUS = Software(
    "incus",
    "/usr/libexec/incus/incusd",
    "incus",
    "INCUS_DIR",
    "INCUS_CONF",
    "/dev/incus/sock",
    "security.guestapi",
    "X-Incus-public",
)


def _programs() -> list[Path]:
    """The directories outside /usr that the program needs: its checkout, its environment, its interpreter."""
    wanted = [REPOSITORY, Path(sys.prefix), Path(sys.base_prefix), Path("/usr")]
    wanted = [path for path in wanted if not any(other in path.parents for other in wanted)]
    return [path for path in dict.fromkeys(wanted) if path != Path("/usr")]


def environment(user: int) -> dict[str, str]:
    """The environment of a command inside, where the caller names none."""
    home = "/root" if user == 0 else "/"
    return {"HOME": home, "LANG": "C.UTF-8", "PATH": f"{sys.prefix}/bin:{_SYSTEM_PATH}"}


@functools.cache
def available(software: Software) -> str | None:
    """Why this host cannot run on this machine; None when it can."""
    if os.geteuid() != 0:
        return f"{software.name} needs root"
    for program in (software.daemon, software.client, "ip", "nsenter", "setpriv", "unshare"):
        if shutil.which(program, path=_SYSTEM_PATH) is None:
            return f"{program} is not installed: make hosts"
    for path in _programs():
        if path.stat().st_mode & 0o005 != 0o005:
            return f"{path} is not readable by all, so not by the guest"
    probe = "unshare --mount --net --pid --fork --mount-proc mount -t sysfs sysfs /sys"
    result = subprocess.run(probe.split(), capture_output=True, text=True, timeout=20, check=False)
    if result.returncode != 0:
        return f"no namespaces here: {result.stderr.strip()}"
    return None


class DaemonHost:
    """One daemon with one guest; see Host for what it promises."""

    def __init__(self, software: Software, guest: bytes | None = None) -> None:
        """Bring it up. guest is a unified image; without one it is one that uses this machine's /usr."""
        self.name = software.name
        self.socket = software.socket
        self._software = software
        self._namespaces = Namespaces()
        self._state = self._namespaces.directory / "state"
        self._api = Api(self._state / "unix.socket")
        self.instance = self._namespaces.name
        self._instance = f"/1.0/instances/{self.instance}"
        self._jobs: list[Job] = []
        self._images: list[str] = []
        self._daemon: Job | None = None
        try:
            self._start_daemon()
            self.version: str = self._api.call("GET", "/1.0")["environment"]["server_version"]
            self._launch(guest)
        except BaseException as error:
            log = self._log()
            self.close()
            if isinstance(error, Exception):
                raise HostError(f"{self.name} did not come up: {error}\n{log}") from error
            raise

    def __enter__(self) -> "DaemonHost":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take everything down; nothing is left behind."""
        try:
            for job in [*self._jobs, *([self._daemon] if self._daemon else [])]:
                job.close()
        finally:
            self._namespaces.close()

    def command(
        self, *argv: str, env: Mapping[str, str] | None = None, user: int = 0, cwd: str = "/"
    ) -> list[str]:
        """The command line that runs argv inside the guest; it may be run while the guest lives."""
        identity = ["-S", str(user), "-G", str(user)]
        given = environment(user) if env is None else env
        variables = [f"{name}={value}" for name, value in given.items()]
        enter = [*self._namespaces.nsenter, "-t", str(self._guest), "-a", *identity, "--"]
        return [*enter, "env", "-i", f"--chdir={cwd}", *variables, *argv]

    def start(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        user: int = 0,
        stdin: bytes = b"",
        cwd: str = "/",
    ) -> Job:
        job = Job(self.command(*argv, env=env, user=user, cwd=cwd), stdin=stdin, entered=True)
        self._jobs.append(job)
        return job

    def run(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        user: int = 0,
        stdin: bytes = b"",
        cwd: str = "/",
        timeout: float = 60,
    ) -> Result:
        with Job(self.command(*argv, env=env, user=user, cwd=cwd), stdin=stdin, entered=True) as job:
            return Result(job.wait(timeout), job.stdout(), job.stderr())

    def execute(self, *argv: str, user: int = 0, timeout: float = 60) -> Result:
        """Run a command inside the guest as an administrator does: `lxc exec`, `incus exec`."""
        identity = ["--user", str(user), "--group", str(user)]
        return self.client("exec", *identity, self._namespaces.name, "--", *argv, timeout=timeout)

    def client(self, *argv: str, timeout: float = 60) -> Result:
        """Run the host's own client outside the guest: `lxc`, `incus`."""
        command = [self._software.client, *argv]
        variables = {"HOME": str(self._namespaces.directory), "PATH": _SYSTEM_PATH}
        variables[self._software.directory] = str(self._state)
        # where there is no file of its settings, the client greets first
        settings = self._namespaces.directory / "client"
        settings.mkdir(exist_ok=True)
        (settings / "config.yml").touch()
        variables[self._software.settings] = str(settings)
        with Job(self._namespaces.enter(*command), env=variables, entered=True) as job:
            return Result(job.wait(timeout), job.stdout(), job.stderr())

    def set(self, config: Mapping[str, str | None], /) -> None:
        # a key set to nothing is unset
        changes = {key: value or "" for key, value in config.items()}
        self._api.call("PATCH", self._instance, {"config": changes})

    def add_device(self, name: str, options: Mapping[str, str]) -> None:
        self._api.call("PATCH", self._instance, {"devices": {name: dict(options)}})

    def remove_device(self, name: str) -> None:
        instance = self._read()
        del instance["devices"][name]
        self._api.call("PUT", self._instance, instance)

    def add_image(
        self, metadata: bytes | BinaryIO, rootfs: bytes | BinaryIO | None = None, *, public: bool = True
    ) -> str:
        """Import a unified image (rootfs is None) or a split one; its fingerprint."""
        body: object = metadata
        kind = "application/octet-stream"
        if rootfs is not None:
            parts = {"metadata": metadata, "rootfs": rootfs}
            body, kind = multipart(
                {name: io.BytesIO(part) if isinstance(part, bytes) else part for name, part in parts.items()}
            )
        headers = {"Content-Type": kind, self._software.public: str(int(public))}
        fingerprint: str = self._api.call("POST", "/1.0/images", body, headers)["fingerprint"]
        self._images.append(fingerprint)
        return fingerprint

    def ready(self) -> bool | None:
        value = self._read()["config"].get("volatile.last_state.ready")
        return None if value is None else value == "true"

    def offer(self, on: bool) -> None:
        self.set({self._software.offered: None if on else "false"})

    def offer_images(self, on: bool) -> None:
        """Switch the guest API's images on or off; they are off at first."""
        self.set({f"{self._software.offered}.images": "true" if on else None})

    def stop(self, how: Literal["TERM", "KILL"]) -> None:
        assert self._daemon is not None
        self._daemon.kill(signal.Signals[f"SIG{how}"])
        self._daemon.wait(30)

    def resume(self) -> None:
        self._start_daemon()
        self._wait_for_guest_api()

    def freeze(self) -> None:
        """Stop the daemon in its tracks: connections are accepted, nothing is answered."""
        assert self._daemon is not None
        self._daemon.kill(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo freeze."""
        assert self._daemon is not None
        self._daemon.kill(signal.SIGCONT)

    def restart_guest(self) -> None:
        """Restart the guest; what ran inside is gone."""
        self._change_state("restart")
        self._wait_for_guest_api()

    def clear(self) -> None:
        """Back to a running daemon and a guest as at first: for use between tests.

        No config keys, devices and images of a test's, the guest API on, not Ready, and nothing but init
        running inside. Files that a test wrote inside stay.
        """
        assert self._daemon is not None
        if self._daemon.running:
            self.thaw()
        else:
            self.resume()
        while self._jobs:
            self._jobs.pop().close()
        # to all but init and itself
        self.run("sh", "-c", "kill -KILL -1")
        while self._images:
            self._api.call("DELETE", f"/1.0/images/{self._images.pop()}")
        instance = self._read()
        config = instance["config"]
        kept = {key: value for key, value in config.items() if not key.startswith(_TESTS_KEYS)}
        if kept != config or instance["devices"]:
            self._api.call("PUT", self._instance, {**instance, "config": kept, "devices": {}})

    def _read(self) -> dict[str, Any]:
        instance: dict[str, Any] = self._api.call("GET", self._instance)
        return instance

    def _start_daemon(self) -> None:
        """Start the daemon, again perhaps, and wait until it answers as one that is ready."""
        self._state.mkdir(exist_ok=True)
        variables = {
            "HOME": str(self._namespaces.directory),
            "PATH": _SYSTEM_PATH,
            self._software.directory: str(self._state),
        }
        if self._daemon is not None:
            self._daemon.close()
        daemon = self._daemon = Job(
            self._namespaces.enter(self._software.daemon), env=variables, entered=True
        )

        def answers() -> bool | None:
            if not daemon.running:
                raise HostError(f"{self._software.daemon} ended with status {daemon.wait()}")
            try:
                status, _ = self._api.send("GET", "/internal/ready")
            except (OSError, http.client.HTTPException):
                return None
            return status == 200 or None

        poll(f"{self._software.daemon} ready", answers, 60)

    def _launch(self, guest: bytes | None) -> None:
        """Storage, image and guest."""
        programs = [Path("/usr"), *_programs()] if guest is None else []
        devices = {
            "root": {"type": "disk", "path": "/", "pool": "default"},
            **{
                f"program{number}": {
                    "type": "disk",
                    "source": str(path),
                    "path": str(path),
                    "readonly": "true",
                }
                for number, path in enumerate(programs)
            },
        }
        call = self._api.call
        # there is nowhere to update images from
        call("PATCH", "/1.0", {"config": {"images.auto_update_interval": "0"}})
        call("POST", "/1.0/storage-pools", {"name": "default", "driver": "dir"})
        call("PATCH", "/1.0/profiles/default", {"devices": devices})
        kind = {"Content-Type": "application/octet-stream"}
        fingerprint = call("POST", "/1.0/images", guest or image.bootable(), kind)["fingerprint"]
        source = {"type": "image", "fingerprint": fingerprint}
        call("POST", "/1.0/instances", {"name": self._namespaces.name, "source": source})
        self._change_state("start")
        self._wait_for_guest_api()

    def _change_state(self, action: str) -> None:
        self._api.call("PUT", f"{self._instance}/state", {"action": action, "timeout": 20, "force": True})
        pid = self._api.call("GET", f"{self._instance}/state")["pid"]
        self._guest = self._namespaces.outside(pid)

    def _wait_for_guest_api(self) -> None:
        path = f"/proc/{self._guest}/root{self._software.socket}"

        def connect() -> bool | None:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(path)
                except (FileNotFoundError, ConnectionRefusedError):
                    return None
                return True

        poll(f"{self._software.socket} in the guest", connect, 20)

    def _log(self) -> str:
        """The end of what the daemon has said."""
        return self._daemon.stderr()[-4000:].decode(errors="replace") if self._daemon else ""


def lxd() -> DaemonHost:
    """Bring up a LXD; close it, or use it in a with statement."""
    return DaemonHost(LXD)


def incus() -> DaemonHost:
    """Bring up an Incus; close it, or use it in a with statement."""
    return DaemonHost(INCUS)
