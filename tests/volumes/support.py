"""A simulated host with the storage API, and programs and clients that use it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devlxdctl import Client
from devlxdctl.simulator import Simulator
from devlxdctl.simulator.profiles import Profile
from tests.simulator.simhost import wait_until
from tests.simulator.storage_client import CI_ID, LASTING, make_storage_simulator
from tests.support.program import PROGRAM, Result, run

StartHost = Callable[..., "Host"]
"""Starts a host with the arguments of `make_host` after the first, which ends with the test."""

TOKEN = "ci-token"
UUID = "00000000-0000-4000-8000-000000000001"
CONFIG = {"size": "1GiB", "volatile.devlxd.owner": CI_ID, "volatile.uuid": UUID}
VOLUMES_OF_CI: dict[str, Any] = {
    "default": {
        "volumes": {
            "data": {
                "owner": "ci",
                "description": "the database",
                "config": {"size": "1GiB", "volatile.uuid": UUID},
                "snapshots": {"snap0": {"description": "first", "config": {"volatile.uuid": UUID}}},
            },
            "disk": {"owner": "ci", "content_type": "block", "config": {"volatile.uuid": UUID}},
            "other": {"owner": "somebody"},
        }
    },
    "fast": "zfs",
}


class Host:
    """A simulated host, and ways to use it."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.client = Client(simulator.path, token=TOKEN)

    def run(self, *argv: str, token: str | None = TOKEN, timeout: float = 60) -> Result:
        """Run `devlxdctl`."""
        env = {} if token is None else {"DEVLXD_BEARER_TOKEN": token}
        return run(*argv, socket=self.simulator.path, env=env, timeout=timeout)

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start `devlxdctl`, and return when it waits for an operation."""
        program = subprocess.Popen(
            [PROGRAM, *argv],
            env={"DEVLXD_SOCKET": str(self.simulator.path), "DEVLXD_BEARER_TOKEN": TOKEN},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        waits = self.count("GET", "/wait?")
        wait_until(lambda: self.count("GET", "/wait?") > waits or program.poll() is not None)
        return program

    def count(self, method: str, text: str) -> int:
        """Return the number of requests so far with this method, and this text in the path."""
        return sum(each.method == method and text in each.path for each in self.simulator.requests)


def finish(program: subprocess.Popen[bytes]) -> Result:
    """Wait for the end of a program."""
    stdout, stderr = program.communicate(timeout=60)
    return Result(program.returncode, stdout, stderr)


@contextmanager
def make_host(
    directory: Path, *faults: str, profile: str | Profile = LASTING, **extra: Any
) -> Iterator[Host]:
    """Start a host. `extra` are keys of the section `simulator` of the guest file."""
    with make_storage_simulator(directory, *faults, profile=profile, **extra) as simulator:
        host = Host(simulator)
        with host.client:
            yield host
