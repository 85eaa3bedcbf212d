"""The host's events: a websocket over the unix socket, read ahead in a thread, reconnected when it breaks.

Hosts send a ping every 10 s, drop a client that leaves three of them unanswered, and one that reads nothing
for 12 s, in the middle of a message. So the thread reads and answers whatever the consumer does, and keeps
what is not consumed yet. They send nothing again: what happens while there is no connection is told as `Gap`.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Collection
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, TypeVar

from devlxdctl.errors import DevLXDError, UnexpectedAnswer
from devlxdctl.exchange import SILENCE, Answer, Question, strict_json
from devlxdctl.guarded import HEAD, GuardedSocket
from devlxdctl.log import log
from devlxdctl.session import HostSession

if TYPE_CHECKING:
    import websocket

TYPES: Final = ("config", "device")
"""The types of events. Hosts take any other too, and are silent for ever."""

READ_AHEAD: Final = 64 * 1024 * 1024
"""Bytes of events that are kept for a slow consumer. Those that come beyond are dropped, and counted."""

_ALIVE: Final = 45.0  # seconds without even a ping after which a connection counts as dead
_HASTY: Final = 1.0  # seconds that a connection lasts at least where all is well
_PAUSES: Final = (0.05, *[0.2] * 50, 1.0)  # a restart takes a host some seconds: the gap shall not be longer


def _pause(number: int) -> float:
    return _PAUSES[min(number, len(_PAUSES) - 1)]


class Event(NamedTuple):
    """One event: the JSON text as the host sent it, without the newline at its end."""

    text: str

    def parse(self) -> dict[str, Any]:
        """The event as an object: `type`, `timestamp`, `metadata`. Raises `ValueError` if it is none."""
        try:
            document = strict_json(self.text)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(document, dict):
            raise ValueError("an event is an object")
        return document


class Gap(NamedTuple):
    """There was no connection for so many seconds: events of that time are lost."""

    seconds: float


class Dropped(NamedTuple):
    """So many events were dropped here, since the consumer was slow."""

    events: int


Item = Event | Gap | Dropped

_T_co = TypeVar("_T_co", covariant=True)


class Backlog(Protocol[_T_co]):
    """What has come and is not consumed yet. The reading thread puts, the consumer takes, never at once."""

    def put(self, item: Event | Gap) -> None:
        """Keeps what the consumer needs of it, in bounded memory."""

    def take(self) -> _T_co | None:
        """The next thing for the consumer, None where there is none."""


class Queue:
    """Everything in order, up to `READ_AHEAD` bytes. What comes beyond is dropped and counted."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._size = 0
        self._dropped = 0

    def put(self, item: Event | Gap) -> None:
        size = len(item.text) if isinstance(item, Event) else 0
        if size and self._size + size > READ_AHEAD:
            self._dropped += 1
            return
        last = self._items[-1] if self._items else None
        if isinstance(item, Gap) and isinstance(last, Gap):
            # A host that drops each connection at once makes any number of them.
            self._items.pop()
            item = Gap(last.seconds + item.seconds)
        if self._dropped:
            self._items.append(Dropped(self._dropped))
            self._dropped = 0
        self._items.append(item)
        self._size += size

    def take(self) -> Item | None:
        if self._items:
            item = self._items.popleft()
            if isinstance(item, Event):
                self._size -= len(item.text)
            return item
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            return Dropped(dropped)
        return None


class Events(Generic[_T_co]):
    """The stream of events of a host. Connects when it is made, as the session bears it; to be closed.

    Once connected it never gives up but for a 401: the host may restart, or switch the API off and on. Where
    `output` is given, a descriptor, waiting for events ends with `BrokenPipeError` as soon as nobody can read
    that any more. `backlog` keeps what is not consumed yet, and makes of events what `get` returns.
    """

    def __init__(
        self, session: HostSession, types: Collection[str], backlog: Backlog[_T_co], output: int | None = None
    ) -> None:
        self._session = session
        self._question = Question("GET", f"/1.0/events?type={','.join(types)}", "events")
        self._output = output
        self._lock = threading.Lock()
        self._backlog = backlog
        self._failure: BaseException | None = None
        self._closed = threading.Event()
        self._socket: GuardedSocket | None = None
        # A byte in this pair wakes the consumer. It is there exactly while it has not been told.
        try:
            self._awake, self._alarm = socket.socketpair()
        except OSError as error:  # no descriptor is left
            raise DevLXDError("events", (error.strerror or "no socket").lower()) from error
        self._awake.setblocking(False)
        self._alarm.setblocking(False)
        try:
            self._connection = session.patience.repeat(self._subscribe, self._question)
        except BaseException:
            self._awake.close()
            self._alarm.close()
            raise
        self._thread = threading.Thread(target=self._read, name="devlxd-events", daemon=True)
        self._thread.start()

    def __enter__(self) -> Events[_T_co]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection and the thread."""
        if self._closed.is_set():
            return
        self._closed.set()
        with self._lock, contextlib.suppress(OSError):  # it is not connected
            # Not the websocket's own way, which says good-bye and waits three seconds for a host that hangs.
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.shutdown()
        self._awake.close()
        self._alarm.close()

    def get(self, timeout: float | None = None) -> _T_co | None:
        """The next thing of the backlog, or None when there was none for `timeout` seconds.

        Raises `NotPermitted` when the host refuses for good, `BrokenPipeError` as the class says.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        poll = select.poll()
        poll.register(self._awake, select.POLLIN)
        if self._output is not None:
            poll.register(self._output, 0)  # nothing but its end
        while True:
            item = self._take()
            if item is not None:
                return item
            rest = None if deadline is None else max(deadline - time.monotonic(), 0) * 1000
            ready = poll.poll(rest)
            if not ready:
                return None
            if any(descriptor == self._output for descriptor, _ in ready):
                raise BrokenPipeError("the reader has gone away")
            with contextlib.suppress(BlockingIOError):
                self._awake.recv(4096)

    def _take(self) -> _T_co | None:
        with self._lock:
            item = self._backlog.take()
            if item is None and self._failure is not None:
                raise self._failure
            return item

    def _put(self, item: Event | Gap) -> None:
        with self._lock:
            self._backlog.put(item)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is full of reasons to wake up
            self._alarm.send(b"!")

    def _read(self) -> None:
        hasty = 0
        try:
            while not self._closed.is_set():
                since = time.monotonic()
                try:
                    self._put_messages()
                except OSError as error:
                    lost = time.monotonic()
                    log.debug("events: the connection is lost: %s", error)
                    self._connection.shutdown()
                    # One that accepts and drops at once would be asked as fast as this machine can.
                    hasty = hasty + 1 if lost - since < _HASTY else 0
                    if hasty > 1:
                        self._closed.wait(_pause(hasty - 2))
                    if self._reconnect():
                        self._put(Gap(time.monotonic() - lost))
        except BaseException as error:  # it is the consumer's to handle
            with self._lock:
                self._failure = error
            self._wake()

    def _put_messages(self) -> None:
        """Puts messages until the connection breaks, which raises `OSError`."""
        import websocket

        try:
            while True:
                # Pings are answered in there. They come back from it too, and show that the host lives.
                opcode, frame = self._connection.recv_data_frame(control_frame=True)
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    raise ConnectionResetError("the host closed it")
                if opcode not in (websocket.ABNF.OPCODE_PING, websocket.ABNF.OPCODE_PONG):
                    self._guard()
                if opcode == websocket.ABNF.OPCODE_TEXT:
                    self._put(Event(bytes(frame.data).decode("utf-8", "surrogateescape").rstrip("\n")))
        except (websocket.WebSocketException, ValueError, OverflowError, MemoryError) as error:
            raise ConnectionResetError(str(error)) from error

    def _guard(self) -> None:
        """Lets a message come as slowly as it likes, but be no larger than what would be kept of it."""
        if self._socket is not None:
            self._socket.expect(READ_AHEAD, hurry=False)

    def _reconnect(self) -> bool:
        """Connects again, however long it takes. False when the stream was closed meanwhile."""
        started = time.monotonic()
        told = False
        for number in range(2**31):
            if self._closed.is_set():
                break
            try:
                self._connection = self._subscribe(self._question)
                return True
            except DevLXDError as error:
                if error.http_status == 401:
                    raise
                if not told and time.monotonic() - started > 1:
                    log.info("waiting for the host: %s", error)
                    told = True
            self._closed.wait(_pause(number))
        return False

    def _subscribe(self, question: Question) -> websocket.WebSocket:
        """One websocket handshake. Raises what the failure or the host's refusal stands for."""
        import websocket

        from devlxdctl.failures import no_answer

        path, headers = self._session.locate(), self._session.authorization()
        try:
            stream = GuardedSocket()
        except OSError as error:  # no descriptor is left
            raise no_answer(error, path, "events", SILENCE) from error
        with self._lock:
            self._socket = stream
        try:
            stream.settimeout(SILENCE)
            stream.expect(HEAD)
            stream.connect(os.fsencode(path))
            # With a validation of its own, the library takes half a second for a message of a megabyte.
            connection = websocket.WebSocket(skip_utf8_validation=True)
            connection.settimeout(SILENCE)
            connection.connect(
                f"ws://localhost{question.path}",
                socket=stream,
                header=headers,
                suppress_origin=True,  # hosts compare it with Host
                redirect_limit=0,
            )
            connection.settimeout(_ALIVE)
            self._guard()
        except websocket.WebSocketBadStatusException as error:
            stream.close()
            if error.status_code is None:  # an empty line instead of one with a status
                raise UnexpectedAnswer(question.what, "the host speaks no websocket there") from error
            kind = (error.resp_headers or {}).get("content-type", "").partition(";")[0]
            answer = Answer(error.status_code, kind, error.resp_body or b"")
            raise self._session.refusal(answer, question) from error
        except (websocket.WebSocketException, ValueError, OverflowError, MemoryError) as error:
            stream.close()
            if isinstance(error, websocket.WebSocketConnectionClosedException):
                raise no_answer(ConnectionResetError(), path, "events", SILENCE) from error
            if isinstance(error, websocket.WebSocketTimeoutException):
                raise no_answer(TimeoutError(), path, "events", SILENCE) from error
            raise UnexpectedAnswer(question.what, "the host speaks no websocket there") from error
        except OSError as error:
            stream.close()
            raise no_answer(error, path, "events", SILENCE) from error
        log.debug("GET %s: 101", question.path)
        return connection
