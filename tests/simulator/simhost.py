"""What the tests of the simulator share: requests byte by byte, and websockets."""

import json
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.guest import Guest, parse_guest
from devlxdctl.simulator.profiles import Profile

DATA = Path(__file__).parent.parent / "data"
LIMIT = 5.0
"""Seconds that anything here may take."""
HANDSHAKE = (
    ("Host", "x"),
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
)


def data(name: str) -> Any:
    """A file of tests/data."""
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def guest_of(document: object) -> Guest:
    """A guest from the parsed form of its file; JSON is YAML."""
    return parse_guest(json.dumps(document, ensure_ascii=False), "test data")


def simulator(
    directory: Path,
    config: dict[str, str] | None = None,
    devices: dict[str, dict[str, str]] | None = None,
    profile: str | Profile = "lxd-6",
    faults: Iterable[str] = (),
    **extra: str,
) -> Simulator:
    """A simulator of a guest with just this config and these devices, named y1 on t6-host."""
    extra = {"name": "y1", "location": "t6-host", **extra}
    guest = guest_of({"config": config or {}, "devices": devices or {}, "simulator": extra})
    return Simulator(directory / "lxd" / "sock", guest, profile, faults)


class Reply(NamedTuple):
    """A response, not interpreted."""

    status: str
    headers: list[tuple[str, str]]
    """In their order, Date left out."""
    body: bytes


class Wire:
    """A connection to a socket, read byte by byte."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT)
        try:
            self.socket.connect(os.fspath(path))
        except OSError:
            self.socket.close()
            raise
        self._buffer = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def until(self, mark: bytes) -> bytes:
        """All bytes up to and with a mark."""
        while mark not in self._buffer:
            self._more()
        head, self._buffer = self._buffer.split(mark, 1)
        return head + mark

    def exactly(self, size: int) -> bytes:
        """So many bytes."""
        while len(self._buffer) < size:
            self._more()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        try:
            while True:
                self._more()
        except EOFError:
            return self._buffer

    def send(
        self,
        target: str,
        method: str = "GET",
        headers: Iterable[Sequence[str]] = (("Host", "x"),),
        body: str | None = None,
        version: str = "HTTP/1.1",
    ) -> None:
        """Send a request whose target is written as it is."""
        lines = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in headers)]
        if body is not None:
            lines.append(f"Content-Length: {len(body.encode())}")
        self.socket.sendall("\r\n".join([*lines, "", body or ""]).encode())

    def ask(
        self,
        target: str,
        method: str = "GET",
        headers: Iterable[Sequence[str]] = (("Host", "x"),),
        body: str | None = None,
        version: str = "HTTP/1.1",
    ) -> Reply:
        """Send a request and read its response."""
        self.send(target, method, headers, body, version)
        return self.reply(method)

    def reply(self, method: str = "GET") -> Reply:
        """Read a response."""
        status, *lines = self.until(b"\r\n\r\n").decode().removesuffix("\r\n\r\n").split("\r\n")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        known = dict(headers)
        if method == "HEAD":
            body = b""
        elif "Content-Length" in known:
            body = self.exactly(int(known["Content-Length"]))
        elif known.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size)
                self.exactly(2)
            self.exactly(2)
        else:
            body = self.rest()
        return Reply(status, [item for item in headers if item[0] != "Date"], body)

    def upgrade(self, target: str = "/1.0/events") -> None:
        """Open a websocket and take the ping that every host sends at once."""
        self.send(target, headers=HANDSHAKE)
        head = self.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert self.frame()[1] == 0x9

    def frame(self) -> tuple[bool, int, bytes]:
        """FIN, opcode and payload of the next frame."""
        first, length = self.exactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", self.exactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.exactly(8))
        return bool(first & 0x80), first & 0x0F, self.exactly(length)

    def send_frame(self, opcode: int, payload: bytes = b"") -> None:
        """Send a frame, masked as a client must."""
        mask = b"\x01\x02\x03\x04"
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked)

    def event(self) -> Any:
        """The next event of a websocket."""
        fin, opcode, payload = self.frame()
        assert (fin, opcode) == (True, 0x1), (fin, opcode)
        return json.loads(payload)

    def _more(self) -> None:
        received = self.socket.recv(65536)
        if not received:
            raise EOFError(self._buffer)
        self._buffer += received


def ask(path: Path, target: str, method: str = "GET", **more: Any) -> Reply:
    """A request on a connection of its own."""
    with Wire(path) as wire:
        return wire.ask(target, method, **more)
