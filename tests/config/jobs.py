"""Runs of the program in the background, on a simulated host."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from devlxdctl.simulator import Simulator
from tests.hosts.jobs import DEFAULT_SIGNALS, Job, poll
from tests.support.program import PROGRAM

LIMIT = 60.0
"""Seconds that anything may take, on a machine that is busy with other tests."""


class Jobs:
    """Starts the program, and ends what still runs at the end of the test."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self._jobs: list[Job] = []

    def start(self, *argv: str | Path, **env: str) -> Job:
        """Start the program in the background."""
        return self.start_program(PROGRAM, *map(str, argv), **env)

    def start_program(self, *argv: str, **env: str) -> Job:
        """Start any program in the background, with the socket of the simulator in its environment."""
        environment = {"DEVLXD_SOCKET": str(self.simulator.path), "PATH": os.defpath, **env}
        job = Job([*DEFAULT_SIGNALS, *argv], env=environment)
        self._jobs.append(job)
        return job

    def close(self) -> None:
        """End all jobs, and what they have started."""
        for job in self._jobs:
            started = descendants(job.pid) if job.running else []
            job.close()
            for pid in started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that these have."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def wait_until(what: str, holds: Callable[[], bool]) -> None:
    """Wait until `holds` returns True. Raises `TimeoutError`."""
    poll(what, lambda: holds() or None, LIMIT)


def restart_with_change(simulator: Simulator, changes: dict[str, str]) -> None:
    """Restart the host, and change keys while it is down."""
    simulator.restart(0.5, wait=False)
    wait_until("the host is down", lambda: not simulator.path.exists())
    simulator.set(changes)


def wait_for_content(path: Path, content: bytes | None) -> None:
    """Wait until the file has this content, or does not exist for None."""

    def holds() -> bool:
        try:
            return path.read_bytes() == content
        except FileNotFoundError:
            return content is None

    try:
        wait_until(str(path), holds)
    except TimeoutError as error:
        found = path.read_bytes()[:1000] if path.exists() else None
        raise AssertionError(f"{path} has {found!r}, expected {content!r}") from error
