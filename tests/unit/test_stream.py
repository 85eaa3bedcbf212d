"""`EventStream`: events are read ahead, connections that break are restored, and closing never hangs."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devlxdctl import (
    Client,
    DevLXDError,
    Dropped,
    Event,
    EventStream,
    Gap,
    NotSupported,
    PermissionDenied,
    UnexpectedResponse,
)
from devlxdctl.events.stream import MAX_BACKLOG, Item, Queue
from devlxdctl.simulator import Simulator
from tests.support.faulty_hosts import ClosingHost, WebSocketHost
from tests.support.raw_host import RawHost, response, websocket_accept, websocket_frame

MESSAGE = b'{"type":"config","timestamp":"t","metadata":{"key":"user.a","old_value":"","value":"1"}}\n'
EVENT = Event(MESSAGE.decode().rstrip("\n"))
CLOSE = 8
PING = 9


@contextmanager
def events_of(path: Path, output_fd: int | None = None) -> Iterator[EventStream[Item]]:
    with Client(path) as client, client.events(output_fd=output_fd) as events:
        yield events


def next_item(events: EventStream[Item]) -> Item:
    item = events.get(30)
    assert item is not None
    return item


def next_value(events: EventStream[Item]) -> object:
    """The value in the next event. Skips gaps."""
    while not isinstance(item := next_item(events), Event):
        continue
    return item.parse()["metadata"]["value"]


def test_events_are_returned_as_the_host_sends_them(socket_directory: Path) -> None:
    with WebSocketHost(socket_directory / "sock", [websocket_frame(MESSAGE)]) as raw_host:
        with events_of(raw_host.path) as events:
            assert next_item(events) == EVENT
            assert events.get(0) is None
    assert raw_host.requests[0].startswith(b"GET /1.0/events?type=config,device HTTP/1.1\r\n")
    assert b"\r\norigin" not in raw_host.requests[0].lower()
    assert b"Upgrade: websocket\r\n" in raw_host.requests[0]


def test_request_has_the_event_types_and_the_token(socket_directory: Path) -> None:
    with WebSocketHost(socket_directory / "sock", [b""]) as raw_host:
        with Client(raw_host.path, token="secret") as client:
            client.events(["device"]).close()
    assert raw_host.requests[0].startswith(b"GET /1.0/events?type=device HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in raw_host.requests[0]


def test_fragmented_message_with_a_ping_in_between_is_one_event(socket_directory: Path) -> None:
    middle = len(MESSAGE) // 2
    payload = websocket_frame(MESSAGE[:middle], fin=False)
    payload += websocket_frame(b"keepalive", PING) + websocket_frame(MESSAGE[middle:], 0)
    with WebSocketHost(socket_directory / "sock", [payload]) as raw_host:
        with events_of(raw_host.path) as events:
            assert next_item(events) == EVENT


def test_event_that_is_not_utf8_can_be_encoded_to_the_same_bytes(socket_directory: Path) -> None:
    with WebSocketHost(socket_directory / "sock", [websocket_frame(b'{"a":"\xff"}\n')]) as raw_host:
        with events_of(raw_host.path) as events:
            item = next_item(events)
    assert isinstance(item, Event)
    assert item.text.encode("utf-8", "surrogateescape") == b'{"a":"\xff"}'


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (
            response(b"Access denied\n", "text/plain", "401 Unauthorized"),
            PermissionDenied,
            "/1.0/events?type=config,device: permission denied: Access denied",
        ),
        (
            response(b"Forbidden\ninternal server error\n", "text/plain", "403 Forbidden"),
            PermissionDenied,
            "/1.0/events?type=config,device: permission denied",
        ),
        (
            response(b"404 page not found\n", "text/plain", "404 Not Found"),
            NotSupported,
            "/1.0/events?type=config,device: not supported by this host",
        ),
        (
            response(b'["/1.0"]\n'),
            UnexpectedResponse,
            "/1.0/events?type=config,device: HTTP status 200",
        ),
        (
            response(b"", status="307 Temporary Redirect", extra="Location: ws://127.0.0.1:9/\r\n"),
            UnexpectedResponse,
            "/1.0/events?type=config,device: not a websocket server",
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            UnexpectedResponse,
            "/1.0/events?type=config,device: not a websocket server",
        ),
        (b"hello\r\n\r\n", UnexpectedResponse, "/1.0/events?type=config,device: not a websocket server"),
    ],
)
def test_handshake_that_is_not_accepted_raises_the_error_of_its_status(
    given: bytes, error: type[DevLXDError], text: str, socket_directory: Path
) -> None:
    with RawHost(socket_directory / "sock", given) as raw_host, pytest.raises(error) as caught:
        with events_of(raw_host.path):
            pass
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "end",
    [b"", websocket_frame(b"\x03\xe8", CLOSE), websocket_frame(b"x" * 126, PING), b"\xff\xff"],
    ids=["end of file", "close frame", "invalid ping", "invalid frame"],
)
def test_lost_connection_is_restored_and_reported_as_a_gap(end: bytes, socket_directory: Path) -> None:
    payload = websocket_frame(MESSAGE) + end
    with WebSocketHost(socket_directory / "sock", [payload], stays_open=False) as raw_host:
        with events_of(raw_host.path) as events:
            assert next_item(events) == EVENT
            assert isinstance(next_item(events), Gap)
            assert next_item(events) == EVENT


def test_restart_of_the_host_is_reported_as_a_gap(simulator: Simulator) -> None:
    with events_of(simulator.path) as events:
        simulator.set({"user.a": "1"})
        assert next_value(events) == "1"
        simulator.restart(0.3)
        assert isinstance(next_item(events), Gap)
        simulator.set({"user.a": "2"})
        assert next_value(events) == "2"


def test_stream_continues_after_the_api_was_switched_off_and_on(simulator: Simulator) -> None:
    with events_of(simulator.path) as events:
        simulator.switch(False)
        simulator.switch(True)
        simulator.set({"user.a": "2"})
        assert next_value(events) == "2"


def test_status_401_on_a_reconnect_ends_the_stream(socket_directory: Path) -> None:
    handshakes = 0

    def script(request: bytes) -> bytes:
        nonlocal handshakes
        handshakes += 1
        if handshakes == 1:
            return websocket_accept(request) + websocket_frame(MESSAGE)
        return response(b"no\n", "text/plain", "401 Unauthorized")

    with ClosingHost(socket_directory / "sock", script) as raw_host, events_of(raw_host.path) as events:
        assert next_item(events) == EVENT
        for _ in range(2):
            with pytest.raises(PermissionDenied):
                events.get(30)


class PingingHost(RawHost):
    """Sends 20 pings, each after the pong for the one before, and then an event."""

    PINGS = 20

    def __init__(self, path: Path) -> None:
        super().__init__(path, websocket_accept)
        self.all_answered = threading.Event()

    def __enter__(self) -> PingingHost:
        super().__enter__()
        return self

    def _send(self, connection: socket.socket, given: bytes) -> None:
        connection.sendall(given)
        for number in range(self.PINGS):
            connection.sendall(websocket_frame(bytes([number]), PING))
            pong = connection.recv(7, socket.MSG_WAITALL)  # header, mask, one byte
            assert pong[:2] == b"\x8a\x81" and pong[6] ^ pong[2] == number
        connection.sendall(websocket_frame(MESSAGE))
        self.all_answered.set()
        connection.recv(1)


def test_pings_are_answered_while_no_event_is_consumed(socket_directory: Path) -> None:
    with PingingHost(socket_directory / "sock") as raw_host, events_of(raw_host.path) as events:
        assert raw_host.all_answered.wait(60)
        assert next_item(events) == EVENT


def test_events_beyond_the_backlog_are_dropped_and_counted() -> None:
    large, small = Event("x" * 1_000_000), EVENT
    fitting = MAX_BACKLOG // 1_000_000
    queue = Queue()
    for _ in range(70):
        queue.put(large)
    queue.put(small)
    assert [queue.take() for _ in range(fitting + 3)] == [
        *[large] * fitting,
        Dropped(70 - fitting),
        small,
        None,
    ]
    # The room is used again.
    for _ in range(fitting + 1):
        queue.put(large)
    assert [queue.take() for _ in range(fitting + 2)] == [*[large] * fitting, Dropped(1), None]


@pytest.mark.parametrize("text", ["", "{}"])
def test_backlog_counts_the_memory_of_small_events(text: str) -> None:
    queue = Queue()
    for _ in range(140_000):
        queue.put(Event(text))
    kept = 0
    while isinstance(item := queue.take(), Event):
        kept += 1
    assert 100_000 < kept <= MAX_BACKLOG // 512
    assert item == Dropped(140_000 - kept)


def test_backlog_counts_bytes_of_utf8() -> None:
    """As a `str`, an event with one emoji takes four bytes a character: three of them would fill it."""
    event = Event("x" * 15_000_000 + "\U0001f600")
    wide = Event("ü" * 7_500_000 + "\udcff")
    queue = Queue()
    for item in (event, wide, event, wide, event):
        queue.put(item)
    assert [queue.take() for _ in range(6)] == [event, wide, event, wide, Dropped(1), None]


def test_event_larger_than_the_limit_is_reported_and_the_stream_goes_on(
    socket_directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("devlxdctl.events.websocket.MAX_MESSAGE", 100_000)
    payloads = [websocket_frame(size * b"x") + websocket_frame(MESSAGE) for size in (99_000, 400_000)]
    with WebSocketHost(socket_directory / "sock", [*payloads, websocket_frame(MESSAGE)]) as raw_host:
        with events_of(raw_host.path) as events:
            assert next_item(events) == Event("x" * 99_000)
            assert next_item(events) == EVENT
            assert isinstance(next_item(events), Gap)
            while isinstance(item := next_item(events), Gap):  # one or two
                continue
            assert item == EVENT
    assert caplog.messages == ["events: an event larger than 100000 bytes is lost; reconnecting"]


def test_consecutive_gaps_are_one() -> None:
    queue = Queue()
    for item in (Gap(1.0), Gap(2.5), EVENT, Gap(1.0)):
        queue.put(item)
    assert [queue.take() for _ in range(4)] == [Gap(3.5), EVENT, Gap(1.0), None]


def test_close_sends_no_close_frame_that_the_host_would_have_to_answer(socket_directory: Path) -> None:
    """The closing handshake waits for seconds for a host that hangs."""
    with WebSocketHost(socket_directory / "sock", [b""]) as raw_host:
        events = Client(raw_host.path).events()
        events.close()
        events.close()
        assert [thread for thread in threading.enumerate() if thread.name == "devlxd-events"] == []
    assert raw_host.received == b""


@pytest.mark.timeout(60)
def test_close_during_a_reconnect_returns(socket_directory: Path) -> None:
    payload = websocket_frame(MESSAGE)
    with WebSocketHost(socket_directory / "sock", [payload], stays_open=False) as raw_host:
        events = Client(raw_host.path).events()
        assert next_item(events) == EVENT
    # The host has ended, so the thread reconnects.
    events.close()
    assert [thread for thread in threading.enumerate() if thread.name == "devlxd-events"] == []


def test_get_raises_when_the_reader_of_the_output_closes_it(socket_directory: Path) -> None:
    reader, writer = os.pipe()
    try:
        with WebSocketHost(socket_directory / "sock", [b""]) as raw_host:
            with events_of(raw_host.path, output_fd=writer) as events:
                assert events.get(0.05) is None
                timer = threading.Timer(0.1, os.close, [reader])
                timer.start()
                with pytest.raises(BrokenPipeError):
                    events.get(30)
                timer.join()
    finally:
        os.close(writer)
