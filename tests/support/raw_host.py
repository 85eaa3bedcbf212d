"""A host on a Unix socket that sends exactly the bytes that a test gives, valid or not."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

Script = Callable[[bytes], bytes | None]
"""Returns the bytes of the response to a request, given as bytes; None closes the connection instead."""

OCTET_STREAM = "application/octet-stream"
"""The content type of values and images."""


def response(
    body: bytes,
    content_type: str = "application/json",
    status: str = "200 OK",
    extra: str = "",
    length: int | None = None,
) -> bytes:
    """Return a complete HTTP response.

    * `extra`: more header lines, each with its line end.
    * `length`: the value of Content-Length, by default the length of `body`.
    """
    length = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{extra}\r\n"
    return head.encode() + body


def chunked_response(
    *chunks: tuple[bytes, bytes],
    content_type: str = OCTET_STREAM,
    extra: str = "",
    end: bytes = b"0\r\n\r\n",
) -> bytes:
    """Return a response in the chunked transfer coding.

    * `chunks`: pairs of the size line, as it is sent, and the data.
    * `end`: the last chunk with its trailers.
    """
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{extra}Transfer-Encoding: chunked\r\n\r\n"
    return head.encode() + b"".join(size + b"\r\n" + data + b"\r\n" for size, data in chunks) + end


def websocket_accept(request: bytes) -> bytes:
    """Return the response that accepts the websocket handshake in `request`."""
    key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def websocket_frame(payload: bytes, opcode: int = 1, fin: bool = True, length: int | None = None) -> bytes:
    """Return a websocket frame of a server. `length` is what its header says, by default the real length."""
    size = len(payload) if length is None else length
    if size < 126:
        encoded = bytes([size])
    elif size < 1 << 16:
        encoded = b"\x7e" + struct.pack("!H", size)
    else:
        encoded = b"\x7f" + struct.pack("!Q", size)
    return bytes([fin << 7 | opcode]) + encoded + payload


class RawHost:
    """Listens at `path` and responds with what `script` returns. A context manager.

    Closes a connection after None, and after a response whose end its Content-Length does not mark.

    * `requests`: all requests so far, as bytes.
    * `connections`: the number of connections so far.
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
        self._start_thread(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in (self._listener, *self._open):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:  # the client has closed it already
                continue
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        for each in (self._listener, *self._open):
            each.close()

    def _start_thread(self, target: Callable[..., None], *args: object) -> None:
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
            self._start_thread(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        pending = b""
        try:
            while chunk := connection.recv(65536):
                pending += chunk
                head, end, body = pending.partition(b"\r\n\r\n")
                if not end or not _is_complete_request(head, body):
                    continue
                self.requests.append(pending)
                pending = b""
                given = self._script(self.requests[-1]) if callable(self._script) else self._script
                if given is not None:
                    self._send(connection, given)
                if given is None or not _is_complete_response(given):
                    break
        except OSError:  # the client has closed the connection, or `_send` ends it
            pass
        finally:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _send(self, connection: socket.socket, given: bytes) -> None:
        """Send a response. Subclasses change how; an `OSError` ends the connection."""
        connection.sendall(given)


def _is_complete_request(head: bytes, body: bytes) -> bool:
    if b"\r\ntransfer-encoding: chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= _content_length(head)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return 0


def _is_complete_response(given: bytes) -> bool:
    head, end, body = given.partition(b"\r\n\r\n")
    return bool(end) and b"connection: close" not in head.lower() and len(body) == _content_length(head)
