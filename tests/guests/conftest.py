"""Every release of Debian as a guest of every real host: the contract tests' own fixtures, replaced."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.guests import debian
from tests.hosts import DaemonHost
from tests.hosts.daemon import INCUS, LXD
from tests.hosts.fixtures import require


@pytest.fixture(
    scope="session",
    params=[(release, software) for release in debian.RELEASES for software in (LXD, INCUS)],
    ids=lambda param: f"{param[0]} on {param[1].name}",
)
def guest(request: pytest.FixtureRequest) -> Iterator[DaemonHost]:
    release, software = request.param
    require(software)
    with DaemonHost(software, debian.installed(release)) as host:
        yield host


@pytest.fixture
def host(guest: DaemonHost) -> DaemonHost:
    guest.clear()
    return guest


@pytest.fixture
def real_host(host: DaemonHost) -> DaemonHost:
    return host
