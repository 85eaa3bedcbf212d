"""Runs of the program in the background, while a test changes the instance."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from devlxdctl.simulator import Simulator
from tests.hosts.jobs import DEFAULT_SIGNALS, Job, poll
from tests.support.program import PROGRAM

__all__ = ["DEFAULT_SIGNALS", "TIMESTAMP", "Job", "Programs", "poll", "wait_for_listeners", "wait_for_read"]

TIMESTAMP = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"
"""A regular expression for the timestamp of an event."""


def wait_for_listeners(simulator: Simulator, number: int = 1) -> None:
    """Wait until this number of programs listen to events."""
    poll(f"{number} listeners", lambda: simulator.show()["listeners"] >= number or None, 20)


@contextmanager
def wait_for_read(simulator: Simulator, key: str) -> Iterator[None]:
    """At the end of the block, wait until a program has read the key after the block began."""
    before = len(simulator.requests)
    yield

    def count_reads() -> int | None:
        return sum(path == f"/1.0/config/{key}" for _, path, _ in simulator.requests[before:]) or None

    poll(f"{key} is read", count_reads, 20)


class Programs:
    """Runs of `devlxdctl` in the background. `close` ends those that still run."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._jobs: list[Job] = []

    def start(self, *argv: str, listens: bool = True, **env: str) -> Job:
        """Start `devlxdctl`. With `listens`, return when it listens to events."""

        def count_after_ended_programs() -> int | None:
            listeners: int = self._simulator.show()["listeners"]
            return listeners if listeners <= sum(job.running for job in self._jobs) else None

        # The simulator needs a moment to notice that a program which ended does not listen any more.
        before = poll("only running programs listen", count_after_ended_programs, 20)
        variables = {"DEVLXD_SOCKET": str(self._simulator.path), "PATH": os.defpath, **env}
        job = Job([*DEFAULT_SIGNALS, PROGRAM, *argv], env=variables)
        self._jobs.append(job)
        if listens:
            wait_for_listeners(self._simulator, before + 1)
        return job

    def close(self) -> None:
        for job in self._jobs:
            job.close()
