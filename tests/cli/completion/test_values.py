"""`completion.values`: what is completed, and how little a host in trouble delays it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.faults import parse_faults
from tests.support.faulty_hosts import refusing_host
from tests.support.program import Result, run

NOTHING = Result(0, b"\n", b"")

_LIMIT = 9.0
"""Seconds, less than the default retries and read timeouts take; a completion waits 0.25 s for the host."""


def complete(line: str, socket: Path | str) -> Result:
    """Return what `devlxdctl` prints for a TAB at the end of `line` in fish, whose format is the simplest."""
    env = {"_DEVLXDCTL_COMPLETE": "fish_complete", "COMP_WORDS": line}
    return run(socket=socket, env=env)


def test_values_on_the_command_line_are_not_completed_again(simulator: Simulator) -> None:
    simulator.set({"user.a": "1", "user.ab": "1"})
    line = "devlxdctl config get user.a user.a"
    assert complete(line, simulator.path) == Result(0, b"plain,user.ab\n", b"")
    line = "devlxdctl events --type config,"
    assert complete(line, simulator.path) == Result(0, b"plain,config,device\n", b"")
    line = "devlxdctl dump --only config,state,de"
    assert complete(line, simulator.path) == Result(0, b"plain,config,state,devices\n", b"")


def test_options_of_the_line_apply_to_its_completion(simulator: Simulator) -> None:
    line = f"devlxdctl --socket {simulator.path} config get user.ro"
    assert complete(line, "/nowhere/sock") == Result(0, b"plain,user.role\n", b"")


@contextmanager
def slow_host(path: Path) -> Iterator[None]:
    """A host that begins a response and then sends a byte every 20 ms, without end."""
    end = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"

    def serve() -> None:
        try:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(head)
                while not end.wait(0.02):
                    connection.sendall(b" ")
        except OSError:  # the client has closed the connection, or the test ends
            pass

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            end.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def faulty_simulator(fault: str) -> Callable[[Path], AbstractContextManager[object]]:
    return lambda path: Simulator(path, None, "lxd-6", parse_faults([fault]))


HOSTS: dict[str, Callable[[Path], AbstractContextManager[object]]] = {
    "no socket": lambda path: nullcontext(),
    "connection refused": refusing_host,
    "slow response": slow_host,
    "permission denied": faulty_simulator("forbidden"),
    "API switched off": faulty_simulator("off"),
    "restarting": faulty_simulator("boot-500=60"),
    "no response": faulty_simulator("hang"),
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("line", ["config get ", "devices ", "state "])
def test_completion_with_a_host_in_trouble_ends_soon_and_prints_nothing(
    line: str, host: str, socket_directory: Path
) -> None:
    path = socket_directory / "lxd" / "sock"
    path.parent.mkdir()
    with HOSTS[host](path):
        started = time.monotonic()
        assert complete(f"devlxdctl {line}", path) == NOTHING
        assert time.monotonic() - started < _LIMIT


@pytest.mark.parametrize("instruction", ["", "fish", "fish_", "nosuch_complete", "fish_nonsense"])
def test_unknown_completion_instruction_causes_no_traceback(instruction: str, simulator: Simulator) -> None:
    result = run(env={"_DEVLXDCTL_COMPLETE": instruction}, socket=simulator.path)
    assert b"Traceback" not in result.stderr


def test_completion_without_a_line_prints_no_error(simulator: Simulator) -> None:
    assert run(env={"_DEVLXDCTL_COMPLETE": "bash_complete"}, socket=simulator.path).stderr == b""


def test_token_file_that_cannot_be_read_is_not_reported(simulator: Simulator, tmp_path: Path) -> None:
    line = f"devlxdctl --token-file {tmp_path}/none config get user."
    assert complete(line, simulator.path) == NOTHING


def test_token_file_that_never_ends_does_not_delay_completion(simulator: Simulator, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    started = time.monotonic()
    line = f"devlxdctl --token-file {tmp_path}/fifo config get user."
    assert complete(line, simulator.path) == NOTHING
    assert time.monotonic() - started < _LIMIT
