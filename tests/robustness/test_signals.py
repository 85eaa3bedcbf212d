"""Signals at any moment of a waiting command: it dies by that signal, and prints nothing."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.hosts.jobs import DEFAULT_SIGNALS, poll
from tests.support.faulty_hosts import PausingHost
from tests.support.program import PROGRAM
from tests.support.raw_host import Script, response, websocket_accept

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
