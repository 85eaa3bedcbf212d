"""`devices`: whole outputs, in text and in JSON."""

from __future__ import annotations

import json

import pytest

from devlxdctl.simulator import Simulator
from tests.support.program import Result, failure, run

DEVICES = {
    "data": {"path": "/srv/with space", "source": "/data", "type": "disk"},
    "eth0": {"hwaddr": "00:16:3E:A1:61:B3", "name": "eth0", "nictype": "p2p", "type": "nic"},
    "lo": {"hwaddr": "00:00:00:00:00:00", "type": "nic"},
    "root": {"path": "/", "pool": "default", "type": "disk"},
    "vol2": {"path": "/srv/vol2", "pool": "default", "source": "vol2", "type": "disk"},
}
LIST = "list the devices: devlxdctl devices"


def compact_json(data: object) -> str:
    return json.dumps(data, separators=(",", ":")) + "\n"


@pytest.mark.parametrize(
    ("argv", "stdout"),
    [
        (
            [],
            "data\tdisk\t-\tpath=/srv/with space\tsource=/data\n"
            "eth0\tnic\t-\thwaddr=00:16:3E:A1:61:B3\tname=eth0\tnictype=p2p\n"
            "lo\tnic\tlo\thwaddr=00:00:00:00:00:00\n"
            "root\tdisk\t-\tpath=/\tpool=default\n"
            "vol2\tdisk\t-\tpath=/srv/vol2\tpool=default\tsource=vol2\n",
        ),
        (["-f", "json"], compact_json(DEVICES)),
        (["root"], "root\tdisk\t-\tpath=/\tpool=default\n"),
        (["root", "-f", "json"], compact_json(DEVICES["root"])),
        (
            ["--type", "disk", "-f", "json"],
            compact_json({each: DEVICES[each] for each in ("data", "root", "vol2")}),
        ),
        (["--type", "gpu"], ""),
    ],
)
def test_devices_prints_all_devices_or_one(argv: list[str], stdout: str, simulator: Simulator) -> None:
    assert run("devices", *argv, socket=simulator.path) == Result(0, stdout.encode(), b"")


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["nope"], "nope: no such device"),
        (["root", "--type", "nic"], "root: no such device of type nic"),
    ],
)
def test_device_that_does_not_exist_exits_6(argv: list[str], error: str, simulator: Simulator) -> None:
    assert run("devices", *argv, socket=simulator.path) == failure(6, error, LIST)
