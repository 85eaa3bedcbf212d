"""The event stream: listeners on connections that aiohttp no longer reads."""

import asyncio
import random
import time
from collections.abc import Iterable
from urllib.parse import parse_qsl

from devlxdctl.simulator import go_json, websocket_frames
from devlxdctl.simulator.instance import Change
from devlxdctl.simulator.profiles import Profile

ALL_TYPES = frozenset({"config", "device"})
# The host takes over the connection and writes this head itself, with bare line feeds.
PLAIN_HEAD = (
    b"HTTP/1.1 200 OK\nConnection: keep-alive\nContent-Type: application/json\n"
    b"X-Content-Type-Options: nosniff\n\n"
)
_STEP_NS = 13_000
"""Nanoseconds between two events of one update, about as on real hosts."""


def requested_types(query: str) -> frozenset[str]:
    """Return the event types of the first `type=` in a query string; all if it is empty or absent."""
    # Go drops a pair that contains a semicolon.
    kept = "&".join(pair for pair in query.split("&") if ";" not in pair)
    types = dict(reversed(parse_qsl(kept, keep_blank_values=True))).get("type", "")
    return frozenset(types.split(",")) if types else ALL_TYPES


class Listener:
    """One open event stream. `closed` is done when the stream has ended."""

    def __init__(
        self, transport: asyncio.Transport, types: frozenset[str], profile: Profile, *, websocket: bool
    ) -> None:
        self.types = types
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport = transport
        self._profile = profile
        self._reader = websocket_frames.FrameReader() if websocket else None
        self._last_pong = time.monotonic()
        self._supervision = asyncio.create_task(self._supervise())

    def send(self, line: bytes) -> None:
        """Write one event."""
        if not self._transport.is_closing():
            self._transport.write(websocket_frames.message(line) if self._reader else line)

    def receive(self, data: bytes) -> None:
        """Handle bytes from the client: websocket frames; a plain stream ignores them."""
        if self._reader is None:
            return
        for opcode, payload in self._reader.feed(data):
            if opcode == websocket_frames.PONG:
                self._last_pong = time.monotonic()
            elif opcode == websocket_frames.PING:
                self._transport.write(websocket_frames.frame(websocket_frames.PONG, payload))
            elif opcode == websocket_frames.CLOSE:
                self._transport.write(websocket_frames.frame(websocket_frames.CLOSE, payload[:2]))
                self._transport.close()

    def connection_lost(self) -> None:
        """End the stream after its connection was closed."""
        self._supervision.cancel()
        if not self.closed.done():
            self.closed.set_result(None)

    async def _supervise(self) -> None:
        """Send pings, and drop a client that does not read or does not answer pings."""
        profile = self._profile
        next_ping = time.monotonic()
        last_progress, backlog = next_ping, 0
        interval = min(0.5, profile.ping_interval / 4, profile.stall_timeout / 4)
        while True:
            now, waiting = time.monotonic(), self._transport.get_write_buffer_size()
            if not waiting or waiting < backlog:
                last_progress = now
            backlog = waiting
            no_pong = self._reader is not None and now - self._last_pong >= profile.pong_timeout
            if no_pong or now - last_progress >= profile.stall_timeout:
                # As on real hosts, the data may end in the middle of a line or a frame.
                self._transport.abort()
                return
            if self._reader is not None and now >= next_ping:
                ping = websocket_frames.frame(websocket_frames.PING, profile.ping_payload)
                self._transport.write(ping)
                next_ping += profile.ping_interval
            await asyncio.sleep(interval)


class Hub:
    """All listeners of a host."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    @property
    def listeners(self) -> int:
        """The number of open streams."""
        return len(self._listeners)

    async def serve(self, listener: Listener) -> None:
        """Send events to a listener until its stream ends."""
        self._listeners.add(listener)
        try:
            await listener.closed
        finally:
            self._listeners.discard(listener)

    def publish(self, changes: list[Change]) -> None:
        """Send the events of one update; like real hosts, not in the order of their timestamps."""
        now = time.time_ns()
        stamped = [(now + i * _STEP_NS, change) for i, change in enumerate(changes)]
        for at, change in _shuffled(stamped):
            line = go_json.encode(
                {"type": change.type, "timestamp": go_json.timestamp(at), "metadata": change.metadata},
                html=True,
            )
            for listener in self._listeners:
                if change.type in listener.types:
                    listener.send(line)


def _shuffled(stamped: Iterable[tuple[int, Change]]) -> list[tuple[int, Change]]:
    # Hosts send each event from its own thread. Neighbours swap: 10 to 40 inversions in 200 events.
    keyed = [(i + random.uniform(0, 1.8), item) for i, item in enumerate(stamped)]
    return [item for _, item in sorted(keyed, key=lambda pair: pair[0])]
