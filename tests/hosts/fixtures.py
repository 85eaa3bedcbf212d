"""Fixtures: a host comes up once a session, when a test first asks for it, and is cleared for every test."""

import os
from collections.abc import Iterator

import pytest

from .daemon import INCUS, LXD, DaemonHost, Software, available

REQUIRED = "DEVLXDCTL_REQUIRE_HOSTS"
"""Where this is 1 in the environment, a host that cannot run here is a failure and no skip."""


def require(software: Software) -> None:
    """Skip the test, or fail it, where this host cannot run."""
    if reason := available(software):
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{reason} ({REQUIRED}=1)")
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
