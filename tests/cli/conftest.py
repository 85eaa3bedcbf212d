"""A simulated host with a small instance, for tests of what the commands print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator

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
simulator:
  location: host1
"""


@pytest.fixture
def guest(short: Path) -> Path:
    path = short / "guest.yaml"
    path.write_text(GUEST)
    return path


@pytest.fixture
def simulator(short: Path, guest: Path) -> Iterator[Simulator]:
    (short / "lxd").mkdir()
    with Simulator(short / "lxd" / "sock", guest, "lxd-6") as host:
        yield host
