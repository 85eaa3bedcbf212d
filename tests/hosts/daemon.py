"""A LXD or Incus daemon for the tests with one guest, isolated from any other daemon on this machine.

The daemon runs in mount, network and PID namespaces, with its state in a directory under /tmp. Commands enter
the namespaces of the guest from outside, not through the daemon: so they start in milliseconds, have exact
output and exit statuses, and keep running while the daemon is stopped. The host identifies them as processes
of the guest by their PID namespace.
"""

import contextlib
import http.client
import io
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from tests.support.program import Result

from . import image
from .api import Api, multipart
from .base import HostError, StopSignal
from .jobs import Job, poll
from .namespaces import Namespaces
from .software import INCUS, LXD, SYSTEM_PATH, Software, default_environment, program_directories

_KNOWN_CRASH = b"fatal error: concurrent map read and map write"
"""The end of LXD before its fix of canonical/lxd#14706, and of Incus before that of lxc/incus#3618: a request
arrives at the moment at which any other connection is opened or closed."""

_KEYS_OF_TESTS = ("user.", "cloud-init.", "security.", "limits.", "volatile.last_state.ready")


class DaemonHost:
    """One daemon with one guest. See `Host` for the methods without a docstring here."""

    def __init__(self, software: Software, guest_image: bytes | None = None) -> None:
        """Start the daemon and the guest.

        `guest_image` is a unified image; by default a tiny one whose guest uses /usr of this machine.
        """
        self.name = software.name
        self.socket = software.socket
        self._software = software
        self._namespaces = Namespaces()
        self._state = self._namespaces.directory / "state"
        self._api = Api(self._state / "unix.socket")
        self.instance = self._namespaces.name
        self._instance_path = f"/1.0/instances/{self.instance}"
        self._jobs: list[Job] = []
        self._images: list[str] = []
        self._daemon: Job | None = None
        try:
            self._spawn_daemon()
            self.version: str = self._api.call("GET", "/1.0")["environment"]["server_version"]
            self._launch(guest_image)
        except BaseException as error:
            log = self.log()
            self.close()
            if isinstance(error, Exception):
                raise HostError(f"{self.name} did not start: {error}\n{log}") from error
            raise

    def __enter__(self) -> "DaemonHost":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes of the host and remove all its files."""
        try:
            for job in [*self._jobs, *([self._daemon] if self._daemon else [])]:
                job.close()
        finally:
            self._namespaces.close()

    def command(
        self, *argv: str, env: Mapping[str, str] | None = None, user: int = 0, cwd: str = "/"
    ) -> list[str]:
        """Return the command line that runs `argv` inside the guest, for use while the guest runs."""
        identity = ["-S", str(user), "-G", str(user)]
        environment = default_environment(user) if env is None else env
        variables = [f"{name}={value}" for name, value in environment.items()]
        enter = [*self._namespaces.nsenter, "-t", str(self._guest_pid), "-a", *identity, "--"]
        return [*enter, "env", "-i", f"--chdir={cwd}", *variables, *argv]

    def start(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        user: int = 0,
        stdin: bytes = b"",
        cwd: str = "/",
    ) -> Job:
        job = Job(self.command(*argv, env=env, user=user, cwd=cwd), stdin=stdin, via_nsenter=True)
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
        with Job(self.command(*argv, env=env, user=user, cwd=cwd), stdin=stdin, via_nsenter=True) as job:
            return Result(job.wait(timeout), job.stdout(), job.stderr())

    def execute(self, *argv: str, user: int = 0, timeout: float = 60) -> Result:
        """Run a command inside the guest as an administrator does: `lxc exec`, `incus exec`."""
        identity = ["--user", str(user), "--group", str(user)]
        return self.client("exec", *identity, self.instance, "--", *argv, timeout=timeout)

    def client(self, *argv: str, timeout: float = 60) -> Result:
        """Run the client of the host outside the guest: `lxc`, `incus`."""
        command = [self._software.client, *argv]
        variables = {"HOME": str(self._namespaces.directory), "PATH": SYSTEM_PATH}
        variables[self._software.state_variable] = str(self._state)
        # Without a file of settings, the client prints a welcome message.
        settings = self._namespaces.directory / "client"
        settings.mkdir(exist_ok=True)
        (settings / "config.yml").touch()
        variables[self._software.client_variable] = str(settings)
        with Job(self._namespaces.enter(*command), env=variables, via_nsenter=True) as job:
            return Result(job.wait(timeout), job.stdout(), job.stderr())

    def set(self, config: Mapping[str, str | None], /) -> None:
        # The host unsets a key whose value is empty.
        changes = {key: value or "" for key, value in config.items()}
        self._api.call("PATCH", self._instance_path, {"config": changes})

    def add_device(self, name: str, options: Mapping[str, str]) -> None:
        self._api.call("PATCH", self._instance_path, {"devices": {name: dict(options)}})

    def remove_device(self, name: str) -> None:
        instance = self._read_instance()
        del instance["devices"][name]
        self._api.call("PUT", self._instance_path, instance)

    def add_image(
        self, metadata: bytes | BinaryIO, rootfs: bytes | BinaryIO | None = None, *, public: bool = True
    ) -> str:
        """Import a unified image, or a split one if `rootfs` is given. Return its fingerprint."""
        body: object = metadata
        content_type = "application/octet-stream"
        if rootfs is not None:
            parts = {"metadata": metadata, "rootfs": rootfs}
            body, content_type = multipart(
                {name: io.BytesIO(part) if isinstance(part, bytes) else part for name, part in parts.items()}
            )
        headers = {"Content-Type": content_type, self._software.public_header: str(int(public))}
        fingerprint: str = self._api.call("POST", "/1.0/images", body, headers)["fingerprint"]
        self._images.append(fingerprint)
        return fingerprint

    def ready(self) -> bool | None:
        value = self._read_instance()["config"].get("volatile.last_state.ready")
        return None if value is None else value == "true"

    def switch_api(self, on: bool) -> None:
        self.set({self._software.api_key: None if on else "false"})

    def switch_images(self, on: bool) -> None:
        """Switch the export of images in the guest API on or off. It is off at the start."""
        self.set({f"{self._software.api_key}.images": "true" if on else None})

    def stop_daemon(self, signal_name: StopSignal) -> None:
        assert self._daemon is not None
        self._daemon.kill(signal.Signals[f"SIG{signal_name}"])
        self._daemon.wait(30)

    def start_daemon(self) -> None:
        self._spawn_daemon()
        self._wait_for_guest_api()

    def revive_daemon(self) -> bool:
        assert self._daemon is not None
        if self._daemon.running:
            return False
        if _KNOWN_CRASH not in self._daemon.stderr():
            raise HostError(f"{self._software.daemon} ended with status {self._daemon.wait()}\n{self.log()}")
        self.start_daemon()
        return True

    @contextlib.contextmanager
    def socket_without_permission(self) -> Iterator[None]:
        """Give the socket the mode 0755 for a while, as it has when the daemon has just created it."""
        self._socket_outside.chmod(0o755)
        try:
            yield
        finally:
            self._socket_outside.chmod(0o666)

    def freeze_daemon(self) -> None:
        """Stop the daemon with SIGSTOP: connections are accepted, requests get no response."""
        assert self._daemon is not None
        self._daemon.kill(signal.SIGSTOP)

    def thaw_daemon(self) -> None:
        """Let a frozen daemon continue."""
        assert self._daemon is not None
        self._daemon.kill(signal.SIGCONT)

    def restart_guest(self, *, has_api: bool = True) -> None:
        """Restart the guest, which ends all processes inside; without `has_api`, its API is switched off."""
        self._change_state("restart")
        if has_api:
            self._wait_for_guest_api()

    def reset(self) -> None:
        """Restore the state of a new host between tests: running daemon, guest API on, not Ready.

        Removes config keys, devices and images of tests, and kills all processes in the guest except init.
        Files that a test wrote in the guest remain.
        """
        assert self._daemon is not None
        if self._daemon.running:
            self.thaw_daemon()
        else:
            self.start_daemon()
        while self._jobs:
            self._jobs.pop().close()
        self.run("sh", "-c", "kill -KILL -1")  # all but init and this shell
        while self._images:
            self._api.call("DELETE", f"/1.0/images/{self._images.pop()}")
        instance = self._read_instance()
        config = instance["config"]
        kept = {key: value for key, value in config.items() if not key.startswith(_KEYS_OF_TESTS)}
        if kept != config or instance["devices"]:
            self._api.call("PUT", self._instance_path, {**instance, "config": kept, "devices": {}})

    @property
    def _socket_outside(self) -> Path:
        """A path outside the guest of its devLXD socket."""
        return Path(f"/proc/{self._guest_pid}/root{self.socket}")

    def _read_instance(self) -> dict[str, Any]:
        instance: dict[str, Any] = self._api.call("GET", self._instance_path)
        return instance

    def _spawn_daemon(self) -> None:
        """Start the daemon, for the first time or again, and wait until it reports that it is ready."""
        self._state.mkdir(exist_ok=True)
        variables = {
            "HOME": str(self._namespaces.directory),
            "PATH": SYSTEM_PATH,
            self._software.state_variable: str(self._state),
        }
        if self._daemon is not None:
            self._daemon.close()
        daemon = self._daemon = Job(
            self._namespaces.enter(self._software.daemon), env=variables, via_nsenter=True
        )

        def is_ready() -> bool | None:
            if not daemon.running:
                raise HostError(f"{self._software.daemon} ended with status {daemon.wait()}")
            try:
                status, _ = self._api.send("GET", "/internal/ready")
            except (OSError, http.client.HTTPException):
                return None
            return status == 200 or None

        poll(f"{self._software.daemon} ready", is_ready, 60)

    def _launch(self, guest_image: bytes | None) -> None:
        """Create the storage pool, the image and the guest, and start the guest."""
        programs = [Path("/usr"), *program_directories()] if guest_image is None else []
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
        # No image server can be reached.
        call("PATCH", "/1.0", {"config": {"images.auto_update_interval": "0"}})
        call("POST", "/1.0/storage-pools", {"name": "default", "driver": "dir"})
        call("PATCH", "/1.0/profiles/default", {"devices": devices})
        headers = {"Content-Type": "application/octet-stream"}
        data = image.bootable() if guest_image is None else guest_image
        fingerprint = call("POST", "/1.0/images", data, headers)["fingerprint"]
        source = {"type": "image", "fingerprint": fingerprint}
        call("POST", "/1.0/instances", {"name": self.instance, "source": source})
        self._change_state("start")
        self._wait_for_guest_api()

    def _change_state(self, action: str) -> None:
        change = {"action": action, "timeout": 20, "force": True}
        self._api.call("PUT", f"{self._instance_path}/state", change)
        pid = self._api.call("GET", f"{self._instance_path}/state")["pid"]
        self._guest_pid = self._namespaces.outside(pid)

    def _wait_for_guest_api(self) -> None:
        path = str(self._socket_outside)

        def connects() -> bool | None:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(path)
                except (FileNotFoundError, ConnectionRefusedError):
                    return None
                return True

        poll(f"{self._software.socket} in the guest", connects, 20)

    def log(self) -> str:
        """The last lines that the daemon has written."""
        return self._daemon.stderr()[-4000:].decode(errors="replace") if self._daemon else ""


def lxd() -> DaemonHost:
    """Start a LXD. Use it in a `with` statement, or close it."""
    return DaemonHost(LXD)


def incus() -> DaemonHost:
    """Start an Incus. Use it in a `with` statement, or close it."""
    return DaemonHost(INCUS)
