"""Fixtures: each host starts once per session, when a test first needs it, and is reset for every test."""

from collections.abc import Iterator

import pytest

from devlxdctl.simulator.profiles import PROFILES

from .base import Host
from .daemon import DaemonHost
from .simulated import SimulatedHost
from .software import INCUS, LXD, Software, unavailable_reason


def require(software: Software) -> None:
    """Skip the test if this host cannot run on this machine."""
    if reason := unavailable_reason(software):
        pytest.skip(reason)


def running_host(software: Software) -> Iterator[DaemonHost]:
    """Start a host, yield it and remove it: the body of a session fixture."""
    require(software)
    with DaemonHost(software) as host:
        yield host


@pytest.fixture(scope="session")
def lxd_host() -> Iterator[DaemonHost]:
    yield from running_host(LXD)


@pytest.fixture(scope="session")
def incus_host() -> Iterator[DaemonHost]:
    yield from running_host(INCUS)


@pytest.fixture(params=["lxd", "incus"])
def real_host(request: pytest.FixtureRequest) -> DaemonHost:
    """Each real host in turn, reset."""
    host: DaemonHost = request.getfixturevalue(f"{request.param}_host")
    host.reset()
    return host


@pytest.fixture(params=["lxd", "incus", *(f"simulated {profile}" for profile in PROFILES)])
def any_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """Each host in turn, real and simulated, reset."""
    kind, _, profile = request.param.partition(" ")
    if profile:
        with SimulatedHost(profile) as simulated:
            yield simulated
        return
    host: DaemonHost = request.getfixturevalue(f"{kind}_host")
    host.reset()
    yield host
