"""One websocket connection to the host, over a socket with limits."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Iterator
from typing import Any, Final

import websocket
from websocket import ABNF

from devlxdctl.errors import UnexpectedResponse
from devlxdctl.http.error_mapping import error_from_exception
from devlxdctl.http.limits import MAX_HEAD, LimitedSocket
from devlxdctl.http.messages import Request, Response
from devlxdctl.http.session import Session

_log: Final = logging.getLogger(__name__)

MAX_MESSAGE: Final = 32 * 1024 * 1024
"""Bytes that one message can have. An event carries the old and the new value of a key.

A larger one breaks the connection: `events` reports a gap, and what follows values reads them again.
"""

CONNECT_TIMEOUT: Final = 15.0
"""Seconds to wait for bytes of the handshake."""

_READ_AHEAD: Final = 16384
"""Bytes that are read at a time: some eighty events."""

_WHOLE_TEXT: Final = 0x80 | ABNF.OPCODE_TEXT
"""The first byte of a frame that is a whole message of text."""
_LENGTH_FOLLOWS: Final = 126
"""In place of a length: the next two bytes are the length."""

_IDLE_TIMEOUT: Final = 45.0
"""Seconds without even a ping, which hosts send every 10 s, after which a connection counts as dead."""


class _BufferedSocket(LimitedSocket):
    """Reads ahead: websocket-client reads each part of a message with a call of its own.

    Without this, `events` took 1.6 times as much CPU time for a burst.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ahead = b""
        self._position = 0

    def recv(self, size: int, *flags: Any) -> bytes:
        start = self._position
        if start == len(self._ahead):
            if size >= _READ_AHEAD:
                return super().recv(size, *flags)
            self._ahead = super().recv(_READ_AHEAD, *flags)
            start = 0
        data = self._ahead[start : start + size]
        self._position = start + len(data)
        return data

    def take_texts(self) -> Iterator[bytes]:
        """Yield the messages that were read completely, up to one that is not a single frame of text.

        Call it between two messages. The form of frames is in RFC 6455, section 5.2.
        """
        ahead = self._ahead
        while len(ahead) - self._position > 4 and ahead[self._position] == _WHOLE_TEXT:
            start = self._position + 2
            length = ahead[start - 1]
            if length == _LENGTH_FOLLOWS:
                length = int.from_bytes(ahead[start : start + 2], "big")
                start += 2
            elif length > _LENGTH_FOLLOWS:  # eight bytes follow, or a mask, which a host must not use
                break
            end = start + length
            if end > len(ahead):
                break
            self._position = end
            yield ahead[start:end]


def _decode(data: bytes) -> str:
    return bytes(data).rstrip(b"\n").decode("utf-8", "surrogateescape")


class _WebSocket(websocket.WebSocket):
    def pong(self, payload: Any = "") -> None:
        """Answer a ping. A host that closes meanwhile can have sent events before: they are still read."""
        with contextlib.suppress(OSError, websocket.WebSocketException):
            super().pong(payload)


class Connection:
    """A connected websocket."""

    def __init__(self, stream: _BufferedSocket, connection: Any) -> None:
        self._stream = stream
        self._websocket = connection

    def receive(self) -> list[str]:
        """Wait for a message, and answer pings until then. Return its text, and those that arrived with it.

        Bytes that are not UTF-8 become single surrogates. Raises `OSError` when the connection breaks.
        """
        try:
            while True:
                # Pings are answered in there, and returned as well.
                opcode, frame = self._websocket.recv_data_frame(control_frame=True)
                if opcode == ABNF.OPCODE_CLOSE:
                    raise ConnectionResetError("closed by the host")
                if opcode not in (ABNF.OPCODE_PING, ABNF.OPCODE_PONG):
                    self._stream.reset_limits(MAX_MESSAGE, min_rate=0)
                if opcode == ABNF.OPCODE_TEXT:
                    # websocket-client takes ten times as long for each.
                    return [_decode(data) for data in (frame.data, *self._stream.take_texts())]
        except (websocket.WebSocketException, ValueError, OverflowError, MemoryError) as error:
            raise ConnectionResetError(str(error)) from error
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                _log.warning("events: an event larger than %d bytes is lost; reconnecting", MAX_MESSAGE)
            raise

    def abort(self) -> None:
        """Break the connection: a thread in `receive` gets an `OSError`."""
        # Not the closing handshake, which waits three seconds for a host that hangs.
        with contextlib.suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Release the socket."""
        self._websocket.shutdown()


def connect(session: Session, request: Request, timeout: float = CONNECT_TIMEOUT) -> Connection:
    """Make one websocket handshake. Raises the `DevLXDError` of a failure or of the host's status.

    `timeout` is the number of seconds to wait for bytes of the handshake.
    """
    path, headers = session.socket(), session.authorization()
    stream: _BufferedSocket | None = None
    try:
        stream = _BufferedSocket()
        stream.settimeout(timeout)
        stream.reset_limits(MAX_HEAD)
        stream.connect(os.fsencode(path))
        # websocket-client takes half a second to validate the UTF-8 of a message of a megabyte.
        connection: Any = _WebSocket(skip_utf8_validation=True)
        connection.settimeout(timeout)
        connection.connect(
            f"ws://localhost{request.path}",
            socket=stream,
            header=headers,
            suppress_origin=True,  # hosts compare it with Host
            redirect_limit=0,
        )
        connection.settimeout(_IDLE_TIMEOUT)
        stream.reset_limits(MAX_MESSAGE, min_rate=0)
    except websocket.WebSocketBadStatusException as error:
        _close(stream)
        if error.status_code is None:  # an empty line instead of a status line
            raise UnexpectedResponse(request.subject, "not a websocket server") from error
        media_type = (error.resp_headers or {}).get("content-type", "").partition(";")[0]
        response = Response(error.status_code, media_type, error.resp_body or b"")
        raise session.error_from_status(response, request) from error
    except (websocket.WebSocketException, ValueError, OverflowError, MemoryError) as error:
        _close(stream)
        cause: OSError
        if isinstance(error, websocket.WebSocketConnectionClosedException):
            cause = ConnectionResetError()
        elif isinstance(error, websocket.WebSocketTimeoutException):
            cause = TimeoutError()
        else:
            raise UnexpectedResponse(request.subject, "not a websocket server") from error
        raise error_from_exception(cause, path, request.endpoint, timeout) from cause
    except OSError as error:
        _close(stream)
        raise error_from_exception(error, path, request.endpoint, timeout) from error
    except BaseException:
        _close(stream)
        raise
    _log.debug("GET %s: 101", request.path)
    return Connection(stream, connection)


def _close(stream: LimitedSocket | None) -> None:
    if stream is not None:
        stream.close()
