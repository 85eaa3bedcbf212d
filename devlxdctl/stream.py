"""An answer of the host whose body is still to come."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from types import TracebackType
from typing import TYPE_CHECKING, Final

from devlxdctl.errors import UnexpectedAnswer
from devlxdctl.exchange import Question

if TYPE_CHECKING:
    import requests

WHOLE: Final = 256 * 1024 * 1024
"""Bytes that an answer may have that is taken as a whole."""

_PIECE: Final = 1024 * 1024


class Stream:
    """An answer of the host whose body is still to come. To be closed, as by `with`.

    `status` and `headers` (whose names know no case) are the host's, `media_type` is without parameters.
    """

    def __init__(
        self, response: requests.Response, question: Question, socket: str, limit: float | None
    ) -> None:
        self._response = response
        self._question = question
        self._socket = socket
        self._limit = limit
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.media_type = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connection back if the body was read to its end, and closes it if not."""
        self._response.close()

    def limit_silence(self, seconds: float | None) -> None:
        """From now on the host may be silent for `seconds`, None for ever.

        No effect on a connection that the host closes after this answer: http.client has let go of it.
        """
        self._limit = seconds
        connection = self._response.raw.connection
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(seconds)

    def chunks(self, size: int) -> Iterator[bytes]:
        """The body, in pieces of at most `size` bytes, as it came: nothing is decompressed.

        Raises `Unreachable` when it ends before its time, or the host falls silent.
        """
        while chunk := self._read(size):
            yield chunk

    def read(self) -> bytes:
        """All the rest of the body. Raises as `chunks` does, and `UnexpectedAnswer` for more than `WHOLE`."""
        # In pieces: the library makes room for as much as the host announces, be it exabytes.
        pieces, size = [], 0
        for piece in self.chunks(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > WHOLE:
                raise UnexpectedAnswer(self._question.what, f"the answer has more than {WHOLE} bytes")
        whole = b"".join(pieces)
        self._check_end()
        return whole

    def _check_end(self) -> None:
        """Raises unless the head said where the body ends: otherwise nobody knows whether it is whole."""
        coding = self.headers.get("Transfer-Encoding")
        length = self.headers.get("Content-Length", "")
        known = coding.lower() == "chunked" if coding is not None else re.fullmatch(r"[0-9]{1,18}", length)
        if known:
            return
        if self.status in self._question.expected:
            raise UnexpectedAnswer(self._question.what, "the answer does not say where it ends")

    def _read(self, size: int) -> bytes:
        from devlxdctl.failures import no_answer

        try:
            data: bytes = self._response.raw.read(size, decode_content=False)
        except (ValueError, OverflowError, MemoryError) as error:
            # Of the standard library, about chunks of a size below zero, or larger than any memory.
            lie = HTTPException(str(error))
            raise no_answer(lie, self._socket, self._question.endpoint, self._limit) from error
        except Exception as error:
            raise no_answer(error, self._socket, self._question.endpoint, self._limit) from error
        return data
