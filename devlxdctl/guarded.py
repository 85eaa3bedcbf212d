"""A socket that bears a slow and a talkative peer only so far.

A limit of silence alone starts anew with each byte: a peer that sends one a second is never silent, and one
that sends for ever never ends.
"""

from __future__ import annotations

import errno
import socket
import time
from typing import Any, Final

SLOWEST: Final = 1024
"""Bytes per second that a peer has to send, once the time that it may be silent for is used up."""

HEAD: Final = 1024 * 1024
"""Bytes that the head of an answer may have, with all that comes before it."""

_BUFFER: Final = 64 * 1024  # bytes


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

    def makefile(self, mode: str = "r", buffering: int | None = None, **how: Any) -> Any:
        """As the base does it, with a larger buffer than 8 KiB: hosts send 32 KiB of an image at a time."""
        return super().makefile(mode, _BUFFER if buffering is None else buffering, **how)  # type: ignore[call-overload]

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
