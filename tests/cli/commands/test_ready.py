"""`ready`: reporting Ready, checking it, and reporting it again after a restart of the host."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.cli.background import Programs, poll
from tests.support.program import Result, failure, run

UPGRADE = "upgrade LXD on the host: this version does not support readiness"


@pytest.mark.parametrize("argv", [["ready"], ["ready", "-f", "json"]])
def test_ready_reports_ready_and_prints_nothing(argv: list[str], simulator: Simulator) -> None:
    assert run(*argv, socket=simulator.path) == Result(0, b"", b"")
    assert simulator.ready is True


def test_ready_unset_reports_not_ready(simulator: Simulator) -> None:
    run("ready", socket=simulator.path)
    assert run("ready", "--unset", socket=simulator.path) == Result(0, b"", b"")
    assert simulator.ready is False


def test_ready_check_exits_6_until_the_instance_is_ready(simulator: Simulator) -> None:
    assert run("ready", "--check", socket=simulator.path) == Result(6, b"", b"")
    run("ready", socket=simulator.path)
    assert run("ready", "--check", socket=simulator.path) == Result(0, b"", b"")


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["ready"], "ignored by this host"),
        (["ready", "--hold"], "not supported by this host"),
        (["ready", "--check"], "not supported by this host"),
    ],
)
def test_ready_exits_3_on_a_host_without_readiness(
    argv: list[str], problem: str, socket_directory: Path
) -> None:
    (socket_directory / "lxd").mkdir()
    with Simulator(socket_directory / "lxd" / "sock", profile="lxd-5.0") as simulator:
        assert run(*argv, socket=simulator.path) == failure(3, f"ready: {problem}", UPGRADE)


def test_ready_hold_without_a_socket_exits_5(socket_directory: Path) -> None:
    assert run("ready", "--hold", socket=socket_directory / "sock").status == 5


def reports_more_than(simulator: Simulator, number: int) -> bool | None:
    return sum(method == "PATCH" for method, _, _ in simulator.requests) > number or None


def test_ready_hold_reports_ready_again_after_each_restart_of_the_host(
    simulator: Simulator, programs: Programs
) -> None:
    job = programs.start("ready", "--hold", "--interval", "0.1", listens=False)
    poll("Ready", lambda: simulator.ready, 20)
    for restarts in range(1, 3):
        simulator.restart(0.2)
        poll("another report", partial(reports_more_than, simulator, restarts), 20)
        poll("Ready again", lambda: simulator.ready, 20)
    assert job.running
    job.kill(signal.SIGTERM)
    assert (job.wait(), job.stdout(), job.stderr()) == (-signal.SIGTERM, b"", b"")
