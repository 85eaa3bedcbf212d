"""The HTTP server: aiohttp, changed where a host's server behaves differently."""

import asyncio
import time
from typing import NamedTuple
from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Handler

from devlxdctl.simulator import endpoints, events, image_export, websocket_frames
from devlxdctl.simulator.aiohttp_responses import BufferedHTTPResponse, StreamedHTTPResponse, order_headers
from devlxdctl.simulator.connection import (
    BAD_REQUEST,
    NO_HOST,
    Connection,
    close_connection,
    send_bad_request,
)
from devlxdctl.simulator.faults import Faults
from devlxdctl.simulator.instance import Instance
from devlxdctl.simulator.messages import Response, StreamedResponse, Target, text_error
from devlxdctl.simulator.storage.api import StorageAPI
from devlxdctl.simulator.storage.model import Identity
from devlxdctl.simulator.storage.state import StorageRequest

BOOTING = "Failed to begin transaction: sql: database is closed"
_CHUNKED_FROM = 2049
"""A body of this size or more does not fit the host's buffer and is sent without Content-Length."""


class Request(NamedTuple):
    """A request as received."""

    method: str
    path: str
    """The raw target, query included."""
    connection: int
    """The number of its connection, starting at 1."""


class Server:
    """Serves an instance over HTTP; `connection` is the protocol factory for a listening socket."""

    def __init__(self, instance: Instance, hub: events.Hub, faults: Faults, storage: StorageAPI) -> None:
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
        self._response_lost = False

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
        return Connection(
            self._runner.server, self.instance.profile.idle_timeout, self._register, self.open.discard
        )

    def _register(self, connection: Connection) -> int:
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
        if self._faults.lost_response and request.method == "POST" and not self._response_lost:
            self._response_lost = True
            close_connection(request)
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
        identity = self.instance.identities.get(token) if profile.tokens else None
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
            body = await self._read_body(request)
            return body if isinstance(body, Response) else endpoints.patch_state(self.instance, body)
        if endpoint == "/1.0/events":
            return await self._listen(request, connection, target)
        if endpoint in endpoints.STORAGE_ENDPOINTS:
            return await self._respond_storage(request, target, endpoint, parameters, identity)
        if endpoint == "/1.0/images/{fingerprint}/export":
            range_header = request.headers.get("Range")
            return image_export.export(self.instance, parameters["fingerprint"], range_header)
        return endpoints.respond(
            self.instance, endpoint, parameters, self._trusted_state() if identity else None
        )

    async def _respond_storage(
        self,
        request: web.Request,
        target: Target,
        endpoint: str,
        parameters: dict[str, str],
        identity: Identity | None,
    ) -> Response:
        if identity is None:
            return text_error(403, "You must be authenticated")
        body = await self._read_body(request)
        if isinstance(body, Response):
            return body
        return await self.storage.respond(
            StorageRequest(
                endpoint=endpoint,
                method=request.method,
                parameters={name: unquote(value) for name, value in parameters.items()},
                query=target.query,
                if_match=request.headers.get("If-Match", ""),
                body=body,
                identity=identity,
            )
        )

    def _trusted_state(self) -> dict[str, object]:
        return {
            "auth": "trusted",
            "supported_storage_drivers": self.storage.supported_drivers(),
            "environment": {"server_clustered": False},
        }

    async def _read_body(self, request: web.Request) -> bytes | Response:
        """Read the body, or return the error for a client that sends it too slowly."""
        profile = self.instance.profile
        try:
            return await asyncio.wait_for(request.read(), profile.body_timeout)
        except asyncio.TimeoutError:
            # aiohttp must not wait for the rest of the body.
            request.content.feed_eof()
            request.protocol.close()
            return text_error(400, f"{profile.body_error_prefix}i/o timeout")
        except ConnectionError:
            close_connection(request)

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
