"""A Unix socket with limits on time and size, and a response that rejects malformed framing.

A read timeout alone restarts at each byte, so a host that sends one byte a second never times out. A host
that sends chunk headers or trailers without end never finishes.
"""

from __future__ import annotations

import errno
import io
import re
import socket
import time
from email.errors import (
    FirstHeaderLineIsContinuationDefect,
    InvalidHeaderDefect,
    MissingHeaderBodySeparatorDefect,
)
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any, Final

MIN_RATE: Final = 1024
"""Bytes of body per second that a host must send on average, beyond the read timeout."""

MAX_HEAD: Final = 1024 * 1024
"""Bytes that the head of a response can have, interim responses included."""

MAX_FRAMING: Final = 64 * 1024
"""Bytes of chunk headers and trailers that a response can have, besides as many bytes as its body has."""

_BUFFER: Final = 128 * 1024  # bytes; four of the chunks in which Go sends an image
_CHUNK_HEADER: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r?\n", re.DOTALL)
_HEAD_DEFECTS: Final = (
    FirstHeaderLineIsContinuationDefect,
    InvalidHeaderDefect,
    MissingHeaderBodySeparatorDefect,
)
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class LimitedSocket(socket.socket):
    """A Unix stream socket. With a timeout, waiting too long for too few bytes raises `TimeoutError`.

    Only the time spent waiting counts: a slow reader does not time out.
    """

    def __init__(self) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self.reset_limits()

    def reset_limits(self, max_size: int | None = None, min_rate: int = MIN_RATE) -> None:
        """Start counting for the next part of the stream.

        More than `max_size` bytes raise an `OSError` with EMSGSIZE. With a `min_rate` of 0, only the timeout
        between two bytes applies.
        """
        self._max_size, self._min_rate = max_size, min_rate
        self._waited, self._received, self._framing = 0.0, 0, 0

    def count_framing(self, size: int) -> None:
        """Count `size` of the bytes received as chunk headers or trailers, which are no progress."""
        self._framing += size
        if self._framing > MAX_FRAMING + max(0, self._received - self._framing):
            raise HTTPException("too many bytes of chunk headers or trailers")

    def makefile(self, *_args: Any, **_options: Any) -> _LineReader:  # type: ignore[override]
        """Return what a response is read from."""
        return _LineReader(self, super().makefile("rb", buffering=0))

    def recv(self, *args: Any) -> bytes:
        start = time.monotonic()
        data = super().recv(*args)
        self._check_limits(start, len(data))
        return data

    def recv_into(self, *args: Any) -> int:
        start = time.monotonic()
        size = super().recv_into(*args)
        self._check_limits(start, size)
        return size

    def _check_limits(self, start: float, size: int) -> None:
        self._waited += time.monotonic() - start
        self._received += size
        if self._max_size is not None and self._received > self._max_size:
            raise OSError(errno.EMSGSIZE, "response too large")
        timeout = self.gettimeout()
        if self._min_rate and timeout is not None:
            progress = max(0, self._received - self._framing)
            if self._waited > timeout + progress / self._min_rate:
                raise TimeoutError("response too slow")


class _LineReader(io.BufferedReader):
    """Reads from a `LimitedSocket`. Counts lines after the head, which are trailers, as framing."""

    def __init__(self, sock: LimitedSocket, raw: io.RawIOBase) -> None:
        super().__init__(raw, _BUFFER)
        self._socket = sock
        self.last_line = b""
        self.in_body = False

    def readline(self, size: int | None = None, /) -> bytes:
        line = self.last_line = super().readline(size)
        if self.in_body:
            self._socket.count_framing(len(line))
        return line

    read_chunk_header = io.BufferedReader.readline


class LimitedResponse(HTTPResponse):
    """A response over a `LimitedSocket`.

    Raises `IncompleteRead` for a truncated head and `HTTPException` for ambiguous framing: the standard
    library accepts both, and then mistakes where the body ends.
    """

    fp: _LineReader

    def __init__(self, sock: LimitedSocket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._socket = sock

    def begin(self) -> None:
        """Read the head, and any interim responses before it."""
        self._socket.reset_limits(MAX_HEAD)
        super().begin()
        self._socket.reset_limits()
        if self.fp.last_line not in (b"\r\n", b"\n"):
            raise IncompleteRead(b"")
        self._check_head()
        self.fp.in_body = True

    def _get_chunk_left(self) -> int | None:
        # Called before each chunk. The standard library discards any two bytes after the chunk before, and
        # also accepts the sizes 0x3, 1_0 and +3. Its four calls take a third of an export's time.
        if self.chunk_left:
            return self.chunk_left
        end = b""
        if self.chunk_left == 0:
            end = self.fp.read(2)
            if end != b"\r\n":
                raise HTTPException("chunk without its end") if len(end) == 2 else IncompleteRead(end)
        line = self.fp.read_chunk_header(MAX_FRAMING)
        self._socket.count_framing(len(end) + len(line))
        header = _CHUNK_HEADER.fullmatch(line)
        if header is None:
            is_truncated = not line.endswith(b"\n") and len(line) < MAX_FRAMING
            raise IncompleteRead(line) if is_truncated else HTTPException("invalid chunk header")
        self.chunk_left = int(header[1], 16)
        if not self.chunk_left:
            self._read_and_discard_trailer()  # type: ignore[attr-defined]
            self._close_conn()  # type: ignore[attr-defined]
            self.chunk_left = None
        return self.chunk_left

    def _check_head(self) -> None:
        # At a line that is no header, the standard library stops, and drops the headers after it.
        is_complete = not any(isinstance(defect, _HEAD_DEFECTS) for defect in self.headers.defects)
        if not is_complete or not all(_HEADER_NAME.fullmatch(name) for name in self.headers):
            raise HTTPException("invalid header")
        lengths = set(self.headers.get_all("Content-Length", ()))
        if len(lengths) > 1 or not all(re.fullmatch("[0-9]{1,18}", length.strip()) for length in lengths):
            raise HTTPException("invalid Content-Length")
        codings = self.headers.get_all("Transfer-Encoding", ())
        if [coding.strip().lower() for coding in codings] not in ([], ["chunked"]):
            raise HTTPException("unsupported Transfer-Encoding")
