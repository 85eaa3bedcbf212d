"""Keys that no path of a URL can name, and keys that are forbidden: one of them does not stop the others."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from tests.cli.background import DEFAULT_SIGNALS
from tests.hosts.jobs import Job
from tests.support.program import PROGRAM, Result, run
from tests.support.raw_host import OCTET_STREAM, RawHost, response, websocket_accept, websocket_frame

ODD_KEYS = ["", ".", "..", "user.\ud800"]
WARNINGS = b"".join(
    b"devlxdctl: %s: not a valid name; skipped\n" % name
    for name in (b"''", b".", b"..", rb"user.\xed\xa0\x80")
)


class ScriptedHost(RawHost):
    """A host with some keys, of which `forbidden` are listed, but answered with 403; and with some events."""

    def __init__(self, path: Path, keys: list[str], events: list[str], forbidden: str = "") -> None:
        super().__init__(path, self._respond)
        self._listed = json.dumps([f"/1.0/config/{key}" for key in keys]).encode()
        self._frames = b"".join(
            websocket_frame(
                json.dumps(
                    {"type": "config", "metadata": {"key": key, "value": "", "old_value": ""}}
                ).encode(),
                length=None,
            )
            for key in events
        )
        self._forbidden = forbidden
        self.value = b"1"

    def __enter__(self) -> ScriptedHost:
        super().__enter__()
        return self

    def _respond(self, request: bytes) -> bytes:
        path = request.split(b" ")[1]
        if path.startswith(b"/1.0/events"):
            return websocket_accept(request) + self._frames
        if path == b"/1.0/config":
            return response(self._listed)
        if path == f"/1.0/config/{self._forbidden}".encode():
            return response(b"not authorized\n", "text/plain", "403 Forbidden")
        if path == b"/1.0/config/user.a":
            return response(self.value, OCTET_STREAM)
        return response(b"not found\n", "text/plain", "404 Not Found")

    def _send(self, connection: socket.socket, given: bytes) -> None:
        connection.sendall(given)
        if given.startswith(b"HTTP/1.1 101 "):
            while connection.recv(4096):
                continue

    def count(self, path: bytes) -> int:
        """The number of requests for a path so far."""
        return sum(request.split(b" ")[1] == path for request in self.requests)


def start_watch(host: RawHost, *argv: str) -> Job:
    words = [PROGRAM, "--socket", str(host.path), "config", "watch", *argv]
    return Job([*DEFAULT_SIGNALS, *words], env={"PATH": os.defpath})


@pytest.mark.parametrize(
    ("argv", "stdout"),
    [
        (["config", "ls", "-l"], b"user.a\t1\n"),
        (["config", "env"], b"USER_A='1'\n"),
        (["config", "run", "--", "printenv", "USER_A"], b"1\n"),
    ],
    ids=["config ls -l", "config env", "config run"],
)
def test_odd_keys_in_the_list_are_skipped_with_a_warning(
    argv: list[str], stdout: bytes, socket_directory: Path
) -> None:
    with ScriptedHost(socket_directory / "sock", [*ODD_KEYS, "user.a"], []) as host:
        assert run(*argv, socket=host.path) == Result(0, stdout, WARNINGS)


def test_watch_goes_on_after_odd_keys_in_the_list_and_in_events(socket_directory: Path) -> None:
    with ScriptedHost(socket_directory / "sock", [*ODD_KEYS, "user.a"], [*ODD_KEYS, "user.a"]) as host:
        with start_watch(host, "--interval", "0.2") as job:
            job.wait_for(b"initial\tuser.a\t1\t\n")
            host.value = b"2"
            job.wait_for(b"changed\tuser.a\t2\t1\n")
            assert job.running
            # An event can arrive before the list: then its key is first.
            assert sorted(job.stderr().splitlines()) == sorted(WARNINGS.splitlines())


def test_event_for_a_forbidden_key_does_not_keep_watch_from_other_keys(socket_directory: Path) -> None:
    with ScriptedHost(
        socket_directory / "sock", ["user.a", "user.b"], ["user.b", "user.a"], forbidden="user.b"
    ) as host:
        with start_watch(host, "--interval", "0.2") as job:
            job.wait_for(b"initial\tuser.a\t1\t\n")
            job.wait_for(b"user.b: ", stderr=True)
            host.value = b"2"
            job.wait_for(b"changed\tuser.a\t2\t1\n")
            assert job.running
            assert job.stderr() == b"devlxdctl: user.b: permission denied; skipped\n"


def test_forbidden_key_is_not_read_again_and_again(socket_directory: Path) -> None:
    with ScriptedHost(
        socket_directory / "sock", ["user.a", "user.b"], ["user.b"], forbidden="user.b"
    ) as host:
        with start_watch(host, "--interval", "0") as job:
            job.wait_for(b"initial\tuser.a\t1\t\n")
            job.wait_for(b"user.b: ", stderr=True)
            with pytest.raises(TimeoutError):
                job.wait_for(b"never", timeout=2)
            # The full read, the event, and their second attempts.
            assert host.count(b"/1.0/config/user.b") <= 4
