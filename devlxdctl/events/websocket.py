"""One websocket connection to the host, over a socket with limits."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
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

_IDLE_TIMEOUT: Final = 45.0
"""Seconds without even a ping, which hosts send every 10 s, after which a connection counts as dead."""


class _WebSocket(websocket.WebSocket):
    def pong(self, payload: Any = "") -> None:
        """Answer a ping. A host that closes meanwhile can have sent events before: they are still read."""
        with contextlib.suppress(OSError, websocket.WebSocketException):
            super().pong(payload)


class Connection:
    """A connected websocket."""

    def __init__(self, stream: LimitedSocket, connection: Any) -> None:
        self._stream = stream
        self._websocket = connection

    def receive(self) -> str:
        """Return the text of the next message, and answer pings until then. Raises `OSError` when it breaks.

        Bytes that are not UTF-8 become single surrogates.
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
                    return bytes(frame.data).rstrip(b"\n").decode("utf-8", "surrogateescape")
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
    stream: LimitedSocket | None = None
    try:
        stream = LimitedSocket()
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
