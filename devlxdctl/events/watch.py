"""Changes of config keys and devices, none of them missed: subscribe, read, compare.

Hosts send no events for `cloud-init.*`, and send those of one update in any order. After a lost connection
they send nothing again. The agent of a virtual machine can lose events without a sign. So an event only
says what to read. A change is what was read, where it differs from what was reported before. Everything is
read at the start, after every gap, and at an interval.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

from devlxdctl.errors import NotSupported, TimedOut, UnexpectedResponse
from devlxdctl.events.stream import Event, EventStream, Gap
from devlxdctl.guest import guest_signs
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session
from devlxdctl.models import Device

__all__ = ["Change"]

V = TypeVar("V")

Action = Literal["initial", "added", "changed", "removed"]

_log: Final = logging.getLogger(__name__)

_MAX_PENDING: Final = 1024 * 1024
_RETRY_PAUSE: Final = 1.0  # seconds after an unexpected response
_WAIT_INTERVAL: Final = 5.0  # seconds between two full reads of a `wait`, for what has no event


@dataclass(frozen=True)
class Change(Generic[V]):
    """A change of a key or device since it was last reported. A value of None means that it does not exist.

    * `action`: `initial`, `added`, `changed` or `removed`.
    """

    key: str
    value: V | None
    old_value: V | None
    action: Action


QUIET: Final[Sequence[Change[Any]]] = ()
"""In place of changes: an update of several keys is complete, as far as its events show that."""


class Everything(NamedTuple):
    """A full read: of everything that matches."""


class ChangeTracker(Generic[V]):
    """What is known, what has to be read, and which changes a read shows. Does no I/O.

    Each change that it reports was real. None is reported twice, and no value follows a newer one. After a
    full read during which nothing happened, everything is known.
    """

    def __init__(self) -> None:
        self.known: dict[str, V] = {}
        self._pending: set[str] = set()
        self._everything = True
        self.started = False

    def mark(self, key: str) -> None:
        """`key` has to be read: an event says that it changed."""
        self._pending.add(key)

    def mark_everything(self) -> None:
        """Everything has to be read: any key can have changed."""
        self._everything = True

    def take(self) -> Everything | Collection[str] | None:
        """Return what has to be read now: everything, some keys, or nothing.

        What is marked later has to be read again.
        """
        if not (self._everything or self._pending):
            return None
        wanted: Everything | Collection[str] = Everything() if self._everything else self._pending
        self._everything, self._pending = False, set()
        return wanted

    def update(self, key: str, value: V | None) -> list[Change[V]]:
        """Return the change that a read of `key` shows, if any."""
        old = self.known.get(key)
        if old == value:
            return []
        if value is None:
            del self.known[key]
        else:
            self.known[key] = value
        return [Change(key, value, old, self._action(old, value))]

    def update_all(self, values: Mapping[str, V]) -> list[Change[V]]:
        """Return the changes that a full read shows, by key."""
        keys = sorted({*self.known, *values})
        changes = [change for key in keys for change in self.update(key, values.get(key))]
        self.started = True
        return changes

    def _action(self, old: V | None, new: V | None) -> Action:
        if not self.started:
            return "initial"
        if new is None:
            return "removed"
        return "added" if old is None else "changed"


@dataclass(frozen=True)
class Source(Generic[V]):
    """Where values come from.

    * `type`, `field`: the type of the events, and the field of their metadata that names the subject.
    * `matches`: whether a subject is wanted.
    * `read_all`: read everything that is wanted.
    * `read_some`: read these subjects; yields each as soon as it is read, with None if it does not exist.
    """

    type: Literal["config", "device"]
    field: Literal["key", "name"]
    matches: Callable[[str], bool]
    read_all: Callable[[], Mapping[str, V]]
    read_some: Callable[[Collection[str]], Iterable[tuple[str, V | None]]]


class PendingKeys(Generic[V]):
    """A backlog of the subjects of events: a set, whose size does not depend on how many events arrive.

    With more than `_MAX_PENDING` characters of subjects, everything has to be read instead.
    """

    def __init__(self, source: Source[V]) -> None:
        self._source = source
        self._keys: set[str] = set()
        self._size = 0
        self._everything = False

    def put(self, item: Event | Gap) -> None:
        if isinstance(item, Gap):
            self._everything = True
            return
        try:
            subject = item.parse()["metadata"][self._source.field]
        except (ValueError, LookupError, TypeError):
            subject = None
        if not isinstance(subject, str):
            self._everything = True
        elif subject not in self._keys and self._source.matches(subject):
            self._keys.add(subject)
            self._size += len(subject)
            if self._size > _MAX_PENDING:
                self._everything = True
                self._keys, self._size = set(), 0

    def take(self) -> Everything | set[str] | None:
        if self._everything:
            self._everything = False
            return Everything()
        keys, self._keys, self._size = self._keys, set(), 0
        return keys or None


def follow(
    session: Session,
    source: Source[V],
    tracker: ChangeTracker[V],
    retry: RetryPolicy,
    *,
    interval: float | None,
    output_fd: int | None = None,
    until: float | None = None,
    settle: float | None = None,
) -> Generator[Sequence[Change[V]], None, None]:
    """Yield the changes that each read shows, possibly none; for ever, or until that monotonic time.

    `interval` is the number of seconds between two full reads, None for no interval. With `settle`, `QUIET`
    is yielded once there was no event for that number of seconds after a read. Errors at the start are
    raised. Once there are events, the host can be unavailable at any time.
    """
    with EventStream(session, [source.type], PendingKeys(source), retry, output_fd) as events:
        retry.retry_forever()
        due: float | None = None
        settles = False
        while True:
            wanted = tracker.take()
            if wanted is not None:
                settles = settle is not None
                try:
                    if isinstance(wanted, Everything):
                        yield tracker.update_all(source.read_all())
                        # Permission was granted: from now on, 403 means that the API was switched off.
                        retry.retry_forever(accept_403=True)
                        due = None if interval is None else time.monotonic() + interval
                    else:
                        for key, value in source.read_some(wanted):
                            yield tracker.update(key, value)
                except (NotSupported, UnexpectedResponse) as error:
                    if not tracker.started:
                        raise
                    _log.warning("%s; reading again", error)
                    tracker.mark_everything()
                    time.sleep(_RETRY_PAUSE)
                continue
            now = time.monotonic()
            if until is not None and now >= until:
                return
            if due is not None and now >= due:
                tracker.mark_everything()
                continue
            ends = [
                end for end in (due, until, now + settle if settle and settles else None) if end is not None
            ]
            pending = events.get(min(ends) - now if ends else None)
            if pending is None and settles:
                settles = False
                yield QUIET
            if isinstance(pending, Everything):
                tracker.mark_everything()
            for key in pending or ():
                tracker.mark(key)


def wait_for_device(
    session: Session,
    read_devices: Callable[[RetryPolicy], Mapping[str, Device]],
    name: str,
    gone: bool,
    timeout: float | None,
) -> Device | None:
    """See `Client.wait_for_device`."""
    retry = wait_policy(session, timeout)

    def read_all() -> Mapping[str, Device]:
        return {each: device for each, device in read_devices(retry).items() if each == name}

    def read_some(wanted: Collection[str]) -> Iterable[tuple[str, Device | None]]:
        found = read_all()
        return [(each, found.get(each)) for each in wanted]

    source: Source[Device] = Source("device", "name", lambda each: each == name, read_all, read_some)
    late = "still there" if gone else "no such device"
    return wait_until(
        session, source, name, lambda found: (found is None) is gone, retry, timeout=timeout, late=late
    )


def wait_policy(session: Session, timeout: float | None) -> RetryPolicy:
    """Wait out any absence of the host until `timeout`; without it, only where a host can be expected."""
    if timeout is not None:
        return RetryPolicy(math.inf, timeout=timeout)
    directory = os.path.dirname(session.socket()) or "."
    return RetryPolicy(math.inf if guest_signs() or os.path.isdir(directory) else None)


def wait_until(
    session: Session,
    source: Source[V],
    name: str,
    holds: Callable[[V | None], bool],
    retry: RetryPolicy,
    *,
    timeout: float | None,
    late: str,
) -> V | None:
    """Return the value of `name` once `holds` accepts it, None for one that does not exist.

    Raises `TimedOut` with the problem `late` after `timeout` seconds.
    """
    if timeout == 0:
        found = source.read_all().get(name)
        if holds(found):
            return found
        raise TimedOut(name, late)
    until = None if timeout is None else time.monotonic() + timeout
    tracker: ChangeTracker[V] = ChangeTracker()
    changes = follow(session, source, tracker, retry, interval=_WAIT_INTERVAL, until=until)
    with closing(changes):
        for _ in changes:
            if tracker.started and holds(tracker.known.get(name)):
                return tracker.known.get(name)
    assert timeout is not None
    raise TimedOut(name, f"{late} after {round(timeout, 2):g} s")
