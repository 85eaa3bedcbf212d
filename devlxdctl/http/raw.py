"""A request that is sent byte for byte as given, and its response as it arrives.

requests and urllib3 decode, encode and shorten paths, merge headers of one name, and add their own: `//1.0`,
`%2e%2e` and `%zz` would not arrive. Only the response is read with the standard library.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.client import HTTPException, HTTPResponse, IncompleteRead
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple

from devlxdctl._version import __version__
from devlxdctl.errors import BadData, DevLXDError, HostUnavailable, InvalidRequest
from devlxdctl.http.endpoints import RAW
from devlxdctl.http.limits import LimitedResponse, LimitedSocket
from devlxdctl.http.messages import Request, Response
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session

__all__ = ["RawResponse"]

_log: Final = logging.getLogger(__name__)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WAIT_PATH: Final = re.compile(r"/wait(?:\?.*)?")
_PIECE: Final = 128 * 1024
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})


class RawRequest(NamedTuple):
    """A request whose `path` and `headers` are sent unchanged.

    A `body` that is an open file is sent from its current position, in pieces. Anything but a regular file is
    read completely before: LXD 6.9 closes a connection whose body does not arrive within 3 s.
    """

    method: str
    path: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | BinaryIO | None = None

    def __repr__(self) -> str:
        # Headers and body can contain secrets.
        return f"RawRequest({self.method!r}, {self.path!r})"

    def check(self) -> None:
        """Raise `InvalidRequest` for what would not arrive as one request."""
        if not _TOKEN.fullmatch(self.method):
            raise InvalidRequest(f"method {self.method!r}", "not a valid HTTP method")
        if not self.path.startswith("/"):
            raise InvalidRequest(f"path {self.path!r}", "must begin with /")
        if re.search(r"[\x00-\x20\x7f]", self.path):
            problem = "spaces and control characters must be percent-encoded"
            raise InvalidRequest(f"path {self.path!r}", problem)
        for name, value in self.headers:
            # Neither is printed: where the colon is missing, the name can be a secret, too.
            if not _TOKEN.fullmatch(name):
                raise InvalidRequest("header", "invalid header name")
            if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
                raise InvalidRequest(f"header {name}", "value contains a control character")
            if name.lower() in _FRAMING:
                raise InvalidRequest(f"header {name}", "is set from the body")

    @property
    def is_idempotent(self) -> bool:
        """Whether it can be sent again when it may have arrived.

        That is a GET whose body is in memory, but not a wait for an operation.
        """
        has_known_body = self.body is None or isinstance(self.body, bytes)
        return self.method == "GET" and has_known_body and not _WAIT_PATH.search(self.path)


class RawResponse:
    """The response to `Client.request`, whose body is still to be read. A context manager that closes it.

    * `status`: the HTTP status. No status raises an error; `error` returns the error of one that is not 2xx.
    * `reason`: the text after it.
    * `headers`: pairs of name and value, as received.
    """

    def __init__(
        self,
        connection: socket.socket,
        response: HTTPResponse,
        socket_path: str,
        status_error: Callable[[int], DevLXDError],
    ) -> None:
        self._connection = connection
        self._response = response
        self._socket_path = socket_path
        self._status_error = status_error
        self.status = response.status
        self.reason = response.reason
        self.headers: list[tuple[str, str]] = list(response.headers.items())

    def __enter__(self) -> RawResponse:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RawResponse [{self.status}]>"

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        self._connection.close()

    def head(self) -> bytes:
        """The status line and the headers as received, with the empty line that ends them."""
        version = "1.0" if self._response.version == 10 else "1.1"
        lines = [f"HTTP/{version} {self.status} {self.reason}".rstrip()]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces, each as soon as it arrives.

        Raises `HostUnavailable` if it is truncated.
        """
        while chunk := self._read():
            yield chunk

    def read(self) -> bytes:
        """Return the rest of the body. Raises as `chunks`."""
        return b"".join(self.chunks())

    def error(self) -> DevLXDError | None:
        """The error that the status means, None for 2xx. It does not depend on the body."""
        return None if 200 <= self.status < 300 else self._status_error(self.status)

    def _read(self) -> bytes:
        try:
            data = self._response.read1(_PIECE)
            if not data and self._response.length:
                raise IncompleteRead(b"")
        except Exception as error:
            from devlxdctl.http.error_mapping import error_from_exception

            cause: Exception = error
            if isinstance(error, (ValueError, OverflowError)):
                # From the standard library, for chunk sizes below zero or too large.
                cause = HTTPException(str(error))
            raise error_from_exception(cause, self._socket_path, RAW, None) from error
        return data


def send_raw(session: Session, raw: RawRequest, retry: RetryPolicy) -> RawResponse:
    """Send `raw` unchanged, and return when the response begins. No status is an error.

    A GET is sent again while the host restarts. The last response is returned when that takes too long.
    """
    raw.check()
    raw = _with_known_size(raw)
    last: list[RawResponse] = []
    request = Request(raw.method, raw.path, RAW, object=raw.path, idempotent=raw.is_idempotent)

    def status_error(status: int) -> DevLXDError:
        return session.error_from_status(Response(status, "", b""), request)

    def attempt(request: Request) -> RawResponse:
        while last:
            last.pop().close()
        path, authorization = session.socket(), session.authorization()
        try:
            connection, received = _exchange(path, raw, authorization)
        except DevLXDError:  # about the file of the body
            raise
        except Exception as error:
            from devlxdctl.http.error_mapping import error_from_exception

            raise error_from_exception(error, path, RAW, None) from error
        response = RawResponse(connection, received, path, status_error)
        _log.debug("%s %s: %d", raw.method, raw.path, response.status)
        if response.status in (500, 502, 503, 504) and request.idempotent:
            last.append(response)
            raise status_error(response.status)
        return response

    try:
        return retry.run(attempt, request, session.socket)
    except HostUnavailable:
        if not last:
            raise
        return last.pop()
    finally:
        while last:
            last.pop().close()


def _exchange(
    socket_path: str, raw: RawRequest, authorization: dict[str, str]
) -> tuple[socket.socket, HTTPResponse]:
    """Send `raw` on a new connection and return when the response begins, without a read timeout.

    Raises what the socket and the standard library raise.
    """
    connection = LimitedSocket()
    try:
        connection.connect(socket_path)
        response = LimitedResponse(connection, method=raw.method)
        try:
            _send(connection, raw, authorization)
        except (BrokenPipeError, ConnectionResetError):
            # The host can reject a body before it has read all of it, and say why.
            response.begin()
        else:
            response.begin()
    except BaseException:
        connection.close()
        raise
    return connection, response


def _send(connection: socket.socket, raw: RawRequest, authorization: dict[str, str]) -> None:
    given = {name.lower() for name, _ in raw.headers}
    defaults = {
        "Host": "localhost",
        "User-Agent": f"devlxdctl/{__version__}",
        "Accept": "*/*",
        **authorization,
    }
    if raw.body is not None:
        defaults["Content-Type"] = "application/json"
    headers = [(name, value) for name, value in defaults.items() if name.lower() not in given]
    size = _body_size(raw)
    if size is not None:
        headers.append(("Content-Length", str(size)))
    lines = [f"{raw.method} {raw.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in [*headers, *raw.headers]]
    connection.sendall(b"".join(os.fsencode(line) + b"\r\n" for line in [*lines, ""]))
    if isinstance(raw.body, bytes):
        connection.sendall(raw.body)
    elif raw.body is not None and size is not None:
        _send_file(connection, raw.body, size)


def _with_known_size(raw: RawRequest) -> RawRequest:
    """Return `raw` with a body that is bytes or a regular file."""
    if raw.body is None or isinstance(raw.body, bytes):
        return raw
    if stat.S_ISREG(os.fstat(raw.body.fileno()).st_mode):
        return raw
    return raw._replace(body=b"".join(iter(partial(_read_piece, raw.body, _PIECE), b"")))


def _send_file(connection: socket.socket, body: BinaryIO, size: int) -> None:
    sent = 0
    while sent < size and (piece := _read_piece(body, min(_PIECE, size - sent))):
        sent += len(piece)
        connection.sendall(piece)
    if sent < size:
        raise BadData(_file_name(body), f"ended after {sent} of {size} bytes")


def _read_piece(body: BinaryIO, size: int) -> bytes:
    try:
        return os.read(body.fileno(), size)
    except OSError as error:
        raise BadData.from_os_error(_file_name(body), error, "cannot be read") from error


def _body_size(raw: RawRequest) -> int | None:
    """Bytes of the body, None where a request usually has no body."""
    if raw.body is None:
        return 0 if raw.method in ("POST", "PUT", "PATCH") else None
    if isinstance(raw.body, bytes):
        return len(raw.body)
    descriptor = raw.body.fileno()
    return max(0, os.fstat(descriptor).st_size - os.lseek(descriptor, 0, os.SEEK_CUR))


def _file_name(body: BinaryIO) -> str:
    return "stdin" if body.fileno() == 0 else str(body.name)
