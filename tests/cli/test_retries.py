"""How long a command retries while the host is unavailable, and how it ends then."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.exports import FINGERPRINT, IMAGE, unified
from tests.support.faulty_hosts import HoldingHost, refusing_host
from tests.support.program import PROGRAM, Result, failure, run
from tests.support.raw_host import RawHost, Script, response

DAEMON = "the daemon of the host is stopped or starting; on the host: lxc info"
NO_RESPONSE = "the daemon of the host does not respond; on the host: lxc info"
LOOK_AT_DAEMON = "look at the daemon of the host; on the host: lxc info"
STATE = b'{"state":"Started","api_version":"1.0","instance_type":"container","location":"none"}\n'
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def silent_host(path: Path) -> Iterator[None]:
    """A host that accepts connections and never responds."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        yield


@contextmanager
def busy_host(path: Path) -> Iterator[None]:
    """A host that accepts no connections and whose queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(0)
        other = stack.enter_context(socket.socket(socket.AF_UNIX))
        other.connect(str(path))
        yield


MakeHost = Callable[[Path], AbstractContextManager[object]]


def raw_host(script: Script | bytes | None) -> MakeHost:
    return lambda path: RawHost(path, script)


UNAVAILABLE: dict[str, tuple[MakeHost, str, str]] = {
    "refused": (refusing_host, "{socket}: connection refused", DAEMON),
    "busy": (busy_host, "{socket}: too busy to accept connections", NO_RESPONSE),
    "truncated body": (raw_host(response(STATE, length=500)), "{socket}: truncated response", DAEMON),
    "truncated chunk": (raw_host(CHUNKED + b"50\r\n{"), "{socket}: truncated response", DAEMON),
    "503": (
        raw_host(response(b"", "text/plain", "503 Service Unavailable")),
        "/1.0: HTTP status 503",
        LOOK_AT_DAEMON,
    ),
    "500": (
        raw_host(response(b"sql: database is closed\n", "text/plain", "500 Internal Server Error")),
        "/1.0: HTTP status 500: sql: database is closed",
        LOOK_AT_DAEMON,
    ),
}
"""Hosts that look as during a restart of their daemon."""


def test_unavailable_host_is_retried_for_ten_seconds_and_a_silent_one_awaited_for_fifteen(
    socket_directory: Path,
) -> None:
    """All at the same time, since each takes that long."""
    with ExitStack() as stack:
        programs = {}
        started = time.monotonic()

        def start(name: str, *argv: str) -> None:
            programs[name] = stack.enter_context(
                subprocess.Popen([PROGRAM, *argv], env={}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            )

        paths = {
            name: socket_directory / name / "lxd" / "sock" for name in [*UNAVAILABLE, "silent", "middle"]
        }
        for name, path in paths.items():
            path.parent.mkdir(parents=True)
            if name != "middle":
                stack.enter_context(UNAVAILABLE[name][0](path) if name in UNAVAILABLE else silent_host(path))
                start(name, "state", "--socket", str(path))
        # In the middle of a long response, the read timeout applies, and not the time that is left of --wait.
        stack.enter_context(HoldingHost(paths["middle"], unified()[:-1]))
        (socket_directory / "images").mkdir()
        options = ["--socket", str(paths["middle"]), "--wait", "1", "-o", f"{socket_directory}/images"]
        start("middle", "image", "export", *options, FINGERPRINT)
        results = {}
        for name, program in programs.items():
            stdout, stderr = program.communicate(timeout=90)
            results[name] = Result(program.returncode, stdout, stderr)
        elapsed = time.monotonic() - started
    for name, (_, error, hint) in UNAVAILABLE.items():
        seconds = results[name].stderr.partition(b"; tried for ")[2].partition(b" s\n")[0].decode()
        assert 9 <= int(seconds) <= elapsed, (name, results[name])
        text = error.format(socket=paths[name])
        assert results[name] == failure(7, f"{text}; tried for {seconds} s", hint)
    assert results["silent"] == failure(7, f"{paths['silent']}: no response within 15 s", NO_RESPONSE)
    problem = f"connection lost after 0 of {len(IMAGE)} bytes: no response within 15 s"
    assert results["middle"] == failure(7, f"{FINGERPRINT}: {problem}", NO_RESPONSE)
    assert list((socket_directory / "images").iterdir()) == []
    assert elapsed >= 15


def test_status_500_is_retried_where_no_host_of_a_guest_responds(socket_directory: Path) -> None:
    """On a socket of a guest, it can also mean a container inside the guest, which is never identified."""
    given = response(b"Process ID not found\n", "text/plain", "500 Internal Server Error")
    responses = iter([given, response(STATE)])
    with RawHost(socket_directory / "sock", lambda request: next(responses)) as host:
        result = run("state", "state", socket=host.path)
    assert result == Result(0, b"Started\n", b"")


@pytest.mark.parametrize(
    ("make", "problem", "hint"),
    [
        (refusing_host, "connection refused", DAEMON),
        (silent_host, "no response within 1 s", NO_RESPONSE),
        (raw_host(response(STATE, length=500)), "truncated response", DAEMON),
    ],
)
def test_unavailable_host_exits_124_at_the_end_of_wait(
    make: MakeHost, problem: str, hint: str, socket_directory: Path
) -> None:
    path = socket_directory / "lxd" / "sock"
    path.parent.mkdir()
    with make(path):
        result = run("state", "--wait", "0.3", socket=path)
    assert result == failure(124, f"{path}: {problem}; waited 0.3 s", hint)


def test_wait_of_0_seconds_tries_once(socket_directory: Path) -> None:
    path = socket_directory / "lxd" / "sock"
    path.parent.mkdir()
    with refusing_host(path):
        result = run("state", "--wait", "0", "-v", socket=path)
    assert result == failure(124, f"{path}: connection refused; waited 0 s", DAEMON)


def test_response_of_single_bytes_is_accepted(socket_directory: Path) -> None:
    class SlowHost(RawHost):
        def _send(self, connection: socket.socket, given: bytes) -> None:
            for number in range(len(given)):
                connection.sendall(given[number : number + 1])

    with SlowHost(socket_directory / "sock", response(STATE)) as host:
        result = run("state", "state", socket=host.path)
    assert result == Result(0, b"Started\n", b"")


def test_request_is_sent_again_until_a_response_is_complete(socket_directory: Path) -> None:
    unavailable = response(b"starting\n", "text/plain", "503 Service Unavailable")
    responses = iter([None, unavailable, response(STATE, length=500), response(STATE)])
    with RawHost(socket_directory / "sock", lambda request: next(responses)) as host:
        result = run("state", "state", socket=host.path)
    assert result == Result(0, b"Started\n", b"")
    assert len(host.requests) == 4
