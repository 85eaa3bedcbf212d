"""The stream of events: read ahead, answered, reconnected, and closed whatever the host does."""

from __future__ import annotations

import dataclasses
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from devlxdctl import NotSupported, PermissionDenied, UnexpectedResponse
from devlxdctl.events.stream import MAX_BACKLOG, TYPES, Backlog, Dropped, Event, Events, Gap, Item, Queue
from devlxdctl.http.session import Session
from devlxdctl.simulator import Simulator
from devlxdctl.simulator.profiles import LXD_6
from tests.support.raw_host import RawHost, response

MESSAGE = b'{"type":"config","timestamp":"t","metadata":{"key":"user.a","old_value":"","value":"1"}}\n'


def frame(payload: bytes, opcode: int = 1, fin: bool = True) -> bytes:
    length = len(payload)
    size = bytes([length]) if length < 126 else b"\x7f" + struct.pack("!Q", length)
    return bytes([fin << 7 | opcode]) + size + payload


class FrameHost(RawHost):
    """Accepts a websocket, sends these bytes, and keeps the connection or ends it."""

    def __init__(self, path: Path, payload: bytes, end: bool = False) -> None:
        super().__init__(path, accepted)
        self.payload = payload
        self.end = end

    def _send(self, connection: socket.socket, given: bytes) -> None:
        connection.sendall(given + self.payload)
        while not self.end and connection.recv(4096):
            continue
        raise ConnectionError("this is the end")


@contextmanager
def listening(path: Path, output: int | None = None) -> Iterator[Events[Item]]:
    queue: Backlog[Item] = Queue()
    with Events(Session(path), TYPES, queue, output) as events:
        yield events


def get(events: Events[Item]) -> Item:
    item = events.get(10)
    assert item is not None
    return item


def value(item: Item) -> str:
    assert isinstance(item, Event), item
    text = item.parse()["metadata"]["value"]
    assert isinstance(text, str)
    return text


def test_events_come_as_the_host_sends_them(short: Path) -> None:
    with FrameHost(short / "sock", frame(MESSAGE)) as host, listening(host.path) as events:
        assert get(events) == Event(MESSAGE.decode().rstrip("\n"))
        assert events.get(0) is None
    assert host.requests[0].startswith(b"GET /1.0/events?type=config,device HTTP/1.1\r\n")
    assert b"\r\norigin" not in host.requests[0].lower()
    assert b"Upgrade: websocket\r\n" in host.requests[0]


def test_the_types_are_always_sent_and_so_is_a_token(short: Path) -> None:
    with FrameHost(short / "sock", b"") as host:
        session = Session(host.path, token="secret")
        Events(session, ["device"], Queue()).close()
    assert host.requests[0].startswith(b"GET /1.0/events?type=device HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in host.requests[0]


def test_a_message_in_fragments_with_a_ping_in_the_middle_is_one(short: Path) -> None:
    middle = len(MESSAGE) // 2
    payload = frame(MESSAGE[:middle], 1, False) + frame(b"keepalive", 9) + frame(MESSAGE[middle:], 0)
    with FrameHost(short / "sock", payload) as host, listening(host.path) as events:
        assert get(events) == Event(MESSAGE.decode().rstrip("\n"))


def test_what_is_no_utf8_comes_back_to_the_byte(short: Path) -> None:
    with FrameHost(short / "sock", frame(b'{"a":"\xff"}\n')) as host, listening(host.path) as events:
        item = get(events)
        assert isinstance(item, Event)
        assert item.text.encode("utf-8", "surrogateescape") == b'{"a":"\xff"}'


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (response(b"Access denied\n", "text/plain", "401 Unauthorized"), PermissionDenied),
        (response(b"Forbidden\ninternal server error\n", "text/plain", "403 Forbidden"), PermissionDenied),
        (response(b"404 page not found\n", "text/plain", "404 Not Found"), NotSupported),
        (response(b'["/1.0"]\n'), UnexpectedResponse),
        (
            response(b"", status="307 Temporary Redirect", extra="Location: ws://127.0.0.1:9/\r\n"),
            UnexpectedResponse,
        ),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", UnexpectedResponse),
        (b"hello\r\n\r\n", UnexpectedResponse),
    ],
)
def test_a_refused_upgrade_is_an_error(given: bytes, error: type[Exception], short: Path) -> None:
    with RawHost(short / "sock", given) as host, pytest.raises(error):
        Events(Session(host.path), TYPES, Queue())


@pytest.mark.parametrize("end", [b"", frame(b"\x03\xe8", 8), frame(b"x" * 126, 9), b"\xff\xff"])
def test_a_connection_that_breaks_is_made_again_and_leaves_a_gap(end: bytes, short: Path) -> None:
    with FrameHost(short / "sock", frame(MESSAGE) + end, end=True) as host:
        with listening(host.path) as events:
            assert get(events) == Event(MESSAGE.decode().rstrip("\n"))
            gap = get(events)
            assert isinstance(gap, Gap) and gap.seconds < 5
            assert get(events) == Event(MESSAGE.decode().rstrip("\n"))


def test_a_restart_of_the_host_leaves_a_gap(short: Path) -> None:
    with Simulator(short / "lxd" / "sock") as host, listening(host.path) as events:
        host.set({"user.a": "1"})
        assert value(get(events)) == "1"
        host.restart(0.3)
        assert isinstance(get(events), Gap)
        host.set({"user.a": "2"})
        assert value(get(events)) == "2"


def test_switching_the_api_off_and_on_is_borne(short: Path) -> None:
    with Simulator(short / "lxd" / "sock") as host, listening(host.path) as events:
        host.switch(False)
        host.switch(True)
        host.set({"user.a": "2"})
        while not isinstance(item := get(events), Event):
            continue
        assert value(item) == "2"


def test_a_401_later_is_for_good(short: Path) -> None:
    answers = iter([None, response(b"no\n", "text/plain", "401 Unauthorized")])

    class Once(FrameHost):
        def _send(self, connection: socket.socket, given: bytes) -> None:
            refused = next(answers)
            if refused is None:
                connection.sendall(given + frame(MESSAGE))
            else:
                connection.sendall(refused)
            raise OSError

    with Once(short / "sock", b"") as host, listening(host.path) as events:
        assert isinstance(get(events), Event)
        with pytest.raises(PermissionDenied):
            events.get(10)


def test_pings_are_answered_while_nobody_consumes(short: Path) -> None:
    profile = dataclasses.replace(LXD_6, ping_interval=0.05, pong_timeout=0.5)
    with Simulator(short / "lxd" / "sock", profile=profile) as host, listening(host.path) as events:
        ends = time.monotonic() + 1.2
        number = 0
        while time.monotonic() < ends:
            number += 1
            host.set({"user.a": str(number)})
        assert [value(get(events)) for _ in range(number)] == [str(n + 1) for n in range(number)]
        assert host.connections == 1


def test_what_comes_beyond_the_read_ahead_is_dropped_and_counted() -> None:
    """Room that is made again is used again, and what was lost is told where it was lost."""
    large, small = Event("x" * 1_000_000), Event(MESSAGE.decode())
    queue = Queue()
    for _ in range(70):
        queue.put(large)
    queue.put(small)
    fitting = MAX_BACKLOG // 1_000_000
    for _ in range(fitting):
        assert queue.take() == large
    assert queue.take() == Dropped(70 - fitting)
    assert queue.take() == small
    assert queue.take() is None
    for _ in range(fitting + 1):
        queue.put(large)
    for _ in range(fitting):
        assert queue.take() == large
    assert queue.take() == Dropped(1)
    assert queue.take() is None


def test_closing_does_not_wait_for_a_host_that_hangs(short: Path) -> None:
    with FrameHost(short / "sock", b"") as host:
        events = Events(Session(host.path), TYPES, Queue())
        started = time.monotonic()
        events.close()
        events.close()
        assert time.monotonic() - started < 2
    assert not [thread for thread in threading.enumerate() if thread.name == "devlxd-events"]


def test_closing_while_it_reconnects(short: Path) -> None:
    with FrameHost(short / "sock", frame(MESSAGE), end=True) as host, ExitStack() as stack:
        events = stack.enter_context(listening(host.path))
        assert isinstance(get(events), Event)
        host.__exit__(None, None, None)
        started = time.monotonic()
        stack.close()
        assert time.monotonic() - started < 2


def test_waiting_ends_when_nobody_reads_the_output_any_more(short: Path) -> None:
    reader, writer = os.pipe()
    try:
        with FrameHost(short / "sock", b"") as host, listening(host.path, output=writer) as events:
            assert events.get(0.05) is None
            timer = threading.Timer(0.1, os.close, [reader])
            timer.start()
            with pytest.raises(BrokenPipeError):
                events.get(10)
            timer.join()
    finally:
        os.close(writer)
