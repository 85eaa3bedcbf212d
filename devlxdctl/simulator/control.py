"""The control socket: one JSON object a line, asked and answered, beside the socket of the guest."""

import asyncio
import contextlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from devlxdctl.simulator.instance import Refused

if TYPE_CHECKING:
    from devlxdctl.simulator.host import Host

ANSWER_LIMIT = 30.0
"""Seconds that a caller waits."""
_LINE_LIMIT = 64 << 20


class ControlError(Exception):
    """The simulator was not reached, or refused; the text is one line."""


def control_path(path: Path) -> Path:
    """The control socket of the host whose socket in the guest is at `path`."""
    return path.with_name(f"{path.name}.control")


async def execute(host: "Host", request: dict[str, object]) -> object:
    """Do what a request asks for and return what there is to say; raises Refused."""
    match request:
        case {"do": "set", "changes": dict(changes)}:
            await host.set_config(changes)
        case {"do": "unset", "key": str(key)}:
            await host.unset_config(key)
        case {"do": "device", "name": str(name), "config": dict(config)}:
            host.instance.set_device(name, config)
        case {"do": "remove-device", "name": str(name)}:
            host.instance.remove_device(name)
        case {"do": "show"}:
            counts = {
                "connections": host.server.connections,
                "requests": len(host.server.requests),
                "listeners": host.server.hub.listeners,
            }
            return {**host.instance.as_host_sees_it(), **counts}
        case {"do": "switch", "on": bool(on)}:
            await host.switch(on)
        case {"do": "restart", "down": float() | int() as down}:
            await host.restart(float(down))
        case _:
            raise Refused("the simulator does not know this request")
    return None


async def serve_control(host: "Host", listener: socket.socket) -> asyncio.AbstractServer:
    """Answer requests on a socket that is bound."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A caller that went away and the end of the simulator are both no news.
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while line := await reader.readline():
                answer: dict[str, object]
                try:
                    answer = {"result": await execute(host, json.loads(line))}
                except ValueError as error:
                    answer = {"error": str(error)}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()

    return await asyncio.start_unix_server(serve, sock=listener, limit=_LINE_LIMIT)


def call(path: Path, request: dict[str, object], limit: float = ANSWER_LIMIT) -> object:
    """Send a request to the running simulator whose guest socket is at `path`; raises ControlError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(limit)
        try:
            connection.connect(os.fspath(control_path(path)))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
        except OSError as error:
            raise ControlError(f"no simulator at {path}: {error.strerror or error}") from error
    if not line:
        raise ControlError(f"the simulator at {path} ended")
    answer = json.loads(line)
    if "error" in answer:
        raise ControlError(answer["error"])
    result: object = answer["result"]
    return result
