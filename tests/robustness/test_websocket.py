"""Invalid websocket handshakes and frames: a lost connection or an error, in bounded memory."""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devlxdctl import Client, DevLXDError, Event, EventStream, Gap
from devlxdctl.events.stream import Item
from tests.hosts.jobs import poll
from tests.support.faulty_hosts import ClosingHost, EndlessHost, WebSocketHost, memory_size
from tests.support.raw_host import response, websocket_accept, websocket_frame

MESSAGE = b'{"type":"config","metadata":{"key":"user.a"}}'
EVENT = Event(MESSAGE.decode())
CONTINUATION, BINARY, CLOSE, PING, PONG = 0, 2, 8, 9, 10
TIMEOUT = 60.0
MAX_GROWTH = 64 << 20  # bytes of memory


@contextmanager
def events_of(path: Path) -> Iterator[EventStream[Item]]:
    with Client(path) as client, client.events() as events:
        yield events


def assert_gap_and_event(payload: bytes, socket_directory: Path) -> None:
    """The first connection gets `payload`, which breaks it; the next one gets a valid event."""
    payloads = [payload, websocket_frame(MESSAGE)]
    with WebSocketHost(socket_directory / "sock", payloads) as raw_host, events_of(raw_host.path) as events:
        assert isinstance(events.get(TIMEOUT), Gap)
        assert events.get(TIMEOUT) == EVENT


def assert_event(payload: bytes, socket_directory: Path) -> None:
    """The connection survives `payload`, and the first item is the event in it."""
    with WebSocketHost(socket_directory / "sock", [payload]) as raw_host:
        with events_of(raw_host.path) as events:
            assert events.get(TIMEOUT) == EVENT


BREAKING_PAYLOADS = {
    "closed without a frame": b"",
    "truncated header": b"\x81",
    "truncated length": b"\x81\x7f\0\0",
    "length of exabytes": websocket_frame(b"x", length=1 << 62),
    "largest length": websocket_frame(b"x", length=(1 << 64) - 1),
    "truncated message": websocket_frame(MESSAGE, length=len(MESSAGE) + 1),
    "continuation without a start": websocket_frame(MESSAGE, CONTINUATION),
    "message inside a message": websocket_frame(MESSAGE, 1, False) + websocket_frame(MESSAGE, 1),
    "fragmented control frame": websocket_frame(b"", PING, False),
    "ping that is too long": websocket_frame(b"x" * 126, PING),
    "reserved opcode": websocket_frame(MESSAGE, 3),
    "reserved bit": b"\xc1\x00",
    "close": websocket_frame(struct.pack("!H", 1001) + b"going", CLOSE),
    "close without a code": websocket_frame(b"", CLOSE),
    "close with a truncated code": websocket_frame(b"\x03", CLOSE),
    "close with a reserved code": websocket_frame(struct.pack("!H", 1005), CLOSE),
    "close with a reason that is not UTF-8": websocket_frame(struct.pack("!H", 1000) + b"\xff", CLOSE),
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("name", BREAKING_PAYLOADS)
def test_invalid_frame_is_a_gap(name: str, socket_directory: Path) -> None:
    before = memory_size()
    assert_gap_and_event(BREAKING_PAYLOADS[name], socket_directory)
    assert memory_size() - before < MAX_GROWTH


@pytest.mark.parametrize("code", [0, 999, *range(1000, 1016), 2999, 3000, 4999, 5000, 65535])
def test_close_with_any_code_is_a_gap(code: int, socket_directory: Path) -> None:
    assert_gap_and_event(websocket_frame(struct.pack("!H", code) + b"reason", CLOSE), socket_directory)


@pytest.mark.parametrize("size", range(len(websocket_frame(MESSAGE))))
def test_message_truncated_at_any_byte_is_a_gap(size: int, socket_directory: Path) -> None:
    assert_gap_and_event(websocket_frame(MESSAGE)[:size], socket_directory)


def test_message_in_frames_of_one_byte_is_one_event(socket_directory: Path) -> None:
    last = len(MESSAGE) - 1
    frames = [websocket_frame(MESSAGE[at : at + 1], 0 if at else 1, at == last) for at in range(last + 1)]
    assert_event(websocket_frame(b"", PING).join(frames), socket_directory)


@pytest.mark.parametrize(
    "frames",
    [
        websocket_frame(MESSAGE, BINARY),
        websocket_frame(b"", PONG),
        b"".join(websocket_frame(b"%d" % number, PING) for number in range(100)),
    ],
    ids=["binary message", "unexpected pong", "many pings"],
)
def test_unexpected_but_valid_frames_are_ignored(frames: bytes, socket_directory: Path) -> None:
    assert_event(frames + websocket_frame(MESSAGE), socket_directory)


def test_events_between_a_ping_and_a_close_are_not_lost(socket_directory: Path) -> None:
    """The pong cannot be sent any more when all of them arrive at once."""
    frames = websocket_frame(b"", PING) + websocket_frame(MESSAGE) * 2 + websocket_frame(b"", CLOSE)
    with WebSocketHost(socket_directory / "sock", [frames], stays_open=False) as raw_host:
        with events_of(raw_host.path) as events:
            assert [events.get(TIMEOUT), events.get(TIMEOUT)] == [EVENT, EVENT]


def test_masked_frame_is_an_event_or_a_gap(socket_directory: Path) -> None:
    masked = bytes([0x81, 0x80 | len(MESSAGE), 1, 2, 3, 4])
    masked += bytes(byte ^ key for byte, key in zip(MESSAGE, itertools.cycle(b"\1\2\3\4"), strict=False))
    payloads = [masked, websocket_frame(MESSAGE)]
    with WebSocketHost(socket_directory / "sock", payloads) as raw_host, events_of(raw_host.path) as events:
        first = events.get(TIMEOUT)
        assert isinstance(first, Gap) or first == EVENT


ENDLESS_MESSAGES = {
    "one frame": (websocket_frame(b"", length=1 << 62), b"x" * 65536),
    "fragments": (websocket_frame(b"", 1, False), websocket_frame(b"x" * 65000, CONTINUATION, False)),
}


@pytest.mark.parametrize("name", ENDLESS_MESSAGES)
def test_endless_message_is_a_gap_in_bounded_memory(
    name: str, socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devlxdctl.events.websocket.MAX_MESSAGE", 4 << 20)
    start, repeated = ENDLESS_MESSAGES[name]
    before = memory_size()
    path = socket_directory / "sock"
    with EndlessHost(path, lambda request: websocket_accept(request) + start, repeated):
        with events_of(path) as events:
            assert isinstance(events.get(TIMEOUT), Gap)
    assert memory_size() - before < MAX_GROWTH


def test_host_that_drops_every_connection_is_asked_at_most_five_times_a_second(
    socket_directory: Path,
) -> None:
    with ClosingHost(socket_directory / "sock", websocket_accept) as raw_host:
        with events_of(raw_host.path) as events:
            poll("three connections", lambda: raw_host.connections >= 3 or None, TIMEOUT)
            gap = events.get(TIMEOUT)
            connections = raw_host.connections
            assert isinstance(gap, Gap)
            # Gaps of several lost connections are one, which counts all of their time.
            assert connections <= 5 + gap.seconds * 5


REJECTED_HANDSHAKES = {
    "wrong Sec-WebSocket-Accept": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
    "no Sec-WebSocket-Accept": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\n\r\n",
    "no Upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "status 200": response(b"{}"),
    "redirect": response(b"", status="301 Moved", extra="Location: ws://127.0.0.1:9/\r\n"),
    "body of exabytes": response(b"no", status="400 Bad Request", length=1 << 62),
    "length of many digits": b"HTTP/1.1 400 X\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "length below zero": b"HTTP/1.1 400 X\r\nContent-Length: -5\r\n\r\n",
    "reason that is not UTF-8": b"HTTP/1.1 101 \xff\r\n\r\n",
    "header without a colon": b"HTTP/1.1 101 X\r\nUpgrade\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "empty line": b"\r\n\r\n",
}


def assert_no_stream(client: Client) -> DevLXDError:
    with pytest.raises(DevLXDError) as caught:
        client.events()
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", REJECTED_HANDSHAKES)
def test_rejected_handshake_is_an_error_of_one_line(name: str, socket_directory: Path) -> None:
    with ClosingHost(socket_directory / "sock", REJECTED_HANDSHAKES[name]) as raw_host:
        assert_no_stream(Client(raw_host.path, wait=0))


def test_handshake_truncated_at_any_byte_is_an_error(socket_directory: Path) -> None:
    sizes = iter(range(1000))
    path = socket_directory / "sock"
    with ClosingHost(path, lambda request: websocket_accept(request)[: next(sizes)]):
        for _ in range(len(websocket_accept(b"")) - len("\r\n")):
            assert_no_stream(Client(path, wait=0))


def test_redirect_of_the_handshake_is_not_followed(socket_directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        location = f"Location: ws://127.0.0.1:{elsewhere.getsockname()[1]}/1.0/events\r\n"
        redirect = response(b"", status="302 Found", extra=location)
        with ClosingHost(socket_directory / "sock", redirect) as raw_host:
            assert_no_stream(Client(raw_host.path, wait=0))
            assert len(raw_host.requests) == 1
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_endless_head_of_the_handshake_is_not_an_http_server(socket_directory: Path) -> None:
    with EndlessHost(socket_directory / "sock", b"HTTP/1.1 101 X\r\n", b"X: y\r\n" * 1000) as raw_host:
        assert assert_no_stream(Client(raw_host.path, wait=0)).problem == "not an HTTP server"
