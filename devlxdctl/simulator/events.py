"""The event stream: listeners on connections that HTTP has let go of."""

import asyncio
import random
import time
from collections.abc import Iterable
from urllib.parse import parse_qsl

from devlxdctl.simulator import golang, websocket
from devlxdctl.simulator.instance import Change
from devlxdctl.simulator.profiles import Profile

ALL_TYPES = frozenset({"config", "device"})
# The host takes the connection over and writes this head itself, with bare line feeds.
PLAIN_HEAD = (
    b"HTTP/1.1 200 OK\nConnection: keep-alive\nContent-Type: application/json\n"
    b"X-Content-Type-Options: nosniff\n\n"
)
_STEP_NS = 13_000  # between two events of one update, about what hosts take


def wanted_types(query: str) -> frozenset[str]:
    """The types that a query string asks for: the first `type=`, and all where it is empty or absent."""
    # Go drops a pair that has a semicolon in it.
    kept = "&".join(pair for pair in query.split("&") if ";" not in pair)
    chosen = dict(reversed(parse_qsl(kept, keep_blank_values=True))).get("type", "")
    return frozenset(chosen.split(",")) if chosen else ALL_TYPES


class Listener:
    """One open event stream on a transport that is its own; `closed` is done when it has ended."""

    def __init__(
        self, transport: asyncio.Transport, types: frozenset[str], profile: Profile, *, frames: bool
    ) -> None:
        self.types = types
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport = transport
        self._profile = profile
        self._reader = websocket.Reader() if frames else None
        self._answered = time.monotonic()
        self._watch = asyncio.create_task(self._keep_watch())

    def send(self, line: bytes) -> None:
        """Write one event."""
        if not self._transport.is_closing():
            self._transport.write(websocket.message(line) if self._reader else line)

    def feed(self, data: bytes) -> None:
        """Bytes from the client: frames of a websocket; a plain stream has no use for any."""
        if self._reader is None:
            return
        for opcode, payload in self._reader.feed(data):
            if opcode == websocket.PONG:
                self._answered = time.monotonic()
            elif opcode == websocket.PING:
                self._transport.write(websocket.frame(websocket.PONG, payload))
            elif opcode == websocket.CLOSE:
                self._transport.write(websocket.frame(websocket.CLOSE, payload[:2]))
                self._transport.close()

    def lost(self) -> None:
        """The connection is gone."""
        self._watch.cancel()
        if not self.closed.done():
            self.closed.set_result(None)

    async def _keep_watch(self) -> None:
        """Ping, and drop a client that takes nothing or answers no ping."""
        profile = self._profile
        ping_at = time.monotonic()
        taking, backlog = ping_at, 0
        tick = min(0.5, profile.ping_every / 4, profile.stall_limit / 4)
        while True:
            now, waiting = time.monotonic(), self._transport.get_write_buffer_size()
            if not waiting or waiting < backlog:
                taking = now
            backlog = waiting
            silent = self._reader is not None and now - self._answered >= profile.pong_limit
            if silent or now - taking >= profile.stall_limit:
                # In the middle of a line or a frame, as hosts do.
                self._transport.abort()
                return
            if self._reader is not None and now >= ping_at:
                self._transport.write(websocket.frame(websocket.PING, profile.ping_payload))
                ping_at += profile.ping_every
            await asyncio.sleep(tick)


class Hub:
    """All listeners of a host."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    @property
    def listeners(self) -> int:
        """How many there are now."""
        return len(self._listeners)

    async def serve(self, listener: Listener) -> None:
        """Keep a listener until it has gone."""
        self._listeners.add(listener)
        try:
            await listener.closed
        finally:
            self._listeners.discard(listener)

    def publish(self, changes: list[Change]) -> None:
        """Tell the changes of one update, whose order on the wire is not that of their timestamps."""
        now = time.time_ns()
        stamped = [(now + i * _STEP_NS, change) for i, change in enumerate(changes)]
        for at, change in _jumbled(stamped):
            line = golang.encode(
                {"type": change.type, "timestamp": golang.timestamp(at), "metadata": change.metadata},
                html=True,
            )
            for listener in self._listeners:
                if change.type in listener.types:
                    listener.send(line)


def _jumbled(stamped: Iterable[tuple[int, Change]]) -> list[tuple[int, Change]]:
    # Hosts send each event of an update from a thread of its own: neighbours swap, 10 to 40 in 200.
    keyed = [(i + random.uniform(0, 1.8), item) for i, item in enumerate(stamped)]
    return [item for _, item in sorted(keyed, key=lambda pair: pair[0])]
