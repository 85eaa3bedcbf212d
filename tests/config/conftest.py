"""A simulated host, and what the tests of files share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.guest import Guest


@pytest.fixture
def simulator(short: Path) -> Iterator[Simulator]:
    """A host whose guest has the keys `user.role` (web) and `user.port` (8080)."""
    with Simulator(short / "sock", Guest(config={"user.role": "web", "user.port": "8080"})) as host:
        yield host


@pytest.fixture
def root() -> None:
    """Skips the test where it does not run as root."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
