"""What a host should not send on the stream of events: borne as a lost connection, in bounded memory."""

from __future__ import annotations

import itertools
import socket
import struct
import time
from pathlib import Path

import pytest

from devlxdctl import DevLXDError
from devlxdctl.events.stream import TYPES, Event, Events, Gap, Item, Queue
from devlxdctl.http.session import Session
from tests.hostile.hosts import Endless, Once, frame, resident
from tests.support.raw_host import RawHost, response, websocket_accept

GOOD = b'{"type":"config","metadata":{"key":"user.a"}}'


class Then(RawHost):
    """Accepts a websocket, and sends these bytes once; from then on, a good event to each connection."""

    def __init__(self, path: Path, first: bytes) -> None:
        super().__init__(path, websocket_accept)
        self._first: bytes | None = first

    def __enter__(self) -> Then:
        super().__enter__()
        return self

    def _send(self, connection: socket.socket, given: bytes) -> None:
        first, self._first = self._first, None
        connection.sendall(given + (frame(GOOD) if first is None else first))
        if first is None:
            while connection.recv(4096):
                continue
        raise ConnectionError("this is the end")


class Staying(RawHost):
    """Accepts a websocket, sends these bytes, and keeps the connection."""

    def __init__(self, path: Path, frames: bytes) -> None:
        super().__init__(path, websocket_accept)
        self._frames = frames

    def _send(self, connection: socket.socket, given: bytes) -> None:
        connection.sendall(given + self._frames)
        while connection.recv(4096):
            continue


def events(path: Path) -> Events[Item]:
    queue: Queue = Queue()
    return Events(Session(path), TYPES, queue)


FRAMES = {
    "an end without a word": b"",
    "half a head": b"\x81",
    "half a length": b"\x81\x7f\0\0",
    "a length of exabytes": frame(b"x", length=1 << 62),
    "a length beyond all": frame(b"x", length=(1 << 64) - 1),
    "half a message": frame(GOOD, length=len(GOOD) + 1),
    "a continuation of nothing": frame(GOOD, 0),
    "a beginning within a message": frame(GOOD, 1, False) + frame(GOOD, 1),
    "a control frame in pieces": frame(b"", 9, False),
    "a long ping": frame(b"x" * 126, 9),
    "a kind that is reserved": frame(GOOD, 3),
    "a bit that is reserved": b"\xc1\x00",
    "a good-bye": frame(struct.pack("!H", 1001) + b"going", 8),
    "a good-bye of no code": frame(b"", 8),
    "a good-bye of half a code": frame(b"\x03", 8),
    "a good-bye of an odd code": frame(struct.pack("!H", 1005), 8),
    "a good-bye that is no UTF-8": frame(struct.pack("!H", 1000) + b"\xff", 8),
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("name", FRAMES)
def test_what_makes_no_sense_is_a_gap(name: str, short: Path) -> None:
    before = resident()
    with Then(short / "sock", FRAMES[name]) as host, events(host.path) as stream:
        assert isinstance(stream.get(10), Gap)
        assert stream.get(10) == Event(GOOD.decode())
    assert resident() - before < 64 << 20


@pytest.mark.parametrize("code", [0, 999, *range(1000, 1016), 2999, 3000, 4999, 5000, 65535])
def test_a_good_bye_of_any_code_is_a_gap(code: int, short: Path) -> None:
    """Nothing follows from what a host says in it: whoever restarts is back, and is asked again."""
    with (
        Then(short / "sock", frame(struct.pack("!H", code) + b"why", 8)) as host,
        events(host.path) as stream,
    ):
        assert isinstance(stream.get(10), Gap)
        assert stream.get(10) == Event(GOOD.decode())


@pytest.mark.parametrize("size", range(len(frame(GOOD))))
def test_a_message_cut_at_any_byte_is_a_gap(size: int, short: Path) -> None:
    with Then(short / "sock", frame(GOOD)[:size]) as host, events(host.path) as stream:
        assert isinstance(stream.get(10), Gap)
        assert stream.get(10) == Event(GOOD.decode())


def test_a_message_in_frames_of_a_byte_is_one(short: Path) -> None:
    pieces = [frame(GOOD[at : at + 1], 0 if at else 1, at == len(GOOD) - 1) for at in range(len(GOOD))]
    with Staying(short / "sock", frame(b"", 9).join(pieces)) as host, events(host.path) as stream:
        assert stream.get(10) == Event(GOOD.decode())


def test_a_handshake_cut_at_any_byte_is_no_stream(short: Path) -> None:
    sizes = iter(range(1000))
    with Once(short / "sock", lambda request: websocket_accept(request)[: next(sizes)]) as host:
        for _ in range(len(websocket_accept(b"")) - len("\r\n")):
            with pytest.raises(DevLXDError):
                Events(Session(host.path, wait=0), TYPES, Queue())


@pytest.mark.parametrize(
    "odd",
    [
        frame(GOOD, 2),  # binary
        frame(b"", 10),  # an answer to no ping
        b"".join(frame(b"%d" % number, 9) for number in range(100)),
    ],
)
def test_what_is_merely_odd_is_passed_over(odd: bytes, short: Path) -> None:
    with Staying(short / "sock", odd + frame(GOOD)) as host, events(host.path) as stream:
        assert stream.get(10) == Event(GOOD.decode())


def test_a_masked_frame_is_read_or_a_gap_and_nothing_else(short: Path) -> None:
    masked = bytes([0x81, 0x80 | len(GOOD), 1, 2, 3, 4])
    masked += bytes(byte ^ key for byte, key in zip(GOOD, itertools.cycle(b"\1\2\3\4"), strict=False))
    with Then(short / "sock", masked) as host, events(host.path) as stream:
        first = stream.get(10)
        assert isinstance(first, Gap) or first == Event(GOOD.decode())


@pytest.mark.parametrize("again", [b"x" * 65536, frame(b"x" * 65000, 0, False)])
def test_a_message_without_end_is_a_gap(again: bytes, short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devlxdctl.events.stream.MAX_BACKLOG", 4 << 20)
    start = frame(b"", length=1 << 62) if again[0] == ord("x") else frame(b"", 1, False)
    before = resident()

    class Message(Endless):
        def _send(self, connection: socket.socket, given: bytes) -> None:
            super()._send(connection, given + start)

    with Message(short / "sock", websocket_accept, again) as host, events(host.path) as stream:
        assert isinstance(stream.get(20), Gap)
    assert resident() - before < 64 << 20


def test_a_host_that_drops_each_connection_at_once_is_not_hammered(short: Path) -> None:
    """And its gaps are one, however many they are."""
    with Once(short / "sock", websocket_accept) as host, events(host.path) as stream:
        time.sleep(1)  # what is counted is how often it is asked in that time
        asked = host.connections
        assert isinstance(stream.get(0), Gap)
    assert 2 <= asked <= 10


REFUSALS = {
    "another accept": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: AAAA\r\n\r\n",
    "no accept": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "no upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "a success without one": response(b"{}"),
    "a redirect": response(b"", status="301 Moved", extra="Location: ws://127.0.0.1:9/\r\n"),
    "a body of exabytes": response(b"no", status="400 Bad Request", length=1 << 62),
    "a length of many digits": b"HTTP/1.1 400 X\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a length below zero": b"HTTP/1.1 400 X\r\nContent-Length: -5\r\n\r\n",
    "no UTF-8": b"HTTP/1.1 101 \xff\r\n\r\n",
    "a header without a colon": b"HTTP/1.1 101 X\r\nUpgrade\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "nothing": b"\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_upgrade_is_an_error(name: str, short: Path) -> None:
    with Once(short / "sock", REFUSALS[name]) as host, pytest.raises(DevLXDError) as caught:
        Events(Session(host.path, wait=0), TYPES, Queue())
    assert "\n" not in str(caught.value)


def test_a_redirect_is_followed_nowhere(short: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        location = f"Location: ws://127.0.0.1:{elsewhere.getsockname()[1]}/1.0/events\r\n"
        with Once(short / "sock", response(b"", status="302 Found", extra=location)) as host:
            with pytest.raises(DevLXDError):
                Events(Session(host.path, wait=0), TYPES, Queue())
            assert len(host.requests) == 1
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_a_handshake_without_end_ends(short: Path) -> None:
    with Endless(short / "sock", b"HTTP/1.1 101 X\r\n", b"X: y\r\n" * 1000) as host:
        with pytest.raises(DevLXDError, match="does not speak HTTP"):
            Events(Session(host.path, wait=0), TYPES, Queue())
