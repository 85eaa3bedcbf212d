"""One request to the socket as it was given, byte for byte, and its answer as it comes.

Not by way of requests and urllib3, which decode, encode and shorten paths, keep one header of a name, and add
their own: `//1.0`, `%2e%2e` and `%zz` would not arrive. Only the answer is read with the standard library.
"""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Iterator, Sequence
from http.client import HTTPException, HTTPResponse, IncompleteRead
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple

from devlxdctl import __version__
from devlxdctl.errors import (
    BadData,
    DevLXDError,
    InvalidRequest,
    NotFound,
    NotPermitted,
    NotSupported,
    UnexpectedAnswer,
    Unreachable,
)
from devlxdctl.exchange import Question
from devlxdctl.guarded import GuardedResponse, GuardedSocket
from devlxdctl.hints import hint
from devlxdctl.log import log
from devlxdctl.session import HostSession

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHUNK: Final = 128 * 1024
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})


class Query(NamedTuple):
    """A request. `path` is the whole target, and is sent as it is, as are `headers`.

    A `body` that is an open file is sent from where it stands, in pieces.
    """

    method: str
    path: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | BinaryIO | None = None

    def __repr__(self) -> str:
        # Headers and body may be secrets.
        return f"Query({self.method!r}, {self.path!r})"

    def check(self) -> None:
        """Raises `InvalidRequest` for what would not arrive as the one request that it is."""
        if not _TOKEN.fullmatch(self.method):
            raise InvalidRequest(f"method {self.method!r}", "no method has this name")
        if not self.path.startswith("/"):
            raise InvalidRequest(f"path {self.path!r}", "a path begins with /")
        if re.search(r"[\x00-\x20\x7f]", self.path):
            raise InvalidRequest(f"path {self.path!r}", "blanks and control characters are written as %XX")
        for name, value in self.headers:
            # Neither is shown: where the colon is missing, the name may be a secret too.
            if not _TOKEN.fullmatch(name):
                raise InvalidRequest("header", "it begins with a name that no header has")
            if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
                raise InvalidRequest(f"header {name}", "its value holds a control character")
            if name.lower() in _FRAMING:
                raise InvalidRequest(f"header {name}", "the body decides it")

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent again when it may have arrived: a GET, if its body can be had again."""
        return self.method == "GET" and (self.body is None or isinstance(self.body, bytes))


class Reply:
    """The answer to a `Query`, its body still to come. To be closed, as by `with`."""

    def __init__(
        self, connection: socket.socket, response: HTTPResponse, query: Query, socket_path: str
    ) -> None:
        self._connection = connection
        self._socket_path = socket_path
        self._response = response
        self.query = query
        self.status = response.status

    def __enter__(self) -> Reply:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._response.close()
        self._connection.close()

    def head(self) -> bytes:
        """The status line and the headers, as they came, with the empty line that ends them."""
        response = self._response
        version = "1.0" if response.version == 10 else "1.1"
        lines = [f"HTTP/{version} {response.status} {response.reason}".rstrip()]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces, each as soon as it is there. Raises `Unreachable` when it ends too early."""
        while chunk := self._read():
            yield chunk

    def _read(self) -> bytes:
        try:
            data = self._response.read1(_CHUNK)
            if not data and self._response.length:
                raise IncompleteRead(b"")
        except (ValueError, OverflowError, MemoryError) as error:
            # Of the standard library, about chunks of a size below zero, or larger than any memory.
            from devlxdctl.failures import no_answer

            raise no_answer(HTTPException(str(error)), self._socket_path, "query", None) from error
        except Exception as error:
            from devlxdctl.failures import no_answer

            raise no_answer(error, self._socket_path, "query", None) from error
        return data

    def refused(self) -> DevLXDError | None:
        """The error that the status stands for, None where that is 2xx. The body is not looked at."""
        status, why = self.status, f"the host answered with status {self.status}"
        what = self.query.path
        if 200 <= status < 300:
            return None
        if status == 404:
            return NotFound(what, why, http_status=status)
        if status in (405, 501):
            return NotSupported(what, why, http_status=status)
        if status in (401, 403):
            advice = hint(self._socket_path, "query", status)
            return NotPermitted(what, why, hint=advice, http_status=status)
        if status >= 500:
            advice = hint(self._socket_path, "query", status)
            from devlxdctl.failures import RESTARTING

            passing = status in RESTARTING
            return Unreachable(what, why, hint=advice, http_status=status, passing=passing)
        return UnexpectedAnswer(what, why, http_status=status)


def send(session: HostSession, query: Query) -> Reply:
    """Sends `query` as it is, and returns when its answer begins. No status of it is an error.

    A GET is sent again while the host restarts; its last answer is returned when that takes too long.
    """
    query.check()
    last: list[Reply] = []

    def attempt(question: Question) -> Reply:
        while last:
            last.pop().close()
        path, authorization = session.locate(), session.authorization()
        try:
            reply = exchange(path, query, authorization)
        except DevLXDError:  # of the body's file
            raise
        except Exception as error:
            from devlxdctl.failures import no_answer

            raise no_answer(error, path, "query", None) from error
        log.debug("%s %s: %d", query.method, query.path, reply.status)
        refused = reply.refused()
        if isinstance(refused, Unreachable) and refused.passing and question.repeatable:
            last.append(reply)
            raise refused
        return reply

    question = Question(query.method, query.path, "query", repeatable=query.is_repeatable)
    try:
        return session.patience.repeat(attempt, question)
    except Unreachable:
        if not last:
            raise
        return last.pop()
    finally:
        while last:
            last.pop().close()


def exchange(socket_path: str, query: Query, authorization: dict[str, str]) -> Reply:
    """Sends `query` on a connection of its own and returns when the answer begins, be that ever so late.

    Raises what the socket and the standard library raise.
    """
    connection = GuardedSocket()
    try:
        connection.connect(socket_path)
        response = GuardedResponse(connection, method=query.method)
        try:
            _send(connection, query, authorization)
        except (BrokenPipeError, ConnectionResetError):
            # The host may have had enough of the body, and have said why.
            response.begin()
        else:
            response.begin()
    except BaseException:
        connection.close()
        raise
    return Reply(connection, response, query, socket_path)


def _send(connection: socket.socket, query: Query, authorization: dict[str, str]) -> None:
    given = {name.lower() for name, _ in query.headers}
    ours = {"Host": "localhost", "User-Agent": f"devlxdctl/{__version__}", "Accept": "*/*", **authorization}
    if query.body is not None:
        ours["Content-Type"] = "application/json"
    headers = [(name, value) for name, value in ours.items() if name.lower() not in given]
    size = _size(query)
    if size is not None:
        headers.append(("Content-Length", str(size)))
    elif query.body is not None:
        headers.append(("Transfer-Encoding", "chunked"))
    lines = [f"{query.method} {query.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in [*headers, *query.headers]]
    connection.sendall(b"".join(os.fsencode(line) + b"\r\n" for line in [*lines, ""]))
    if isinstance(query.body, bytes):
        connection.sendall(query.body)
    elif query.body is not None:
        _send_file(connection, query.body, size)


def _send_file(connection: socket.socket, body: BinaryIO, size: int | None) -> None:
    sent = 0
    while sent != size and (chunk := _piece(body, size, sent)):
        sent += len(chunk)
        connection.sendall(chunk if size is not None else b"%x\r\n%b\r\n" % (len(chunk), chunk))
    if size is None:
        connection.sendall(b"0\r\n\r\n")
    elif sent < size:
        raise BadData(_name(body), f"it ended after {sent} of {size} bytes")


def _piece(body: BinaryIO, size: int | None, sent: int) -> bytes:
    try:
        # From a pipe whatever is there: who writes there may wait for the answer.
        return os.read(body.fileno(), _CHUNK if size is None else min(_CHUNK, size - sent))
    except OSError as error:
        raise BadData(_name(body), (error.strerror or "cannot be read").lower()) from error


def _size(query: Query) -> int | None:
    """The bytes of the body, None where that is not known or there is none where none is usual."""
    if query.body is None:
        return 0 if query.method in ("POST", "PUT", "PATCH") else None
    if isinstance(query.body, bytes):
        return len(query.body)
    descriptor = query.body.fileno()
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        return None
    return max(0, facts.st_size - os.lseek(descriptor, 0, os.SEEK_CUR))


def _name(body: BinaryIO) -> str:
    return "stdin" if body.fileno() == 0 else str(body.name)
