"""Hosts that truncate their responses, pause, never finish them, or hold the connection."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import termios
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from devlxdctl import Client
from tests.hosts.jobs import poll
from tests.support.raw_host import RawHost, Script, websocket_accept

_TIMEOUT = 60.0  # seconds for a test to continue a response


@contextlib.contextmanager
def refusing_host(path: Path) -> Iterator[None]:
    """A socket whose listener has ended without removing it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    yield


class ClosingHost(RawHost):
    """Closes each connection after its first response, and loses no byte of it."""

    def __enter__(self) -> ClosingHost:
        super().__enter__()
        return self

    def _send(self, connection: socket.socket, given: bytes) -> None:
        with contextlib.suppress(OSError):  # the client has rejected the response
            connection.sendall(given)
            connection.shutdown(socket.SHUT_WR)
        # A close with unread bytes would reset the connection, and discard the response.
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                continue
        raise ConnectionError("closed after the response")


class EndlessHost(RawHost):
    """Sends the response, then `repeated` again and again until the client closes the connection.

    * `sent`: bytes of repetitions so far.
    """

    def __init__(self, path: Path, script: Script | bytes, repeated: bytes) -> None:
        super().__init__(path, script)
        self.repeated = repeated
        self.sent = 0

    def __enter__(self) -> EndlessHost:
        super().__enter__()
        return self

    def _send(self, connection: socket.socket, given: bytes) -> None:
        connection.sendall(given)
        while True:
            connection.sendall(self.repeated)
            self.sent += len(self.repeated)


class PausingHost(RawHost):
    """Sends `size` bytes of the first response, then waits for the test.

    * `paused`: set once the client has read these bytes.
    * `resume`: set by the test to send the rest.
    """

    def __init__(self, path: Path, script: Script | bytes, size: int) -> None:
        super().__init__(path, script)
        self.size = size
        self.paused = threading.Event()
        self.resume = threading.Event()

    def __enter__(self) -> PausingHost:
        super().__enter__()
        return self

    def _send(self, connection: socket.socket, given: bytes) -> None:
        if self._pauses(given):
            connection.sendall(given[: self.size])
            poll("read by the client", lambda: _unread(connection) == 0 or None, 20, 0.001)
            self.paused.set()
            self.resume.wait(_TIMEOUT)
            given = given[self.size :]
        connection.sendall(given)

    def _pauses(self, given: bytes) -> bool:
        return not self.paused.is_set()

    def __exit__(self, *error: object) -> None:
        self.resume.set()
        super().__exit__(None, None, None)


class PausingResumeHost(PausingHost):
    """Pauses only in responses with status 206: the rest of an image after a lost connection."""

    def _pauses(self, given: bytes) -> bool:
        return given.startswith(b"HTTP/1.1 206 ")


class HoldingHost(RawHost):
    """Sends the response, then nothing more, and keeps the connection until the end of the test.

    * `sent`: set once the response was sent.
    """

    def __init__(self, path: Path, script: Script | bytes | None) -> None:
        super().__init__(path, script)
        self.sent = threading.Event()
        self._ended = threading.Event()

    def __enter__(self) -> HoldingHost:
        super().__enter__()
        return self

    def _send(self, connection: socket.socket, given: bytes) -> None:
        super()._send(connection, given)
        self.sent.set()
        self._ended.wait(_TIMEOUT)

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        super().__exit__(None, None, None)


class WebSocketHost(RawHost):
    """Accepts websockets. The connection number n gets the payload number n, later ones get the last one.

    Connections are closed after their payload, but those with the last payload stay open if `stays_open`.

    * `received`: the frames of the client, as bytes.
    """

    def __init__(self, path: Path, payloads: Sequence[bytes], *, stays_open: bool = True) -> None:
        super().__init__(path, websocket_accept)
        self._payloads = list(payloads)
        self._stays_open = stays_open
        self.received = b""

    def __enter__(self) -> WebSocketHost:
        super().__enter__()
        return self

    def _send(self, connection: socket.socket, given: bytes) -> None:
        is_last = len(self._payloads) == 1
        payload = self._payloads[0] if is_last else self._payloads.pop(0)
        connection.sendall(given + payload)
        while is_last and self._stays_open and (received := connection.recv(4096)):
            self.received += received
        raise ConnectionError("closed after the payload")


@contextlib.contextmanager
def client_of(path: Path, given: Script | bytes) -> Iterator[Client]:
    """Return a client without retries, of a host that sends this response on each connection."""
    with ClosingHost(path, given), Client(path, wait=0) as client:
        yield client


def memory_size() -> int:
    """Bytes of resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def _unread(connection: socket.socket) -> int:
    """Bytes that were sent and that the other end has not read yet."""
    unread: int = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0]
    return unread
