"""The control socket, through which `devlxd-simulator set` and others reach a running simulator.

It lies beside the guest's socket. Each request and each response is one line with a JSON object.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from devlxdctl.simulator.os_errors import os_reason

CALL_TIMEOUT = 30.0
"""Seconds that a caller waits for a response."""
CONTROL_SUFFIX = ".control"
_LINE_LIMIT = 64 << 20

Execute = Callable[[dict[str, object]], Awaitable[object]]
"""Does what a request says and returns its result; raises ValueError if it refuses."""


class ControlError(Exception):
    """The simulator is not reachable or refused the request; the text is one line."""


def control_path(path: Path) -> Path:
    """Return the path of the control socket for the guest's socket at `path`."""
    return path.with_name(path.name + CONTROL_SUFFIX)


async def serve_control(execute: Execute, listener: socket.socket) -> asyncio.AbstractServer:
    """Serve requests on a bound socket, each by a call of `execute`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Neither a client that disconnects nor the simulator's end is an error.
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while line := await reader.readline():
                response: dict[str, object]
                try:
                    response = {"result": await execute(json.loads(line))}
                except ValueError as error:
                    response = {"error": str(error)}
                writer.write(json.dumps(response).encode() + b"\n")
                await writer.drain()

    return await asyncio.start_unix_server(serve, sock=listener, limit=_LINE_LIMIT)


def call(path: Path, request: dict[str, object], timeout: float = CALL_TIMEOUT) -> object:
    """Send a request to the simulator whose guest socket is at `path`; raises ControlError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(os.fspath(control_path(path)))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
        except OSError as error:
            raise ControlError(f"{path}: no simulator is running: {os_reason(error)}") from error
    if not line:
        raise ControlError(f"{path}: the simulator ended before it responded")
    response = json.loads(line)
    if "error" in response:
        raise ControlError(response["error"])
    result: object = response["result"]
    return result
