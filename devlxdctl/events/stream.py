"""The events of the host: a websocket over the Unix socket, read in a thread, reconnected when it breaks.

Hosts send a ping every 10 s. They drop a client that leaves three of them unanswered, and one that reads
nothing for 12 s, in the middle of a message. So the thread reads and answers whatever the consumer does, and
keeps a backlog. Hosts do not send events again: the time without a connection is reported as a `Gap`.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, TypeVar

from devlxdctl.errors import DevLXDError
from devlxdctl.events.websocket import CONNECT_TIMEOUT, connect
from devlxdctl.http.endpoints import EVENTS
from devlxdctl.http.messages import Request, parse_strict_json
from devlxdctl.http.retry import RESTART_SECONDS, RetryPolicy
from devlxdctl.http.session import Session

if TYPE_CHECKING:
    from devlxdctl.events.websocket import Connection

__all__ = ["Dropped", "Event", "EventStream", "Gap"]

_log: Final = logging.getLogger(__name__)

MAX_BACKLOG: Final = 64 * 1024 * 1024
"""Bytes of events that are kept for a slow consumer. Further events are dropped and counted."""

_OVERHEAD: Final = 512
"""Bytes that an event takes in memory besides its text."""
_SHORT_CONNECTION: Final = 1.0  # seconds; a connection that breaks sooner delays the next one
_LOG_AFTER: Final = 1.0  # seconds
_PAUSES: Final = (0.05, *[0.2] * 50, 1.0)  # a restart takes a host some seconds: keep the gap short


def _pause(number: int) -> float:
    return _PAUSES[min(number, len(_PAUSES) - 1)]


class Event(NamedTuple):
    """One event. `text` is its JSON text as the host sent it, without the newline at its end."""

    text: str

    def parse(self) -> dict[str, Any]:
        """Return the event as an object with `type`, `timestamp` and `metadata`.

        Raises `ValueError` for anything but a JSON object.
        """
        try:
            document = parse_strict_json(self.text)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
        return document


class Gap(NamedTuple):
    """The connection was lost for this number of seconds: events of that time are lost."""

    seconds: float


class Dropped(NamedTuple):
    """This number of events was dropped because the consumer was too slow."""

    events: int


Item = Event | Gap | Dropped

_T_co = TypeVar("_T_co", covariant=True)


class Backlog(Protocol[_T_co]):
    """What was received and is not consumed yet. `put` and `take` are never called at the same time."""

    def put(self, item: Event | Gap) -> None:
        """Keep what the consumer needs of `item`, in bounded memory."""

    def take(self) -> _T_co | None:
        """Return the next item for the consumer, None without one."""


class Queue:
    """All items in order, up to `MAX_BACKLOG` bytes. Further events are dropped and counted.

    Events are kept as UTF-8: in a `str`, one emoji makes all other characters take four bytes, too.
    """

    def __init__(self) -> None:
        self._items: deque[bytes | Gap | Dropped] = deque()
        self._size = 0
        self._dropped = 0

    def put(self, item: Event | Gap) -> None:
        if isinstance(item, Event):
            self._put_event(item.text.encode("utf-8", "surrogateescape"))
            return
        last = self._items[-1] if self._items else None
        if isinstance(last, Gap) and not self._dropped:
            # A host that drops each connection at once causes any number of them.
            self._items[-1] = Gap(last.seconds + item.seconds)
            return
        self._append(item)

    def _put_event(self, data: bytes) -> None:
        size = len(data) + _OVERHEAD
        if self._size + size > MAX_BACKLOG:
            self._dropped += 1
            return
        self._append(data)
        self._size += size

    def _append(self, item: bytes | Gap) -> None:
        if self._dropped:
            self._items.append(Dropped(self._dropped))
            self._dropped = 0
        self._items.append(item)

    def take(self) -> Item | None:
        if self._items:
            item = self._items.popleft()
            if not isinstance(item, bytes):
                return item
            self._size -= len(item) + _OVERHEAD
            return Event(item.decode("utf-8", "surrogateescape"))
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            return Dropped(dropped)
        return None


class EventStream(Generic[_T_co]):
    """The stream of events. Connects when it is made. A context manager that closes it, and an iterator.

    Once connected it reconnects for ever, except after status 401: the host can restart, or switch the API
    off and on. Iterating yields `Event`, `Gap` and `Dropped` items; `get` returns the next one.

    >>> with client.events(["config"]) as events:
    ...     for item in events:
    ...         print(item)
    """

    def __init__(
        self,
        session: Session,
        types: Collection[str],
        backlog: Backlog[_T_co],
        retry: RetryPolicy,
        output_fd: int | None = None,
    ) -> None:
        self._session = session
        self._request = Request("GET", f"{EVENTS.path}?type={','.join(types)}", EVENTS)
        self._output_fd = output_fd
        self._lock = threading.Lock()
        self._backlog = backlog
        self._failure: BaseException | None = None
        self._closed = threading.Event()
        # A byte in this pair wakes the consumer, which found nothing and may wait. A byte for each event
        # would take a third of the time of a burst.
        self._is_idle = False
        try:
            self._wake_receiver, self._wake_sender = socket.socketpair()
        except OSError as error:  # no descriptor is left
            raise DevLXDError.from_os_error("events", error, "no socket") from error
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._connection: Connection | None = None
        try:
            self._connection = retry.run(
                lambda request: connect(session, request, retry.read_timeout(request, CONNECT_TIMEOUT)),
                self._request,
                session.socket,
            )
            self._thread = threading.Thread(target=self._read, name="devlxd-events", daemon=True)
            self._thread.start()
        except BaseException as error:
            self._wake_receiver.close()
            self._wake_sender.close()
            if self._connection is not None:
                self._connection.close()
            if isinstance(error, RuntimeError):  # the limit of threads
                raise DevLXDError("events", "cannot start a thread") from error
            raise

    def __enter__(self) -> EventStream[_T_co]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[_T_co]:
        while True:
            item = self.get()
            if item is not None:
                yield item

    def close(self) -> None:
        """Close the connection and end the thread."""
        if self._closed.is_set():
            return
        self._closed.set()
        with self._lock:
            if self._connection is not None:
                self._connection.abort()
        self._thread.join()
        if self._connection is not None:
            self._connection.close()
        self._wake_receiver.close()
        self._wake_sender.close()

    def get(self, timeout: float | None = None) -> _T_co | None:
        """Return the next item, or None if there is none for `timeout` seconds.

        Raises `PermissionDenied` when the host rejects the connection for good, and `BrokenPipeError` when
        the reader of `output_fd` has closed it.
        """
        item = self._take()
        if item is not None:
            return item
        deadline = None if timeout is None else time.monotonic() + timeout
        poll = select.poll()
        poll.register(self._wake_receiver, select.POLLIN)
        if self._output_fd is not None:
            poll.register(self._output_fd, 0)  # errors only
        while item is None:
            rest = None if deadline is None else max(deadline - time.monotonic(), 0) * 1000
            ready = poll.poll(rest)
            if not ready:
                return None
            if any(descriptor == self._output_fd for descriptor, _ in ready):
                raise BrokenPipeError("the reader has closed the output")
            with contextlib.suppress(BlockingIOError):
                self._wake_receiver.recv(4096)
            item = self._take()
        return item

    def _take(self) -> _T_co | None:
        with self._lock:
            item = self._backlog.take()
            if item is None:
                if self._failure is not None:
                    raise self._failure
                self._is_idle = True
            return item

    def _put(self, *items: Event | Gap) -> None:
        with self._lock:
            for item in items:
                self._backlog.put(item)
            self._wake()

    def _wake(self) -> None:
        """Wake the consumer, with the lock held."""
        if self._is_idle:
            self._is_idle = False
            self._wake_sender.send(b"!")

    def _read(self) -> None:
        """The thread: put messages, reconnect."""
        short_connections = 0
        try:
            while not self._closed.is_set():
                since = time.monotonic()
                try:
                    self._put_messages()
                except OSError as error:
                    lost = time.monotonic()
                    _log.debug("events: connection lost: %s", error)
                    self._disconnect()
                    # A host that accepts and drops at once would be asked as fast as this machine can.
                    short_connections = short_connections + 1 if lost - since < _SHORT_CONNECTION else 0
                    if short_connections > 1:
                        self._closed.wait(_pause(short_connections - 2))
                    if self._reconnect():
                        self._put(Gap(time.monotonic() - lost))
        except BaseException as error:  # raised in the thread of the consumer
            with self._lock:
                self._failure = error
                self._wake()

    def _put_messages(self) -> None:
        """Put messages until the connection breaks, which raises `OSError`."""
        assert self._connection is not None
        while True:
            self._put(*map(Event, self._connection.receive()))

    def _disconnect(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _reconnect(self) -> bool:
        """Connect again, however long it takes. False if the stream was closed meanwhile."""
        started = time.monotonic()
        logged_wait = logged_outage = False
        for number in range(2**31):
            if self._closed.is_set():
                break
            try:
                connection = connect(self._session, self._request)
            except DevLXDError as error:
                if error.http_status == 401:
                    raise
                waited = time.monotonic() - started
                if waited > _LOG_AFTER and not logged_wait:
                    _log.info("waiting for the host: %s", error)
                    logged_wait = True
                if waited > RESTART_SECONDS and not logged_outage:
                    _log.warning("host unavailable, still waiting: %s", error)
                    logged_outage = True
            else:
                with self._lock:
                    if not self._closed.is_set():
                        self._connection = connection
                        return True
                connection.close()
                break
            self._closed.wait(_pause(number))
        return False
