"""Simulated hosts with the storage API, and clients of the library for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.volumes.support import VOLUMES_OF_CI, Host, make_host


@pytest.fixture
def hosts() -> Iterator[ExitStack]:
    """Ends the hosts that a test starts."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def host(short: Path, hosts: ExitStack) -> Host:
    """A host with the volume `data`, its snapshot `snap0`, and operations that end at once."""
    return hosts.enter_context(make_host(short, pools=VOLUMES_OF_CI))


@pytest.fixture
def slow_host(short: Path, hosts: ExitStack) -> Host:
    """The same, with operations that end when the test says so."""
    return hosts.enter_context(make_host(short, "operation-seconds=600", pools=VOLUMES_OF_CI))
