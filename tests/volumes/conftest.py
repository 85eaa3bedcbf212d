"""Simulated hosts with the storage API, and clients of the library for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.volumes.support import VOLUMES_OF_CI, Host, StartHost, make_host


@pytest.fixture
def start_host(socket_directory: Path) -> Iterator[StartHost]:
    """Starts a host with the given faults."""
    with ExitStack() as stack:

        def start(*faults: str, **extra: Any) -> Host:
            return stack.enter_context(make_host(socket_directory, *faults, **extra))

        yield start


@pytest.fixture
def host(start_host: StartHost) -> Host:
    """A host with the volume `data`, its snapshot `snap0`, and operations that end at once."""
    return start_host(pools=VOLUMES_OF_CI)


@pytest.fixture
def slow_host(start_host: StartHost) -> Host:
    """The same, with operations that end when the test says so."""
    return start_host("operation-seconds=600", pools=VOLUMES_OF_CI)
