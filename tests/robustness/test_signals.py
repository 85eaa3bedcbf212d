"""Signals at any moment of a waiting command: it dies by that signal and prints nothing, or it continues."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.hosts.jobs import DEFAULT_SIGNALS, Job, poll
from tests.support.faulty_hosts import PausingHost
from tests.support.program import PROGRAM
from tests.support.raw_host import OCTET_STREAM, Script, response, websocket_accept

COMMANDS = {
    "config watch": ["config", "watch"],
    "wait config": ["wait", "config", "user.never"],
    "ready --hold": ["ready", "--hold", "--interval", "0.1"],
}


@pytest.mark.parametrize("requests", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGINT])
@pytest.mark.parametrize("command", COMMANDS)
def test_signal_after_some_requests_ends_the_command(
    command: str, number: signal.Signals, requests: int, socket_directory: Path
) -> None:
    """SIGPIPE itself is ignored until something is written: SIGTERM then ends the command."""
    with (
        Simulator(socket_directory / "lxd" / "sock") as simulator,
        subprocess.Popen(
            [*DEFAULT_SIGNALS, PROGRAM, *COMMANDS[command]],
            env={"DEVLXD_SOCKET": str(simulator.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as program,
    ):
        try:
            poll("requests", lambda: len(simulator.requests) >= requests or None, 60, 0.001)
            program.send_signal(number)
            if number is signal.SIGPIPE:
                program.send_signal(signal.SIGTERM)
            _, stderr = program.communicate(timeout=60)
        finally:
            program.kill()
    expected = signal.SIGTERM if number is signal.SIGPIPE else number
    assert (program.returncode, stderr) == (-expected, b"")


@pytest.mark.parametrize("size", [0, 1, 30, 80])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("command", COMMANDS)
def test_signal_during_a_response_ends_the_command(
    command: str, number: signal.Signals, size: int, socket_directory: Path
) -> None:
    """The host has sent `size` bytes of its first response."""
    is_hold = command == "ready --hold"
    given: Script | bytes = response(b'{"state":"Started"}') if is_hold else websocket_accept
    with (
        PausingHost(socket_directory / "sock", given, size) as raw_host,
        subprocess.Popen(
            [*DEFAULT_SIGNALS, PROGRAM, *COMMANDS[command]],
            env={"DEVLXD_SOCKET": str(raw_host.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as program,
    ):
        assert raw_host.paused.wait(60)
        program.send_signal(number)
        stdout, stderr = program.communicate(timeout=60)
    assert (program.returncode, stdout, stderr) == (-number, b"", b"")


def test_change_while_a_watch_is_stopped_is_printed_after_it_continues(socket_directory: Path) -> None:
    with Simulator(socket_directory / "lxd" / "sock") as simulator:
        simulator.set({"user.a": "1"})
        env = {"DEVLXD_SOCKET": str(simulator.path)}
        with Job([PROGRAM, "config", "watch", "user.a", "--count", "1", "--interval", "0"], env=env) as job:
            job.wait_for(b"\t1\t")
            job.kill(signal.SIGSTOP)
            simulator.set({"user.a": "2"})
            job.kill(signal.SIGCONT)
            status = job.wait()
            values = [line.split(b"\t")[2] for line in job.stdout().splitlines()]
            assert (status, values, job.stderr()) == (0, [b"1", b"2"], b"")


def test_ready_that_is_lost_while_a_hold_is_stopped_is_reported_again(socket_directory: Path) -> None:
    with Simulator(socket_directory / "lxd" / "sock") as simulator:
        env = {"DEVLXD_SOCKET": str(simulator.path)}
        with Job([PROGRAM, "ready", "--hold", "--interval", "0.1"], env=env) as job:
            poll("Ready", lambda: simulator.ready or None, 60)
            job.kill(signal.SIGSTOP)
            simulator.restart()
            poll("Ready is lost", lambda: not simulator.ready or None, 60)
            job.kill(signal.SIGCONT)
            poll("Ready again", lambda: simulator.ready or None, 60)


@pytest.mark.parametrize("size", [0, 1, 30, len(response(b"", OCTET_STREAM)), -1])
def test_command_that_is_stopped_during_a_response_prints_it_after_it_continues(
    size: int, socket_directory: Path
) -> None:
    """The rest of the response arrives while it is stopped, or after."""
    given = response(b"0123456789", OCTET_STREAM)
    with PausingHost(socket_directory / "sock", given, size % len(given)) as raw_host:
        argv = [PROGRAM, "config", "get", "user.a"]
        with Job(argv, env={"DEVLXD_SOCKET": str(raw_host.path)}) as job:
            assert raw_host.paused.wait(60)
            job.kill(signal.SIGSTOP)
            raw_host.resume.set()
            job.kill(signal.SIGCONT)
            assert (job.wait(), job.stdout(), job.stderr()) == (0, b"0123456789\n", b"")
