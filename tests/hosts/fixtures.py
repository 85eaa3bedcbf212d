"""Fixtures: a host comes up once a session, when a test first asks for it, and is cleared for every test."""

from collections.abc import Iterator

import pytest

from devlxdctl.simulator.profiles import PROFILES

from .base import Host
from .daemon import INCUS, LXD, DaemonHost, Software, available
from .simulated import SimulatedHost


def require(software: Software) -> None:
    """Skip the test where this host cannot run."""
    if reason := available(software):
        pytest.skip(reason)


def bring_up(software: Software) -> Iterator[DaemonHost]:
    """The body of a session fixture."""
    require(software)
    with DaemonHost(software) as host:
        yield host


@pytest.fixture(scope="session")
def lxd_host() -> Iterator[DaemonHost]:
    yield from bring_up(LXD)


@pytest.fixture(scope="session")
def incus_host() -> Iterator[DaemonHost]:
    yield from bring_up(INCUS)


@pytest.fixture(params=["lxd", "incus"])
def real_host(request: pytest.FixtureRequest) -> DaemonHost:
    """Each real host in turn, as at first."""
    host: DaemonHost = request.getfixturevalue(f"{request.param}_host")
    host.clear()
    return host


@pytest.fixture(params=["lxd", "incus", *(f"simulated {profile}" for profile in PROFILES)])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """Every host in turn, real and simulated, as at first."""
    kind, _, profile = request.param.partition(" ")
    if profile:
        with SimulatedHost(profile) as simulated:
            yield simulated
        return
    real: DaemonHost = request.getfixturevalue(f"{kind}_host")
    real.clear()
    yield real
