"""A simulated host with an instance that has config keys, devices and an image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.cli.background import Programs
from tests.config.jobs import Jobs

GUEST = r"""
config:
  user.role: web
  user.port: "8080"
  user.motd: "a\ttab,\na line, a \\ and \e[31mred\e[0m\n"
  user.Quote's: "it's \"$HOME\" `id` \\"
  user.with space/and%25: odd
  cloud-init.user-data: |
    #cloud-config
    packages: [nginx]
  limits.cpu: "2"
  security.devlxd.images: "true"
  security.devlxd.management.volumes: "true"
  volatile.vol2.devlxd.owner: 8af1e2ae-84a2-5b8d-a33a-0f33af7ab8bf  # the ID of the identity token-of-volumes
devices:
  root:
    path: /
    pool: default
    type: disk
  eth0:
    hwaddr: 00:16:3E:A1:61:B3
    name: eth0
    nictype: p2p
    type: nic
  lo:
    hwaddr: 00:00:00:00:00:00
    type: nic
  data:
    path: /srv/with space
    source: /data
    type: disk
  vol2:
    path: /srv/vol2
    pool: default
    source: vol2
    type: disk
simulator:
  location: host1
  pro: available
  images: [{size: 3MB}]
  tokens: {token-of-volumes: trusted}
  pools:
    default:
      volumes:
        vol1: {owner: token-of-volumes, snapshots: {snap0: {}}}
        vol2: {owner: token-of-volumes}
"""


@pytest.fixture
def simulator(socket_directory: Path) -> Iterator[Simulator]:
    """LXD 6 with that instance."""
    guest = socket_directory / "guest.yaml"
    guest.write_text(GUEST)
    (socket_directory / "lxd").mkdir()
    with Simulator(socket_directory / "lxd" / "sock", guest, "lxd-6") as simulator:
        yield simulator


@pytest.fixture
def programs(simulator: Simulator) -> Iterator[Programs]:
    """Runs of `devlxdctl` in the background, with the socket of `simulator`."""
    programs = Programs(simulator)
    yield programs
    programs.close()


@pytest.fixture
def jobs(simulator: Simulator) -> Iterator[Jobs]:
    """Commands in the background that can be signalled, with the socket of `simulator`."""
    jobs = Jobs(simulator)
    yield jobs
    jobs.close()


@pytest.fixture
def image_directory(socket_directory: Path) -> Path:
    """An empty directory for exported images."""
    path = socket_directory / "images"
    path.mkdir()
    return path
