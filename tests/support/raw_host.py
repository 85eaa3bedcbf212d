"""A unix socket that answers with exactly the bytes that a test gives: what no real host should say."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

Script = Callable[[bytes], bytes | None]


def response(
    body: bytes,
    kind: str = "application/json",
    status: str = "200 OK",
    extra: str = "",
    length: int | None = None,
) -> bytes:
    """A whole HTTP answer. `length` is what Content-Length says, the body's own by default."""
    length = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{extra}\r\n"
    return head.encode() + body


def websocket_accept(request: bytes) -> bytes:
    """The head that accepts a websocket."""
    key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


class RawHost:
    """Listens at `path`; `script` makes the bytes to answer a request with from the request's bytes.

    None closes the connection instead, and so does an answer that is not as long as it says.
    """

    def __init__(self, path: Path, script: Script | bytes | None) -> None:
        self.path = path
        self.requests: list[bytes] = []
        self.connections = 0
        self._script = script
        self._listener = socket.socket(socket.AF_UNIX)
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> RawHost:
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        self._spawn(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in (self._listener, *self._open):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:  # the other end was faster
                continue
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        for each in (self._listener, *self._open):
            each.close()

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # shut down
                return
            self.connections += 1
            self._open.append(connection)
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        pending = b""
        try:
            while chunk := connection.recv(65536):
                pending += chunk
                head, end, body = pending.partition(b"\r\n\r\n")
                if not end or not _has_come(head, body):
                    continue
                self.requests.append(pending)
                pending = b""
                given = self._script(self.requests[-1]) if callable(self._script) else self._script
                if given is not None:
                    self._send(connection, given)
                if given is None or not _is_whole(given):
                    break
        except OSError:  # the client has gone away
            pass
        finally:
            with contextlib.suppress(OSError):  # so has the connection
                connection.shutdown(socket.SHUT_RDWR)

    def _send(self, connection: socket.socket, given: bytes) -> None:
        connection.sendall(given)


def _has_come(head: bytes, body: bytes) -> bool:
    """Whether that is all of a request's body."""
    if b"\r\ntransfer-encoding: chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= _length(head)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return 0


def _is_whole(given: bytes) -> bool:
    head, end, body = given.partition(b"\r\n\r\n")
    return bool(end) and b"connection: close" not in head.lower() and len(body) == _length(head)
