"""Fixtures of the contract tests, replaced: every release of Debian as a guest of every real host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.guests import debian
from tests.hosts import INCUS, LXD, DaemonHost
from tests.hosts.fixtures import require


@pytest.fixture(
    scope="session",
    params=[(release, software) for release in debian.RELEASES for software in (LXD, INCUS)],
    ids=lambda param: f"{param[0]} on {param[1].name}",
)
def debian_host(request: pytest.FixtureRequest) -> Iterator[DaemonHost]:
    release, software = request.param
    require(software)
    with DaemonHost(software, debian.image_with_program(release)) as host:
        yield host


@pytest.fixture
def real_host(debian_host: DaemonHost) -> DaemonHost:
    debian_host.reset()
    return debian_host


@pytest.fixture
def any_host(real_host: DaemonHost) -> DaemonHost:
    return real_host
