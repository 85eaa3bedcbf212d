"""The HTTP server: aiohttp, changed where a host's server behaves differently."""

import asyncio
import os
import re
import socket
import struct
import time
from typing import NamedTuple, NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler

from devlxdctl.simulator import endpoints, events, image_export, websocket_frames
from devlxdctl.simulator.aiohttp_responses import BufferedHTTPResponse, StreamedHTTPResponse, order_headers
from devlxdctl.simulator.faults import Faults
from devlxdctl.simulator.instance import Instance
from devlxdctl.simulator.messages import Response, StreamedResponse, Target, text_error
from devlxdctl.simulator.storage import Storage

BOOTING = "Failed to begin transaction: sql: database is closed"
BAD_REQUEST = "400 Bad Request"
NO_HOST = "400 Bad Request: missing required Host header"
_CHUNKED_FROM = 2049
"""A body of this size or more does not fit the host's buffer and is sent without Content-Length."""
_LINE_LIMIT = 1 << 20


class Request(NamedTuple):
    """A request as received."""

    method: str
    path: str
    """The raw target, query included."""
    connection: int
    """The number of its connection, starting at 1."""


class Connection(web.RequestHandler):
    """One connection of a client."""

    def __init__(self, server: "Server", manager: web.Server) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=server.instance.profile.idle_timeout,
            access_log=None,  # type: ignore[arg-type]  # None disables it
            max_line_size=_LINE_LIMIT,
            max_field_size=_LINE_LIMIT,
        )
        self.number = 0
        self.root = True
        self.pipe: asyncio.BaseTransport | None = None
        """The transport, which may still be sending after aiohttp closed it and set `transport` to None."""
        self.listener: events.Listener | None = None
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        credentials = struct.Struct("3i")
        peer = transport.get_extra_info("socket")
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
        _, uid, _ = credentials.unpack(raw)
        # The user who runs the simulator is root in the simulated guest.
        self.root = uid in (0, os.getuid())
        self.pipe = transport
        self.number = self._server.register(self)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self.listener is None:
            super().data_received(_percent_encode_target(data))
        else:
            self.listener.receive(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._server.open.discard(self)
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


class Server:
    """Serves an instance over HTTP; `connection` is the protocol factory for a listening socket."""

    def __init__(self, instance: Instance, hub: events.Hub, faults: Faults, storage: Storage) -> None:
        self.instance = instance
        self.storage = storage
        self.hub = hub
        self.requests: list[Request] = []
        self.connections = 0
        self.open: set[Connection] = set()
        self.error_text: str | None = None
        """While set, every response is a 500 with this text."""
        self._faults = faults
        self._boot_until: float | None = None

        # A middleware, because aiohttp's router would change paths.
        @web.middleware
        async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._handle(request)

        app = web.Application(middlewares=[handle])
        app.on_response_prepare.append(order_headers)
        self._runner = web.AppRunner(
            app, handle_signals=False, shutdown_timeout=1.0, handler_cancellation=True
        )

    async def start(self) -> None:
        """Prepare for connections."""
        await self._runner.setup()

    async def stop(self) -> None:
        """Drop every connection. The caller has stopped accepting new ones."""
        # asyncio needs several rounds of its loop to create the last accepted connection and to close it.
        for _ in range(3):
            self.drop()
            for _ in range(3):
                await asyncio.sleep(0)
        await self._runner.cleanup()

    def connection(self) -> Connection:
        """Return the protocol for a new connection."""
        assert self._runner.server is not None
        return Connection(self, self._runner.server)

    def register(self, connection: Connection) -> int:
        """Count a new connection and return its number."""
        self.connections += 1
        self.open.add(connection)
        if self._boot_until is None:
            self._boot_until = time.monotonic() + self._faults.boot_500
        return self.connections

    def drop(self) -> None:
        """Abort every connection, as the end of the daemon does."""
        for connection in list(self.open):
            if isinstance(connection.pipe, asyncio.WriteTransport):
                connection.pipe.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        self.requests.append(Request(request.method, request.raw_path, connection.number))
        if self._faults.hang:
            await asyncio.get_running_loop().create_future()
        if "Host" not in request.headers and request.version >= (1, 1):
            send_bad_request(request, NO_HOST)
        target = Target.parse(request.raw_path)
        if not target.well_encoded:
            send_bad_request(request, BAD_REQUEST)
        response = await self._respond(request, connection, target)
        if isinstance(response, StreamedResponse):
            return await self._stream(request, response)
        chunked = (
            len(response.body) >= _CHUNKED_FROM and request.version >= (1, 1) and request.method != "HEAD"
        )
        return BufferedHTTPResponse(response, chunked=chunked)

    async def _stream(self, request: web.Request, response: StreamedResponse) -> web.StreamResponse:
        stream = StreamedHTTPResponse(response, chunked=request.version >= (1, 1))
        left = response.truncated_length if self._faults.short_image else None
        try:
            await stream.prepare(request)
            for piece in response.pieces if request.method != "HEAD" else ():
                await stream.write(piece if left is None else piece[:left])
                if left is not None:
                    left -= len(piece)
                    if left <= 0:
                        close_connection(request)
            await stream.write_eof()
        except ConnectionError:  # the client disconnected, or the daemon restarts
            close_connection(request)
        return stream

    async def _respond(
        self, request: web.Request, connection: Connection, target: Target
    ) -> Response | StreamedResponse:
        profile, method = self.instance.profile, request.method
        if redirect := endpoints.redirect(profile, method, target):
            return redirect
        if self.error_text is not None:
            return text_error(500, self.error_text)
        if self._boot_until is not None and time.monotonic() < self._boot_until:
            return text_error(500, BOOTING)
        endpoint, parameters = endpoints.find_endpoint(profile, target.path)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if rejected := endpoints.reject_token(self.instance, token):
            return rejected
        trusted = profile.tokens and self.instance.tokens.get(token) == "trusted"
        root = connection.root and not self._faults.forbidden
        if not root and (endpoint is not None or profile.root_check_first):
            return text_error(401, endpoints.NON_ROOT)
        if endpoint is None:
            return text_error(404, "404 page not found")
        if rejected := endpoints.reject_method(profile, endpoint, method):
            return rejected
        if not self.instance.api_on and (
            endpoint not in profile.allowed_while_off or endpoints.sets_state(profile, endpoint, method)
        ):
            return text_error(403, profile.forbidden)
        if endpoints.sets_state(profile, endpoint, method):
            return await self._patch(request)
        if endpoint == "/1.0/events":
            return await self._listen(request, connection, target)
        if endpoint in endpoints.STORAGE_ENDPOINTS:
            body = await request.read()
            return self.storage.respond(endpoint, method, parameters, body, trusted)
        if endpoint == "/1.0/images/{fingerprint}/export":
            range_header = request.headers.get("Range")
            return image_export.export(self.instance, parameters["fingerprint"], range_header)
        return endpoints.respond(self.instance, endpoint, parameters, trusted)

    async def _patch(self, request: web.Request) -> Response:
        profile = self.instance.profile
        try:
            body = await asyncio.wait_for(request.read(), profile.body_timeout)
        except asyncio.TimeoutError:
            # aiohttp must not wait for the rest of the body.
            request.content.feed_eof()
            request.protocol.close()
            return text_error(400, f"{profile.body_error_prefix}i/o timeout")
        except ConnectionError:
            close_connection(request)
        return endpoints.patch_state(self.instance, body)

    async def _listen(self, request: web.Request, connection: Connection, target: Target) -> Response:
        """Turn the connection into an event stream, or return an error."""
        websocket = request.headers.get("Upgrade") == "websocket"
        if websocket and (rejected := self._reject_websocket(request)):
            return rejected
        transport = connection.transport
        if transport is None:
            close_connection(request)
        if websocket:
            accepted = websocket_frames.accept_key(request.headers["Sec-WebSocket-Key"])
            head = (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accepted}\r\n\r\n"
            ).encode()
        else:
            head = events.PLAIN_HEAD
        types = events.requested_types(target.query)
        listener = events.Listener(transport, types, self.instance.profile, websocket=websocket)
        connection.listener = listener
        transport.write(head)
        await self.hub.serve(listener)
        close_connection(request)

    def _reject_websocket(self, request: web.Request) -> Response | None:
        headers = request.headers
        origin = headers.get("Origin")
        if (
            "upgrade" not in headers.get("Connection", "").lower()
            or headers.get("Sec-WebSocket-Version") != "13"
            or not headers.get("Sec-WebSocket-Key")
        ):
            status, reason = 400, "Bad Request"
        elif self.instance.profile.checks_origin and origin is not None and not _same_host(origin, request):
            status, reason = 403, "Forbidden"
        else:
            return None
        # The websocket library writes an error, then the host appends its own.
        version = ("Sec-Websocket-Version", "13")
        return text_error(status, f"{reason}\ninternal server error", version)


def _same_host(origin: str, request: web.Request) -> bool:
    return origin.partition("://")[2].partition("/")[0].lower() == request.headers.get("Host", "").lower()
