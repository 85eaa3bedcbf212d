"""How many requests each command sends, over how many connections."""

from __future__ import annotations

import pytest

from devlxdctl.simulator import Simulator
from tests.support.program import Result, run

KEYS = [
    "/1.0/config/cloud-init.user-data",
    "/1.0/config/user.Quote%27s",
    "/1.0/config/user.motd",
    "/1.0/config/user.port",
    "/1.0/config/user.role",
    "/1.0/config/user.with%20space%2Fand%2525",
]
VALUES = ["/1.0", "/1.0/config", *KEYS]
"""The requests for all keys with their values. The state says whether the key with / and % can be read."""


@pytest.mark.parametrize(
    "argv",
    ["--version", "--help", "config ls --help", "config nope", "state --nope", "image export abc"],
)
def test_usage_errors_and_help_open_no_connection(argv: str, simulator: Simulator) -> None:
    run(*argv.split(), socket=simulator.path)
    assert simulator.connections == 0


@pytest.mark.parametrize(
    ("argv", "paths"),
    [
        ("versions", ["/"]),
        ("state", ["/1.0"]),
        ("state location", ["/1.0"]),
        ("ready", ["/1.0", "/1.0"]),
        ("ready --check", ["/1.0"]),
        ("config ls", ["/1.0/config"]),
        ("config ls user.*", ["/1.0/config"]),
        ("config get user.role", ["/1.0/config/user.role"]),
        ("config get user.nope --default x", ["/1.0/config/user.nope"]),
        ("devices", ["/1.0/devices"]),
        ("devices eth0", ["/1.0/devices"]),
        ("wait host", ["/1.0"]),
        ("wait config user.role --timeout 0", ["/1.0/config/user.role"]),
        ("events --for 0.01", ["/1.0/events?type=config,device"]),
        ("metadata", ["/1.0/meta-data"]),
        ("query /1.0/devices", ["/1.0/devices"]),
        ("pro status", ["/1.0/ubuntu-pro"]),
        ("pro token", ["/1.0/ubuntu-pro/token"]),
    ],
)
def test_command_needs_these_requests_over_one_connection(
    argv: str, paths: list[str], simulator: Simulator
) -> None:
    run(*argv.split(), socket=simulator.path)
    assert [path for _, path, _ in simulator.requests] == paths
    assert simulator.connections == 1


@pytest.mark.parametrize(
    ("argv", "paths"),
    [
        ("config get user.role user.port user.role", KEYS[4:2:-1]),
        ("config ls -l", VALUES),
        ("config env", VALUES),
        ("config run -- true", VALUES),
        ("-f json config ls -l user.[mpr]*", ["/1.0/config", *KEYS[2:5]]),
        ("dump", ["/", *VALUES, "/1.0/devices", "/1.0/meta-data"]),
    ],
)
def test_command_reads_each_key_once_over_one_connection(
    argv: str, paths: list[str], simulator: Simulator
) -> None:
    assert run(*argv.split(), socket=simulator.path).status == 0
    assert sorted(path for _, path, _ in simulator.requests) == sorted(paths)
    assert simulator.connections == 1


def test_command_reads_many_keys_over_two_connections(simulator: Simulator) -> None:
    simulator.set({f"user.many{number}": str(number) for number in range(20)})
    result = run("config", "ls", "-l", "user.many*", socket=simulator.path)
    lines = sorted(f"user.many{number}\t{number}" for number in range(20))
    assert result == Result(0, "".join(f"{line}\n" for line in lines).encode(), b"")
    assert simulator.connections <= 2


@pytest.mark.parametrize(
    ("argv", "paths"),
    [
        ("wait config user.role", ["/1.0/events?type=config", "/1.0/config/user.role"]),
        ("wait device eth0", ["/1.0/events?type=device", "/1.0/devices"]),
    ],
)
def test_wait_opens_one_connection_for_events_and_one_to_read(
    argv: str, paths: list[str], simulator: Simulator
) -> None:
    assert run(*argv.split(), socket=simulator.path).status == 0
    assert [path for _, path, _ in simulator.requests] == paths
    assert simulator.connections == 2
