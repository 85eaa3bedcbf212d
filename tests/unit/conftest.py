"""Simulated hosts for the tests of the library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.support.exports import image_directory

__all__ = ["image_directory"]

StartSimulator = Callable[..., Simulator]
"""Starts a simulator: `start_simulator(guest_file_text, profile)`."""


@pytest.fixture
def start_simulator(socket_directory: Path) -> Iterator[StartSimulator]:
    """A function that starts a simulator, which runs until the end of the test."""
    with ExitStack() as stack:

        def start(guest: str = "config: {}\n", profile: str = "lxd-6") -> Simulator:
            path = socket_directory / "guest.yaml"
            path.write_text(guest)
            return stack.enter_context(Simulator(socket_directory / "lxd" / "sock", path, profile))

        yield start


@pytest.fixture
def simulator(start_simulator: StartSimulator) -> Simulator:
    """A simulated LXD 6 with an instance that has no config keys."""
    return start_simulator()
