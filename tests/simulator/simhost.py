"""Helpers for tests of the simulator: raw HTTP requests and websockets."""

import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.guest import Guest, parse_guest
from devlxdctl.simulator.profiles import Profile

DATA = Path(__file__).parent.parent / "data"
TIMEOUT = 20.0
"""Timeout in seconds of every operation on a socket."""
HANDSHAKE = (
    ("Host", "x"),
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
)


def recording(name: str) -> Any:
    """Load a recording of a real host from tests/data."""
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def make_guest(document: object) -> Guest:
    """Make a guest from the parsed content of a guest file."""
    # JSON is YAML.
    return parse_guest(json.dumps(document, ensure_ascii=False), "test data")


def make_simulator(
    directory: Path,
    config: dict[str, str] | None = None,
    devices: dict[str, dict[str, str]] | None = None,
    profile: str | Profile = "lxd-6",
    faults: Iterable[str] = (),
    **extra: str,
) -> Simulator:
    """Make a simulator for the guest y1 on t6-host with only this config and these devices."""
    extra = {"name": "y1", "location": "t6-host", **extra}
    guest = make_guest({"config": config or {}, "devices": devices or {}, "simulator": extra})
    return Simulator(directory / "lxd" / "sock", guest, profile, faults)


class Response(NamedTuple):
    """A raw HTTP response."""

    status: str
    headers: list[tuple[str, str]]
    """All headers except Date, in the order received."""
    body: bytes


class RawConnection:
    """A connection to a Unix socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT)
        try:
            self.socket.connect(os.fspath(path))
        except OSError:
            self.socket.close()
            raise
        self._buffer = b""

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def read_until(self, mark: bytes) -> bytes:
        """Read up to and including `mark`."""
        while mark not in self._buffer:
            self._receive()
        head, self._buffer = self._buffer.split(mark, 1)
        return head + mark

    def read_exactly(self, size: int) -> bytes:
        """Read `size` bytes."""
        while len(self._buffer) < size:
            self._receive()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def read_to_end(self) -> bytes:
        """Read until the server closes the connection."""
        try:
            while True:
                self._receive()
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
        """Send a request; the target is not encoded."""
        lines = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in headers)]
        if body is not None:
            lines.append(f"Content-Length: {len(body.encode())}")
        self.socket.sendall("\r\n".join([*lines, "", body or ""]).encode())

    def request(
        self,
        target: str,
        method: str = "GET",
        headers: Iterable[Sequence[str]] = (("Host", "x"),),
        body: str | None = None,
        version: str = "HTTP/1.1",
    ) -> Response:
        """Send a request and read its response."""
        self.send(target, method, headers, body, version)
        return self.read_response(method)

    def read_response(self, method: str = "GET") -> Response:
        """Read a response."""
        status, *lines = self.read_until(b"\r\n\r\n").decode().removesuffix("\r\n\r\n").split("\r\n")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        known = dict(headers)
        if method == "HEAD":
            body = b""
        elif "Content-Length" in known:
            body = self.read_exactly(int(known["Content-Length"]))
        elif known.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.read_until(b"\r\n"), 16):
                body += self.read_exactly(size)
                self.read_exactly(2)
            self.read_exactly(2)
        else:
            body = self.read_to_end()
        return Response(status, [item for item in headers if item[0] != "Date"], body)

    def open_websocket(self, target: str = "/1.0/events") -> None:
        """Open a websocket and read the ping that every host sends first."""
        self.send(target, headers=HANDSHAKE)
        head = self.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert self.read_frame()[1] == 0x9

    def read_frame(self) -> tuple[bool, int, bytes]:
        """Read the next frame; return FIN, opcode and payload."""
        first, length = self.read_exactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", self.read_exactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.read_exactly(8))
        return bool(first & 0x80), first & 0x0F, self.read_exactly(length)

    def send_frame(self, opcode: int, payload: bytes = b"") -> None:
        """Send a masked frame."""
        mask = b"\x01\x02\x03\x04"
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked)

    def read_event(self) -> Any:
        """Read the next event of a websocket."""
        fin, opcode, payload = self.read_frame()
        while opcode == 0x9:  # a ping, on a machine so busy that ten seconds have passed
            self.send_frame(0xA, payload)
            fin, opcode, payload = self.read_frame()
        assert (fin, opcode) == (True, 0x1), (fin, opcode)
        return json.loads(payload)

    def _receive(self) -> None:
        received = self.socket.recv(65536)
        if not received:
            raise EOFError(self._buffer)
        self._buffer += received


def request(path: Path, target: str, method: str = "GET", **more: Any) -> Response:
    """Send a request on a new connection and read its response."""
    with RawConnection(path) as connection:
        return connection.request(target, method, **more)


def is_listening(path: Path) -> bool:
    """Return whether path accepts connections: a socket file exists before its daemon listens."""
    try:
        with RawConnection(path):
            return True
    except (FileNotFoundError, ConnectionRefusedError):
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that cannot be waited for otherwise."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "timeout"
        time.sleep(0.01)
