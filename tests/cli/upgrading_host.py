"""A host that keeps the connection of a websocket open."""

from __future__ import annotations

import socket

from tests.support.raw_host import RawHost


class UpgradingHost(RawHost):
    """Keeps a connection open after a response with status 101, until the client closes it."""

    def __enter__(self) -> UpgradingHost:
        super().__enter__()
        return self

    def _send(self, connection: socket.socket, given: bytes) -> None:
        super()._send(connection, given)
        while given.startswith(b"HTTP/1.1 101") and connection.recv(4096):
            continue
