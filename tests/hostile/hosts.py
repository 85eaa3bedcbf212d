"""Hosts that lie, break off and never end, for the catalogue of faults."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

from devlxdctl import Client
from tests.hosts.jobs import poll
from tests.support.raw_host import RawHost, Script, response

VALUE = b"0123456789"
"""What the key `user.a` holds."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def value(body: bytes = VALUE, extra: str = "") -> bytes:
    """A good answer with the value of a key."""
    return response(body, "application/octet-stream", extra=extra)


def chunked(*chunks: tuple[bytes, bytes], head: bytes = HEAD, end: bytes = b"0\r\n\r\n") -> bytes:
    """An answer in chunks, each of a size, as it says, and of data."""
    parts = b"".join(size + b"\r\n" + data + b"\r\n" for size, data in chunks)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + parts + end


class Once(RawHost):
    """Answers each connection with these bytes, whatever it is asked, and closes it."""

    def _send(self, connection: socket.socket, given: bytes) -> None:
        with contextlib.suppress(OSError):  # the client has heard enough
            connection.sendall(given)
            connection.shutdown(socket.SHUT_WR)
        # Not before the client closes: what is unread would be lost with a reset.
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                continue
        raise ConnectionError("this is the end")


class Endless(RawHost):
    """Sends these bytes, and then `again` over and over, until nobody takes them."""

    def __init__(self, path: Path, script: Script | bytes, again: bytes) -> None:
        super().__init__(path, script)
        self.again = again
        self.sent = 0

    def __enter__(self) -> Endless:
        super().__enter__()
        return self

    def _send(self, connection: socket.socket, given: bytes) -> None:
        connection.sendall(given)
        while True:
            connection.sendall(self.again)
            self.sent += len(self.again)


class Pausing(RawHost):
    """Sends its answer up to `pause`, says so once the client has taken it all, and goes on when it may."""

    def __init__(self, path: Path, script: Script | bytes, pause: int) -> None:
        super().__init__(path, script)
        self.pause = pause
        self.paused = threading.Event()
        self.go_on = threading.Event()

    def __enter__(self) -> Pausing:
        super().__enter__()
        return self

    def _send(self, connection: socket.socket, given: bytes) -> None:
        if self.pauses(given):
            connection.sendall(given[: self.pause])
            poll("taken", lambda: _unread(connection) == 0 or None, 20, 0.001)
            self.paused.set()
            self.go_on.wait(60)
            given = given[self.pause :]
        connection.sendall(given)

    def pauses(self, given: bytes) -> bool:
        return not self.paused.is_set()

    def __exit__(self, *error: object) -> None:
        self.go_on.set()
        super().__exit__(None, None, None)


class PausingLater(Pausing):
    """Pauses in the continuation only."""

    def pauses(self, given: bytes) -> bool:
        return given.startswith(b"HTTP/1.1 206 ")


@contextlib.contextmanager
def client(path: Path, given: Script | bytes) -> Iterator[Client]:
    """A client, which asks once, of a host that gives each of its connections this answer."""
    with Once(path, given), Client(path, wait=0) as asking:
        yield asking


def frame(payload: bytes, opcode: int = 1, fin: bool = True, length: int | None = None) -> bytes:
    """A frame of a websocket, as a server sends it; `length` is what it says."""
    size = len(payload) if length is None else length
    coded = bytes([size]) if size < 126 else b"\x7f" + struct.pack("!Q", size)
    return bytes([fin << 7 | opcode]) + coded + payload


def resident() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def _unread(connection: socket.socket) -> int:
    """Bytes that the other end has not taken yet."""
    held: int = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0]
    return held
