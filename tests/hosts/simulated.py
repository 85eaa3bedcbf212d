"""The simulator as a host of the contract tests. Its guest is this machine."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.guest import Guest
from tests.support.program import Result

from .base import StopSignal
from .jobs import DEFAULT_SIGNALS, Job
from .software import default_environment

GUEST = Guest(devices={"root": {"type": "disk", "path": "/", "pool": "default"}}, location="host1")


class SimulatedHost:
    """One simulated host. See `Host` for the methods without a docstring here."""

    def __init__(self, profile: str) -> None:
        self.name = f"simulated {profile}"
        self.version = profile
        self._profile = profile
        self._directory = Path(tempfile.mkdtemp(prefix="dx", dir="/tmp"))
        # The program takes the product from the name of the directory.
        product = "incus" if profile == "incus" else "lxd"
        (self._directory / product).mkdir()
        self.socket = str(self._directory / product / "sock")
        self._jobs: list[Job] = []
        self._guest = GUEST
        self._running: Simulator | None = None
        self.start_daemon()

    def __enter__(self) -> "SimulatedHost":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes of the host and remove all its files."""
        while self._jobs:
            self._jobs.pop().close()
        if self._running is not None:
            self.stop_daemon("TERM")
        shutil.rmtree(self._directory)

    def start(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        user: int = 0,
        stdin: bytes = b"",
        cwd: str = "/",
    ) -> Job:
        job = self._job(argv, env, user, stdin, cwd)
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
        with self._job(argv, env, user, stdin, cwd) as job:
            return Result(job.wait(timeout), job.stdout(), job.stderr())

    def set(self, config: Mapping[str, str | None], /) -> None:
        self._simulator.set({key: value or "" for key, value in config.items()})

    def add_device(self, name: str, options: Mapping[str, str]) -> None:
        self._simulator.device(name, options)

    def remove_device(self, name: str) -> None:
        self._simulator.remove_device(name)

    def ready(self) -> bool | None:
        return self._simulator.ready

    def switch_api(self, on: bool) -> None:
        self._simulator.switch(on)

    def stop_daemon(self, signal_name: StopSignal) -> None:
        """Remove the socket, for both signals: the simulator runs in this process."""
        del signal_name
        shown = self._simulator.show()
        self._guest = Guest(config=shown["config"], devices=shown["devices"], location=GUEST.location)
        self._simulator.__exit__(None, None, None)
        self._running = None

    def start_daemon(self) -> None:
        self._running = Simulator(self.socket, self._guest, self._profile)
        self._running.__enter__()

    def revive_daemon(self) -> bool:
        return False  # it does not have the defect

    @property
    def _simulator(self) -> Simulator:
        assert self._running is not None, "the simulator is stopped"
        return self._running

    def _job(
        self, argv: tuple[str, ...], env: Mapping[str, str] | None, user: int, stdin: bytes, cwd: str
    ) -> Job:
        variables = {"DEVLXD_SOCKET": self.socket, **(default_environment(user) if env is None else env)}
        as_user = []
        if user != 0:
            if os.geteuid() != 0:
                pytest.skip("only root can run a command as another user")
            # Other users may not be able to read the program in its directory on this machine.
            as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
            as_user += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        command = [*DEFAULT_SIGNALS, f"--chdir={cwd}", *as_user, *argv]
        return Job(command, stdin=stdin, env=variables)
