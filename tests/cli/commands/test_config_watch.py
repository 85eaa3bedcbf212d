"""`config watch`: the values, then each change, and the command that runs after each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.cli.background import Programs
from tests.cli.upgrading_host import UpgradingHost
from tests.support.program import run
from tests.support.raw_host import response, websocket_accept


def test_watch_prints_initial_values_and_then_each_change(simulator: Simulator, programs: Programs) -> None:
    job = programs.start("config", "watch", "user.r*", "user.p*", "--count", "3")
    job.wait_for(b"user.role\tweb")
    for key, value in (("user.role", "db"), ("user.other", "x"), ("user.pet", "cat")):
        simulator.set({key: value})
        if key != "user.other":
            job.wait_for(f"{key}\t{value}".encode())
    simulator.unset("user.role")
    assert (job.wait(), job.stderr()) == (0, b"")
    assert job.stdout().decode() == (
        "initial\tuser.port\t8080\t\n"
        "initial\tuser.role\tweb\t\n"
        "changed\tuser.role\tdb\tweb\n"
        "added\tuser.pet\tcat\t\n"
        "removed\tuser.role\t\tdb\n"
    )


def test_watch_in_json_prints_one_object_for_each_change(simulator: Simulator, programs: Programs) -> None:
    job = programs.start("config", "watch", "user.role", "--count", "2", "-f", "json")
    job.wait_for(b"initial")
    simulator.set({"user.role": "d\nb"})
    job.wait_for(b"changed")
    simulator.unset("user.role")
    assert job.wait() == 0
    assert job.stdout().decode() == (
        '{"key":"user.role","value":"web","old_value":null,"action":"initial"}\n'
        '{"key":"user.role","value":"d\\nb","old_value":"web","action":"changed"}\n'
        '{"key":"user.role","value":null,"old_value":"d\\nb","action":"removed"}\n'
    )


def test_watch_prints_a_named_key_when_it_is_set(simulator: Simulator, programs: Programs) -> None:
    job = programs.start("config", "watch", "user.nope", "user.role", "--count", "1")
    job.wait_for(b"initial\tuser.role\tweb\t\n")
    simulator.set({"user.nope": "1"})
    assert (job.wait(), job.stderr()) == (0, b"")
    assert job.stdout() == b"initial\tuser.role\tweb\t\nadded\tuser.nope\t1\t\n"


def test_change_of_a_key_without_events_is_printed_after_the_interval(
    simulator: Simulator, programs: Programs
) -> None:
    job = programs.start("config", "watch", "cloud-init.*", "--interval", "0.2", "--count", "1")
    job.wait_for(b"initial")
    simulator.set({"cloud-init.user-data": "new"})
    assert job.wait(20) == 0
    assert job.stdout().endswith(
        b"changed\tcloud-init.user-data\tnew\t#cloud-config\\npackages: [nginx]\\n\n"
    )


def test_change_before_a_restart_of_the_host_is_printed_once_after_it(
    simulator: Simulator, programs: Programs
) -> None:
    job = programs.start("config", "watch", "cloud-init.user-data", "--interval", "0", "--count", "1")
    job.wait_for(b"initial")
    simulator.set({"cloud-init.user-data": "no event for this key"})
    simulator.restart(0.3)
    assert (job.wait(20), job.stderr()) == (0, b"")
    assert job.stdout().count(b"changed\tcloud-init.user-data\tno event for this key") == 1


def test_command_runs_for_each_line_with_the_value_on_stdin(
    simulator: Simulator, programs: Programs, socket_directory: Path
) -> None:
    script = socket_directory / "script"
    script.write_text(
        '#!/bin/sh\necho "$DEVLXD_ACTION $DEVLXD_KEY ${DEVLXD_VALUE-unset} ${DEVLXD_OLD_VALUE-unset} '
        '${DEVLXD_BEARER_TOKEN-unset} $1"\ncat\necho .\n'
    )
    script.chmod(0o755)
    argv = ["config", "watch", "user.role", "--count", "2", "--", str(script), "a  b"]
    job = programs.start(*argv, DEVLXD_BEARER_TOKEN="secret")
    job.wait_for(b".\n")
    simulator.set({"user.role": "db"})
    job.wait_for(b"db.\n")
    simulator.unset("user.role")
    assert job.wait() == 0
    assert job.stdout().decode() == (
        "initial\tuser.role\tweb\t\ninitial user.role web unset unset a  b\nweb.\n"
        "changed\tuser.role\tdb\tweb\nchanged user.role db web unset a  b\ndb.\n"
        "removed\tuser.role\t\tdb\nremoved user.role unset db unset a  b\n.\n"
    )


def test_changes_during_the_command_become_one_change_to_the_last_value(
    simulator: Simulator, programs: Programs, socket_directory: Path
) -> None:
    fifo, script = socket_directory / "fifo", socket_directory / "script"
    script.write_text(f'#!/bin/sh\n[ "$DEVLXD_ACTION" = initial ] && cat {fifo}\nexit 0\n')
    script.chmod(0o755)
    os.mkfifo(fifo)
    job = programs.start("config", "watch", "user.r*", "--count", "2", "--", str(script))
    job.wait_for(b"initial")
    for number in range(50):
        simulator.set({"user.role": str(number), "user.r2": str(number)})
    fifo.write_text("")  # ends the first command
    assert job.wait() == 0
    initial, *changes = job.stdout().decode().splitlines()
    assert initial == "initial\tuser.role\tweb\t"
    # The order depends on whether both events had arrived when the list was read.
    assert sorted(changes) == ["added\tuser.r2\t49\t", "changed\tuser.role\t49\tweb"]


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (["sh", "-c", "exit 3"], "user.role: sh failed with exit status 3"),
        (["sh", "-c", "kill -TERM $$"], "user.role: sh failed with signal 15"),
        (["nope"], "nope: no such file or directory"),
    ],
)
def test_command_that_fails_is_reported_and_watch_continues(
    command: list[str], error: str, simulator: Simulator, programs: Programs
) -> None:
    job = programs.start("config", "watch", "user.role", "--count", "1", "--", *command)
    job.wait_for(error.encode(), stderr=True)
    simulator.set({"user.role": "db"})
    assert job.wait() == 0
    assert job.stderr() == f"devlxdctl: {error}\n".encode() * 2


def test_value_too_large_for_an_environment_is_on_stdin_only(
    simulator: Simulator, programs: Programs
) -> None:
    simulator.set({"user.role": "x" * 500_000})
    command = ["sh", "-c", "wc -c; echo ${DEVLXD_VALUE-unset} $DEVLXD_KEY"]
    job = programs.start("config", "watch", "user.role", "--", *command)
    assert job.wait_for(b"unset user.role").splitlines()[1].strip() == b"500000"


def test_watch_reads_the_list_once_and_each_changed_key_once(
    simulator: Simulator, programs: Programs
) -> None:
    job = programs.start("config", "watch", "user.[pr]*", "--count", "1")
    job.wait_for(b"user.role")
    simulator.set({"user.role": "db", "user.motd": "not watched"})
    assert job.wait() == 0
    assert sorted(path for _, path, _ in simulator.requests) == [
        "/1.0/config",
        "/1.0/config/user.port",
        "/1.0/config/user.role",
        "/1.0/config/user.role",
        "/1.0/events?type=config",
    ]


def test_unexpected_response_after_the_start_is_reported_and_read_again(socket_directory: Path) -> None:
    responses = {
        "/1.0/config": [
            response(b'["/1.0/config/user.a"]'),
            response(b"<html>", "text/html"),
            response(b'["/1.0/config/user.a"]'),
        ],
        "/1.0/config/user.a": [response(value, "application/octet-stream") for value in (b"1", b"2")],
    }

    def script(request: bytes) -> bytes | None:
        path = request.split(b" ")[1].decode()
        return responses[path].pop(0) if path in responses else websocket_accept(request)

    with UpgradingHost(socket_directory / "sock", script) as raw_host:
        argv = ["config", "watch", "--interval", "0.1", "--count", "1"]
        result = run(*argv, socket=raw_host.path)
    assert (result.status, result.stdout) == (0, b"initial\tuser.a\t1\t\nchanged\tuser.a\t2\t1\n")
    assert result.stderr == b"devlxdctl: /1.0/config: unexpected content type text/html; reading again\n"
