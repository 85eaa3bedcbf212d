"""HTTP as the host's server speaks it: aiohttp, with what the two differ in put right."""

import asyncio
import os
import re
import socket
import struct
import time
from typing import NamedTuple, NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler

from devlxdctl.simulator import answers, events, export, websocket
from devlxdctl.simulator.answers import Answer, Target
from devlxdctl.simulator.faults import Faults
from devlxdctl.simulator.instance import Instance
from devlxdctl.simulator.responses import Download, Response, order_headers
from devlxdctl.simulator.storage import Storage

BOOTING = "Failed to begin transaction: sql: database is closed"
BAD_REQUEST = "400 Bad Request"
NO_HOST = "400 Bad Request: missing required Host header"
_CHUNKED_FROM = 2049
"""A body of this many bytes or more does not fit the host's buffer and is sent without Content-Length."""
_LINE_LIMIT = 1 << 20


class Request(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    """The raw target, query included."""
    connection: int
    """The connection that it came on, counted from 1."""


class Connection(web.RequestHandler):
    """One connection of a client."""

    def __init__(self, server: "Server", manager: web.Server) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=server.instance.profile.idle_limit,
            access_log=None,  # type: ignore[arg-type]  # None is what turns it off
            max_line_size=_LINE_LIMIT,
            max_field_size=_LINE_LIMIT,
        )
        self.number = 0
        self.root = True
        self.pipe: asyncio.BaseTransport | None = None
        """The transport. aiohttp forgets `transport` when it closes it, which may still send what is left."""
        self.listener: events.Listener | None = None
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        credentials = struct.Struct("3i")
        peer = transport.get_extra_info("socket")
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
        _, uid, _ = credentials.unpack(raw)
        # Who runs the simulator as an ordinary user is root in the guest that it makes up.
        self.root = uid in (0, os.getuid())
        self.pipe = transport
        self.number = self._server.connected(self)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self.listener is None:
            super().data_received(_encoded(data))
        else:
            self.listener.feed(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._server.open.discard(self)
        if self.listener is not None:
            self.listener.lost()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP at all gets the host's short answer; the rest is a bug of the simulator."""
        if status == 400:
            # Newer versions of aiohttp look for the header themselves.
            no_host = (message or "").startswith("Missing 'Host'")
            end_with_bad_request(request, NO_HOST if no_host else BAD_REQUEST)
        return super().handle_error(request, status, exc, message)


def _encoded(data: bytes) -> bytes:
    """Percent-encode what is not ASCII in a request line: a host accepts it, aiohttp's parser does not."""
    line, end_of_line, rest = data.partition(b"\r\n")
    if line.isascii() or not re.fullmatch(rb"[A-Z]+ /\S* HTTP/1\.[01]", line):
        return data
    encoded = re.sub(rb"[\x80-\xff]", lambda byte: b"%%%02X" % ord(byte[0]), line)
    return encoded + end_of_line + rest


def end(request: web.BaseRequest) -> NoReturn:
    """Be done with a connection that was taken away from HTTP."""
    if request.transport is not None:
        request.transport.close()
    # The one way to leave a handler without a response that aiohttp takes quietly.
    raise asyncio.CancelledError


def end_with_bad_request(request: web.BaseRequest, status: str) -> NoReturn:
    """Send the answer to a request that the host cannot read, which has few headers and no newline."""
    if request.transport is not None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
        request.transport.write(f"{head}{status}".encode())
    end(request)


class Server:
    """Answers connections for an instance; whoever listens on the socket makes them with `connection`."""

    def __init__(self, instance: Instance, hub: events.Hub, faults: Faults, storage: Storage) -> None:
        self.instance = instance
        self.storage = storage
        self.hub = hub
        self.requests: list[Request] = []
        self.connections = 0
        self.open: set[Connection] = set()
        self.failing: str | None = None
        """While it is set, every answer is a 500 of this text."""
        self._faults = faults
        self._boot_until: float | None = None

        # As middleware, since a router has its own idea of which paths there are.
        @web.middleware
        async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._handle(request)

        app = web.Application(middlewares=[handle])
        app.on_response_prepare.append(order_headers)
        self._runner = web.AppRunner(
            app, handle_signals=False, shutdown_timeout=1.0, handler_cancellation=True
        )

    async def start(self) -> None:
        """Make ready for connections."""
        await self._runner.setup()

    async def stop(self) -> None:
        """Drop every connection, when no more are accepted."""
        # One that was accepted last is made in the next rounds of the loop, and closed in those after them.
        for _ in range(3):
            self.drop()
            for _ in range(3):
                await asyncio.sleep(0)
        await self._runner.cleanup()

    def connection(self) -> Connection:
        """A protocol for a connection that has just been accepted."""
        assert self._runner.server is not None
        return Connection(self, self._runner.server)

    def connected(self, connection: Connection) -> int:
        """Count a new connection."""
        self.connections += 1
        self.open.add(connection)
        if self._boot_until is None:
            self._boot_until = time.monotonic() + self._faults.boot_500
        return self.connections

    def drop(self) -> None:
        """Break every connection, as the end of the daemon does."""
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
            end_with_bad_request(request, NO_HOST)
        target = Target.parse(request.raw_path)
        if not target.well_encoded:
            end_with_bad_request(request, BAD_REQUEST)
        answer = await self._answer(request, connection, target)
        if isinstance(answer, export.Body):
            return await self._send(request, answer)
        long = len(answer.body) >= _CHUNKED_FROM and request.version >= (1, 1) and request.method != "HEAD"
        return Response(answer, chunked=long)

    async def _send(self, request: web.Request, body: export.Body) -> web.StreamResponse:
        response = Download(body, chunked=request.version >= (1, 1))
        left = body.half if self._faults.short_image else None
        try:
            await response.prepare(request)
            for piece in body.pieces if request.method != "HEAD" else ():
                await response.write(piece if left is None else piece[:left])
                if left is not None:
                    left -= len(piece)
                    if left <= 0:
                        end(request)
            await response.write_eof()
        except ConnectionError:  # the client has gone, or the daemon restarts
            end(request)
        return response

    async def _answer(
        self, request: web.Request, connection: Connection, target: Target
    ) -> Answer | export.Body:
        profile, method = self.instance.profile, request.method
        if moved := answers.redirect(profile, method, target):
            return moved
        if self.failing is not None:
            return answers.error(500, self.failing)
        if self._boot_until is not None and time.monotonic() < self._boot_until:
            return answers.error(500, BOOTING)
        endpoint, parameters = answers.find_endpoint(profile, target.path)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if refused := answers.refuse_token(self.instance, token):
            return refused
        trusted = profile.tokens and self.instance.tokens.get(token) == "trusted"
        permitted = connection.root and not self._faults.forbidden
        if not permitted and (endpoint is not None or profile.root_first):
            return answers.error(401, answers.NON_ROOT)
        if endpoint is None:
            return answers.error(404, "404 page not found")
        if refused := answers.wrong_method(profile, endpoint, method):
            return refused
        if not self.instance.api_on and (
            endpoint not in profile.answers_switched_off or answers.is_patch(profile, endpoint, method)
        ):
            return answers.error(403, profile.forbidden)
        if answers.is_patch(profile, endpoint, method):
            return await self._patch(request)
        if endpoint == "/1.0/events":
            return await self._listen(request, connection, target)
        if endpoint in answers.STORAGE_ENDPOINTS:
            body = await request.read()
            return self.storage.answer(endpoint, method, parameters, body, trusted)
        if endpoint == "/1.0/images/{fingerprint}/export":
            return export.export(self.instance, parameters["fingerprint"], request.headers.get("Range"))
        return answers.answer(self.instance, endpoint, parameters, trusted)

    async def _patch(self, request: web.Request) -> Answer:
        profile = self.instance.profile
        try:
            body = await asyncio.wait_for(request.read(), profile.body_limit)
        except asyncio.TimeoutError:
            # The rest of the body is not waited for either.
            request.content.feed_eof()
            request.protocol.close()
            return answers.error(400, f"{profile.body_error_prefix}i/o timeout")
        except ConnectionError:
            end(request)
        return answers.patch_state(self.instance, body)

    async def _listen(self, request: web.Request, connection: Connection, target: Target) -> Answer:
        """Turn the connection into an event stream, or say why not."""
        frames = request.headers.get("Upgrade") == "websocket"
        if frames and (refused := self._refuse_websocket(request)):
            return refused
        transport = connection.transport
        if transport is None:
            end(request)
        if frames:
            accepted = websocket.accept(request.headers["Sec-WebSocket-Key"])
            head = (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accepted}\r\n\r\n"
            ).encode()
        else:
            head = events.PLAIN_HEAD
        types = events.wanted_types(target.query)
        listener = events.Listener(transport, types, self.instance.profile, frames=frames)
        connection.listener = listener
        transport.write(head)
        await self.hub.serve(listener)
        end(request)

    def _refuse_websocket(self, request: web.Request) -> Answer | None:
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
        # The library's answer, and then the host's own attempt to report the error on top of it.
        version = ("Sec-Websocket-Version", "13")
        return answers.error(status, f"{reason}\ninternal server error", version)


def _same_host(origin: str, request: web.Request) -> bool:
    return origin.partition("://")[2].partition("/")[0].lower() == request.headers.get("Host", "").lower()
