"""A response whose body is read in pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from types import TracebackType
from typing import TYPE_CHECKING, Final

from devlxdctl.errors import UnexpectedResponse
from devlxdctl.http.messages import Request

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

MAX_BODY: Final = 256 * 1024 * 1024
"""Bytes that the body of a response can have that is read as a whole."""

_PIECE: Final = 1024 * 1024


class StreamedResponse:
    """A response whose body is still to be read. A context manager that closes it.

    * `status`, `headers`: as received; header names are case-insensitive.
    * `media_type`: the Content-Type without parameters, in lower case.
    """

    def __init__(
        self, response: BaseHTTPResponse, request: Request, socket: str, read_timeout: float
    ) -> None:
        self._response = response
        self._request = request
        self._socket = socket
        self._read_timeout = read_timeout
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.media_type = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def __enter__(self) -> StreamedResponse:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Return the connection to the pool if the body was read to its end, otherwise close it."""
        self._response.close()
        self._response.release_conn()

    def set_read_timeout(self, seconds: float) -> None:
        """Wait at most `seconds` for further bytes.

        Without effect on a connection that the host closes after this response: the socket is out of reach.
        """
        self._read_timeout = seconds
        sock = getattr(self._response.connection, "sock", None)
        if sock is not None:
            sock.settimeout(seconds)

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield the body in pieces of at most `size` bytes, without decompressing it.

        Raises `HostUnavailable` when the body is truncated or the host stops sending.
        """
        # `closed` once the body was read to its end: no further call is needed to learn that.
        while not self._response.closed and (chunk := self._read(size)):
            yield chunk

    def read(self) -> bytes:
        """Return the rest of the body. Raises as `chunks`, and `UnexpectedResponse` beyond `MAX_BODY`."""
        # In pieces: the library allocates as much memory as the host announces.
        pieces, size = [], 0
        for piece in self.chunks(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BODY:
                raise UnexpectedResponse(self._request.subject, f"response larger than {MAX_BODY} bytes")
        self._check_end()
        return b"".join(pieces)

    def _check_end(self) -> None:
        """Raise unless the head says where the body ends: without that, truncation cannot be noticed."""
        coding = self.headers.get("Transfer-Encoding")
        length = self.headers.get("Content-Length", "")
        known = coding.lower() == "chunked" if coding is not None else re.fullmatch(r"[0-9]{1,18}", length)
        if not known and self.status in self._request.expected:
            raise UnexpectedResponse(self._request.subject, "response without Content-Length")

    def _read(self, size: int) -> bytes:
        from devlxdctl.http.error_mapping import error_from_exception

        endpoint = self._request.endpoint
        try:
            return self._response.read(size, decode_content=False)
        except (ValueError, OverflowError) as error:
            # From the standard library, for chunk sizes below zero or too large.
            invalid = HTTPException(str(error))
            raise error_from_exception(invalid, self._socket, endpoint, self._read_timeout) from error
        except Exception as error:
            raise error_from_exception(error, self._socket, endpoint, self._read_timeout) from error
