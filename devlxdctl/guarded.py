"""A socket that bears a slow and a talkative peer only so far, and an answer over it whose head is whole.

A limit of silence alone starts anew with each byte: a peer that sends one a second is never silent, and one
that sends for ever never ends.
"""

from __future__ import annotations

import errno
import io
import socket
import time
from http.client import HTTPResponse, IncompleteRead
from typing import Any, Final

SLOWEST: Final = 1024
"""Bytes per second that a peer has to send, once the time that it may be silent for is used up."""

HEAD: Final = 1024 * 1024
"""Bytes that the head of an answer may have, with all that comes before it."""

_BUFFER: Final = 64 * 1024  # bytes


class Lines(io.BufferedReader):
    """Keeps the last line that was read from it."""

    last = b""

    def readline(self, size: int | None = -1, /) -> bytes:
        self.last = super().readline(size)
        return self.last


class GuardedSocket(socket.socket):
    """A unix stream socket. With a timeout, waiting for too few bytes counts as silence: `TimeoutError`.

    Waiting is what counts: a reader that takes its time loses nothing by that.
    """

    def __init__(self) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._room: int | None = None
        self._hurry = True
        self._waited = 0.0
        self._received = 0

    def expect(self, room: int | None = None, hurry: bool = True) -> None:
        """Counts anew, for what begins now. More than `room` bytes of it are an `OSError` of EMSGSIZE.

        Without `hurry` it may come as slowly as it likes, within the timeout from one byte to the next.
        """
        self._room, self._hurry = room, hurry
        self._waited, self._received = 0.0, 0

    def reader(self) -> Lines:
        """Reads from it with more than the usual 8 KiB of buffer: hosts send 32 KiB of an image at a time."""
        return Lines(self.makefile("rb", buffering=0), _BUFFER)

    def recv(self, *args: Any) -> bytes:
        start = time.monotonic()
        data = super().recv(*args)
        self._count(start, len(data))
        return data

    def recv_into(self, *args: Any) -> int:
        start = time.monotonic()
        size = super().recv_into(*args)
        self._count(start, size)
        return size

    def _count(self, start: float, size: int) -> None:
        self._waited += time.monotonic() - start
        self._received += size
        if self._room is not None and self._received > self._room:
            raise OSError(errno.EMSGSIZE, "it sends too much")
        timeout = self.gettimeout()
        if self._hurry and timeout is not None and self._waited > timeout + self._received / SLOWEST:
            raise TimeoutError("it sends too slowly")


class GuardedResponse(HTTPResponse):
    """An answer that comes over a `GuardedSocket`."""

    def __init__(self, sock: GuardedSocket, *args: Any, **how: Any) -> None:
        super().__init__(sock, *args, **how)
        self._socket = sock
        self.fp.close()
        self.fp = self._lines = sock.reader()

    def begin(self) -> None:
        """Reads the head. Raises `IncompleteRead` where it ends without the empty line.

        The base takes such a head as a whole one of fewer headers, so one without a length, and the nothing
        that follows as the body. Interim answers may precede it without number.
        """
        self._socket.expect(HEAD)
        super().begin()
        self._socket.expect()
        if self._lines.last not in (b"\r\n", b"\n"):
            raise IncompleteRead(b"")
