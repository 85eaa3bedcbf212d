"""Websocket frames and handshakes that no host should send: a lost connection, in bounded memory."""

from __future__ import annotations

import itertools
import socket
import struct
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devlxdctl import Client, DevLXDError, Event, EventStream, Gap
from devlxdctl.events.stream import Item
from tests.support.faulty_hosts import ClosingHost, EndlessHost, WebSocketHost, memory_size
from tests.support.raw_host import response, websocket_accept
from tests.support.raw_host import websocket_frame as frame

MESSAGE = b'{"type":"config","metadata":{"key":"user.a"}}'
EVENT = Event(MESSAGE.decode())
CONTINUATION, TEXT, BINARY, RESERVED, CLOSE, PING, PONG = 0, 1, 2, 3, 8, 9, 10
MEBIBYTE = 1024 * 1024


def events_of(path: Path) -> EventStream[Item]:
    return Client(path, wait=0).events()


def assert_gap_then_event(payload: bytes, path: Path) -> None:
    """The first connection, which gets `payload`, is lost; the second has an event."""
    with WebSocketHost(path, [payload, frame(MESSAGE)]) as raw_host, events_of(raw_host.path) as events:
        assert isinstance(events.get(60), Gap)
        assert events.get(60) == EVENT


INVALID_FRAMES = {
    "nothing": b"",
    "half a header": b"\x81",
    "half a length": b"\x81\x7f\0\0",
    "length of exabytes": frame(b"x", length=1 << 62),
    "largest length": frame(b"x", length=(1 << 64) - 1),
    "truncated message": frame(MESSAGE, length=len(MESSAGE) + 1),
    "continuation without a message": frame(MESSAGE, CONTINUATION),
    "message inside a message": frame(MESSAGE, fin=False) + frame(MESSAGE),
    "fragmented ping": frame(b"", PING, fin=False),
    "ping of 126 bytes": frame(b"x" * 126, PING),
    "reserved opcode": frame(MESSAGE, RESERVED),
    "reserved bit": b"\xc1\x00",
    "close frame": frame(struct.pack("!H", 1001) + b"restart", CLOSE),
    "close frame without a code": frame(b"", CLOSE),
    "close frame with half a code": frame(b"\x03", CLOSE),
    "close frame with a reserved code": frame(struct.pack("!H", 1005), CLOSE),
    "close frame that is not UTF-8": frame(struct.pack("!H", 1000) + b"\xff", CLOSE),
    "HTTP response": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("name", INVALID_FRAMES)
def test_invalid_or_closing_frame_is_a_lost_connection(name: str, socket_directory: Path) -> None:
    before = memory_size()
    assert_gap_then_event(INVALID_FRAMES[name], socket_directory / "sock")
    assert memory_size() - before < 64 * MEBIBYTE


@pytest.mark.parametrize("code", [0, 999, *range(1000, 1016), 2999, 3000, 4999, 5000, 65535])
def test_close_frame_with_any_code_leads_to_a_reconnect(code: int, socket_directory: Path) -> None:
    assert_gap_then_event(frame(struct.pack("!H", code) + b"reason", CLOSE), socket_directory / "sock")


@pytest.mark.parametrize("size", range(len(frame(MESSAGE))))
def test_message_truncated_at_any_byte_is_no_event(size: int, socket_directory: Path) -> None:
    assert_gap_then_event(frame(MESSAGE)[:size], socket_directory / "sock")


messages = st.one_of(
    st.text("ab\u00e4", max_size=200),
    st.sampled_from([125, 126, 127, 4095, 16380, 16384, 65535, 65536]).map(lambda size: "x" * size),
).map(str.encode)
"""Payloads of all lengths that have a header or a buffer of another kind."""

sequences = st.lists(
    st.one_of(
        messages.map(lambda text: ([text], frame(text))),
        st.tuples(messages, messages).map(
            lambda parts: ([b"".join(parts)], frame(parts[0], fin=False) + frame(parts[1], CONTINUATION))
        ),
        st.tuples(messages, messages).map(
            lambda parts: (
                [b"".join(parts)],
                frame(parts[0], fin=False) + frame(b"!", PING) + frame(parts[1], CONTINUATION),
            )
        ),
        messages.map(lambda text: ([], frame(text, BINARY))),
        st.just(([], frame(b"", PONG))),
        st.just(([], frame(b"alive", PING))),
    ),
    max_size=60,
)
"""The messages of text in some frames, and the frames."""


@settings(deadline=None, max_examples=60)
@given(sequences)
def test_any_frames_that_arrive_together_are_their_messages_in_order(
    sequence: list[tuple[list[bytes], bytes]],
) -> None:
    expected = [text.decode() for texts, _ in sequence for text in texts]
    payload = b"".join(frames for _, frames in sequence)
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        with WebSocketHost(Path(directory, "sock"), [payload + frame(MESSAGE)]) as raw_host:
            with events_of(raw_host.path) as events:
                assert [events.get(60) for _ in expected] == [Event(text) for text in expected]
                assert events.get(60) == EVENT


@pytest.mark.parametrize("size", [6, 126])
@pytest.mark.parametrize("shift", range(8))
def test_many_frames_are_complete_wherever_a_read_ends(size: int, shift: int, socket_directory: Path) -> None:
    """The header has two bytes, or four. Together, the ends of the reads are at each byte of a frame."""
    texts = [f"{number:06}".ljust(size, ".") for number in range((1 << 18) // size)]
    payload = frame(b"-" * shift) + b"".join(frame(text.encode()) for text in texts)
    with WebSocketHost(socket_directory / "sock", [payload]) as raw_host:
        with events_of(raw_host.path) as events:
            assert events.get(60) == Event("-" * shift)
            assert [events.get(60) for _ in texts] == [Event(text) for text in texts]


def test_message_of_64_kib_between_small_ones_is_complete(socket_directory: Path) -> None:
    large = b"x" * (1 << 16)
    payload = frame(MESSAGE) + frame(large) + frame(MESSAGE)
    with WebSocketHost(socket_directory / "sock", [payload]) as raw_host:
        with events_of(raw_host.path) as events:
            assert [events.get(60) for _ in range(3)] == [EVENT, Event(large.decode()), EVENT]


def test_message_in_one_byte_frames_with_pings_between_is_one_event(socket_directory: Path) -> None:
    last = len(MESSAGE) - 1
    frames = [
        frame(MESSAGE[at : at + 1], CONTINUATION if at else TEXT, fin=at == last) for at in range(last + 1)
    ]
    payload = frame(b"", PING).join(frames)
    with WebSocketHost(socket_directory / "sock", [payload]) as raw_host:
        with events_of(raw_host.path) as events:
            assert events.get(60) == EVENT


@pytest.mark.parametrize(
    "payload",
    [
        frame(MESSAGE, BINARY),
        frame(b"", PONG),
        b"".join(frame(b"%d" % number, PING) for number in range(100)),
    ],
    ids=["binary message", "pong without a ping", "100 pings"],
)
def test_frame_without_meaning_is_ignored(payload: bytes, socket_directory: Path) -> None:
    with WebSocketHost(socket_directory / "sock", [payload + frame(MESSAGE)]) as raw_host:
        with events_of(raw_host.path) as events:
            assert events.get(60) == EVENT


def test_events_between_a_ping_and_a_close_are_not_lost(socket_directory: Path) -> None:
    """The pong cannot be sent any more when all of them arrive at once."""
    frames = frame(b"", PING) + frame(MESSAGE) * 2 + frame(b"", CLOSE)
    with WebSocketHost(socket_directory / "sock", [frames], stays_open=False) as raw_host:
        with events_of(raw_host.path) as events:
            assert [events.get(60), events.get(60)] == [EVENT, EVENT]


def test_masked_frame_of_a_host_is_unmasked_or_a_lost_connection(socket_directory: Path) -> None:
    """Which of both depends on the version of websocket-client."""
    mask = b"\1\2\3\4"
    masked = bytes([0x81, 0x80 | len(MESSAGE)]) + mask
    masked += bytes(byte ^ key for byte, key in zip(MESSAGE, itertools.cycle(mask), strict=False))
    with WebSocketHost(socket_directory / "sock", [masked, frame(MESSAGE)]) as raw_host:
        with events_of(raw_host.path) as events:
            first = events.get(60)
            assert isinstance(first, Gap) or first == EVENT


@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        (frame(b"", length=1 << 62), b"x" * 65536),
        (frame(b"", fin=False), frame(b"x" * 65000, CONTINUATION, fin=False)),
    ],
    ids=["endless frame", "endless fragments"],
)
def test_endless_message_is_a_lost_connection(
    start: bytes, repeated: bytes, socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devlxdctl.events.websocket.MAX_MESSAGE", 4 * MEBIBYTE)
    before = memory_size()
    raw_host = EndlessHost(
        socket_directory / "sock", lambda request: websocket_accept(request) + start, repeated
    )
    with raw_host, events_of(raw_host.path) as events:
        assert isinstance(events.get(60), Gap)
    assert memory_size() - before < 64 * MEBIBYTE


def test_host_that_drops_each_connection_is_not_contacted_in_a_tight_loop(socket_directory: Path) -> None:
    """Without pauses, it would get hundreds of connections in a second. The gaps are one."""
    with ClosingHost(socket_directory / "sock", websocket_accept) as raw_host:
        with events_of(raw_host.path) as events:
            time.sleep(1)  # it counts connections in this time
            connections = raw_host.connections
            assert isinstance(events.get(60), Gap)
    assert connections <= 10


INVALID_HANDSHAKES = {
    "wrong accept": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: AAAA\r\n\r\n",
    "no accept": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "no upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "status 200": response(b"{}"),
    "redirect": response(b"", status="301 Moved", extra="Location: ws://127.0.0.1:9/\r\n"),
    "length of exabytes": response(b"no", status="400 Bad Request", length=1 << 62),
    "length of 5000 digits": b"HTTP/1.1 400 X\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "negative length": b"HTTP/1.1 400 X\r\nContent-Length: -5\r\n\r\n",
    "status line that is not UTF-8": b"HTTP/1.1 101 \xff\r\n\r\n",
    "header without a colon": b"HTTP/1.1 101 X\r\nUpgrade\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "empty head": b"\r\n\r\n",
}


@pytest.mark.parametrize("name", INVALID_HANDSHAKES)
def test_invalid_handshake_is_one_line_of_error(name: str, socket_directory: Path) -> None:
    with ClosingHost(socket_directory / "sock", INVALID_HANDSHAKES[name]) as raw_host:
        with pytest.raises(DevLXDError) as caught:
            events_of(raw_host.path)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status in (1, 7, 124)


def test_handshake_truncated_at_any_byte_is_an_error(socket_directory: Path) -> None:
    sizes = itertools.count()
    with ClosingHost(
        socket_directory / "sock", lambda request: websocket_accept(request)[: next(sizes)]
    ) as raw_host:
        for _ in range(len(websocket_accept(b"")) - len("\r\n")):
            with pytest.raises(DevLXDError):
                events_of(raw_host.path)


def test_redirect_of_a_handshake_is_not_followed(socket_directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_server:
        location = f"Location: ws://127.0.0.1:{other_server.getsockname()[1]}/1.0/events\r\n"
        given = response(b"", status="302 Found", extra=location)
        with ClosingHost(socket_directory / "sock", given) as raw_host:
            with pytest.raises(DevLXDError):
                events_of(raw_host.path)
        assert len(raw_host.requests) == 1
        other_server.setblocking(False)
        with pytest.raises(BlockingIOError):
            other_server.accept()


def test_endless_head_of_a_handshake_is_rejected(socket_directory: Path) -> None:
    raw_host = EndlessHost(socket_directory / "sock", b"HTTP/1.1 101 X\r\n", b"X: y\r\n" * 1000)
    with raw_host, pytest.raises(DevLXDError) as caught:
        events_of(raw_host.path)
    assert str(caught.value) == f"{raw_host.path}: not an HTTP server"
    assert raw_host.sent < 4 * MEBIBYTE
