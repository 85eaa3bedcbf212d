"""A connection of a client: aiohttp's protocol, changed where a host reads requests differently."""

import asyncio
import os
import re
import socket
import struct
from collections.abc import Callable
from typing import NoReturn

from aiohttp import web

from devlxdctl.simulator import events

BAD_REQUEST = "400 Bad Request"
NO_HOST = "400 Bad Request: missing required Host header"
_LINE_LIMIT = 1 << 20


class Connection(web.RequestHandler):
    """One connection of a client. `on_open` returns its number, `on_close` is called at its end."""

    def __init__(
        self,
        manager: web.Server,
        idle_timeout: float,
        on_open: "Callable[[Connection], int]",
        on_close: "Callable[[Connection], None]",
    ) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=idle_timeout,
            access_log=None,  # type: ignore[arg-type]  # None disables it
            max_line_size=_LINE_LIMIT,
            max_field_size=_LINE_LIMIT,
        )
        self.number = 0
        self.root = True
        self.pipe: asyncio.BaseTransport | None = None
        """The transport, which may still be sending after aiohttp closed it and set `transport` to None."""
        self.listener: events.Listener | None = None
        self._on_open = on_open
        self._on_close = on_close

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        credentials = struct.Struct("3i")
        peer = transport.get_extra_info("socket")
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
        _, uid, _ = credentials.unpack(raw)
        # The user who runs the simulator is root in the simulated guest.
        self.root = uid in (0, os.getuid())
        self.pipe = transport
        self.number = self._on_open(self)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self.listener is None:
            super().data_received(_percent_encode_target(data))
        else:
            self.listener.receive(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._on_close(self)
        if self.listener is not None:
            self.listener.connection_lost()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Send the host's short response to invalid HTTP; other errors are bugs of the simulator."""
        if status == 400:
            # Newer versions of aiohttp check for the Host header themselves.
            no_host = (message or "").startswith("Missing 'Host'")
            send_bad_request(request, NO_HOST if no_host else BAD_REQUEST)
        return super().handle_error(request, status, exc, message)


def _percent_encode_target(data: bytes) -> bytes:
    """Percent-encode non-ASCII bytes in a request line: hosts accept them, aiohttp's parser does not."""
    line, end_of_line, rest = data.partition(b"\r\n")
    if line.isascii() or not re.fullmatch(rb"[A-Z]+ /\S* HTTP/1\.[01]", line):
        return data
    encoded = re.sub(rb"[\x80-\xff]", lambda byte: b"%%%02X" % ord(byte[0]), line)
    return encoded + end_of_line + rest


def close_connection(request: web.BaseRequest) -> NoReturn:
    """Close the connection and send no response."""
    if request.transport is not None:
        request.transport.close()
    # The only way to leave a handler without a response that aiohttp does not log as an error.
    raise asyncio.CancelledError


def send_bad_request(request: web.BaseRequest, status: str) -> NoReturn:
    """Send the response to an unreadable request, which has few headers and no final newline."""
    if request.transport is not None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
        request.transport.write(f"{head}{status}".encode())
    close_connection(request)
