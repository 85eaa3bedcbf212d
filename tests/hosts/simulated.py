"""The simulator as a host of the contract tests: its guest is this machine."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.guest import Guest

from .base import Result
from .daemon import environment
from .jobs import DEFAULT_SIGNALS, Job

GUEST = Guest(devices={"root": {"type": "disk", "path": "/", "pool": "default"}}, location="host1")


class SimulatedHost:
    """One simulated host; see Host for what it promises."""

    def __init__(self, profile: str) -> None:
        self.name = f"simulated {profile}"
        self.version = profile
        self._profile = profile
        self._directory = Path(tempfile.mkdtemp(prefix="dx", dir="/tmp"))
        kind = "incus" if profile == "incus" else "lxd"
        (self._directory / kind).mkdir()
        self.socket = str(self._directory / kind / "sock")
        self._jobs: list[Job] = []
        self._guest = GUEST
        self._simulator: Simulator | None = None
        self.resume()

    def __enter__(self) -> "SimulatedHost":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take it down; nothing is left behind."""
        self._end_jobs()
        if self._simulator is not None:
            self.stop("TERM")
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
        self._host.set({key: value or "" for key, value in config.items()})

    def add_device(self, name: str, options: Mapping[str, str]) -> None:
        self._host.device(name, options)

    def remove_device(self, name: str) -> None:
        self._host.remove_device(name)

    def ready(self) -> bool | None:
        return self._host.ready

    def offer(self, on: bool) -> None:
        self._host.switch(on)

    def stop(self, how: Literal["TERM", "KILL"]) -> None:
        """Both ways alike: the socket goes."""
        del how
        shown = self._host.show()
        self._guest = Guest(config=shown["config"], devices=shown["devices"], location=GUEST.location)
        self._host.__exit__(None, None, None)
        self._simulator = None

    def resume(self) -> None:
        self._simulator = Simulator(self.socket, self._guest, self._profile)
        self._simulator.__enter__()

    @property
    def _host(self) -> Simulator:
        assert self._simulator is not None, "it is stopped"
        return self._simulator

    def _end_jobs(self) -> None:
        while self._jobs:
            self._jobs.pop().close()

    def _job(
        self, argv: tuple[str, ...], env: Mapping[str, str] | None, user: int, stdin: bytes, cwd: str
    ) -> Job:
        variables = {"DEVLXD_SOCKET": self.socket, **(environment(user) if env is None else env)}
        as_user = []
        if user != 0:
            if os.geteuid() != 0:
                pytest.skip("only root can run a command as somebody else")
            # Others may not be able to read the program where it lies on this machine.
            as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
            as_user += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        command = [*DEFAULT_SIGNALS, f"--chdir={cwd}", *as_user, *argv]
        return Job(command, stdin=stdin, env=variables)
