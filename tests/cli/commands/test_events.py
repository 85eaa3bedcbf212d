"""`events`: one line for each event, and what is reported about lost ones."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.cli.background import DEFAULT_SIGNALS, TIMESTAMP, Job, Programs, wait_for_listeners
from tests.support.program import PROGRAM, Result, failure, run


def test_each_event_is_one_line_with_tabs(simulator: Simulator, programs: Programs) -> None:
    job = programs.start("events", "--count", "5")
    simulator.set({"user.role": "db\n"})
    simulator.set({"user.new": "1"})
    simulator.unset("user.new")
    simulator.device("nul", {"type": "unix-char", "path": "/dev/mynull", "source": "/dev/null"})
    simulator.remove_device("nul")
    assert (job.wait(), job.stderr()) == (0, b"")
    assert re.sub(TIMESTAMP, "TIME", job.stdout().decode()) == (
        "TIME\tconfig\tchanged\tuser.role\tdb\\n\tweb\n"
        "TIME\tconfig\tadded\tuser.new\t1\t\n"
        "TIME\tconfig\tremoved\tuser.new\t\t1\n"
        "TIME\tdevice\tadded\tnul\tpath=/dev/mynull\tsource=/dev/null\ttype=unix-char\n"
        "TIME\tdevice\tremoved\tnul\tpath=/dev/mynull\tsource=/dev/null\ttype=unix-char\n"
    )


def test_event_in_json_is_the_text_that_the_host_sent(simulator: Simulator, programs: Programs) -> None:
    job = programs.start("events", "--count", "1", "-f", "json", "--type", "config")
    simulator.device("nul", {"type": "none"})
    simulator.set({"user.role": "<&>ü\n"})
    assert job.wait() == 0
    assert re.sub(TIMESTAMP, "TIME", job.stdout().decode()) == (
        '{"type":"config","timestamp":"TIME","metadata":'
        '{"key":"user.role","old_value":"web","value":"\\u003c\\u0026\\u003eü\\n"}}\n'
    )


def test_event_is_written_before_the_next_one_arrives(simulator: Simulator, programs: Programs) -> None:
    job = programs.start("events")
    for number in range(3):
        simulator.set({"user.n": str(number)})
        job.wait_for(f"user.n\t{number}".encode())


@pytest.mark.parametrize(
    ("types", "unknown"),
    [
        ("bogus", "bogus"),
        ("Config", "Config"),
        ("config,", ""),
        ("", ""),
        ("config device", "config device"),
        ("lifecycle", "lifecycle"),
    ],
)
def test_unknown_type_of_event_is_a_usage_error(types: str, unknown: str, simulator: Simulator) -> None:
    error = f"events: invalid value for '--type': {unknown!r} is not a type of event: config, device"
    result = run("events", "--type", types, socket=simulator.path)
    assert result == failure(2, error, "see the help: devlxdctl events --help")
    assert simulator.requests == []


def test_for_ends_events_with_124_if_count_was_not_reached(simulator: Simulator) -> None:
    assert run("events", "--for", "0.2", socket=simulator.path) == Result(0, b"", b"")
    result = run("events", "--for", "0.2", "--count", "3", socket=simulator.path)
    assert result == failure(124, "events: 0 of 3 after 0.2 s")


def test_gap_is_reported_on_stderr_and_events_continue(simulator: Simulator, programs: Programs) -> None:
    job = programs.start("events")
    simulator.restart(0.2)
    stderr = job.wait_for(b"are lost", stderr=True)
    assert re.fullmatch(rb"devlxdctl: events: host unavailable for \d+\.\d s, its events are lost\n", stderr)
    simulator.set({"user.role": "db"})
    job.wait_for(b"user.role\tdb")


def test_closed_stdout_ends_events_by_sigpipe_although_no_event_follows(simulator: Simulator) -> None:
    script = '"$0" events | head -1; echo "${PIPESTATUS[0]}"'
    env = {"DEVLXD_SOCKET": str(simulator.path), "PATH": "/usr/bin:/bin"}
    with Job([*DEFAULT_SIGNALS, "bash", "-c", script, PROGRAM], env=env) as job:
        wait_for_listeners(simulator)
        simulator.set({"user.role": "db"})
        assert job.wait(20) == 0
        output = re.sub(TIMESTAMP, "TIME", job.stdout().decode())
        assert output == f"TIME\tconfig\tchanged\tuser.role\tdb\tweb\n{128 + signal.SIGPIPE}\n"
        assert job.stderr() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_events_dies_by_the_signal_without_output(number: signal.Signals, programs: Programs) -> None:
    job = programs.start("events")
    job.kill(number)
    assert (job.wait(), job.stdout(), job.stderr()) == (-number, b"", b"")


def test_events_without_a_socket_exits_5(socket_directory: Path) -> None:
    result = run("events", socket=socket_directory / "sock")
    assert (result.status, result.stdout) == (5, b"")
    assert result.stderr.startswith(f"devlxdctl: {socket_directory}/sock: no such socket\nhint: ".encode())
