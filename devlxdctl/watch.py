"""Changes of config keys and devices, none lost: subscribe, read, compare.

Events are hints. Hosts send none for `cloud-init.*`, send those of one update in any order, and send nothing
again after a lost connection; on the way through a virtual machine's agent they get lost without a sign. So
an event says no more than what to read. What is reported is what was read, where it differs from what was
reported before; and everything is read at the start, after every gap, and at an interval.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final, Generic, Literal, NamedTuple, NoReturn, TypeVar

from devlxdctl.client import Client, matches
from devlxdctl.errors import NotSupported, TimedOut, UnexpectedAnswer
from devlxdctl.events import Event, Events, Gap
from devlxdctl.log import log
from devlxdctl.models import Device

V = TypeVar("V")

Action = Literal["initial", "added", "changed", "removed"]

_RECOVERY: Final = 1.0  # seconds until something is read again that made no sense
_POLL: Final = 5.0  # seconds between two looks of a `wait`, for what causes no event


@dataclass(frozen=True)
class Change(Generic[V]):
    """What has become of a key or device since it was last reported. None stands for what is not there."""

    key: str
    value: V | None
    old_value: V | None
    action: Action


class Everything(NamedTuple):
    """All that matches is to be read."""


class Watch(Generic[V]):
    """What is known, what has to be read, and what that changes. Knows no host and no clock.

    It says what to read, in `take`, and is told what was found, in `found`. Whatever happens in between, and
    whatever is heard or not heard of it, every change that it returns was real, none comes twice, no value
    comes after a newer one, and once `Everything` is read with nothing happening meanwhile, all is known.
    """

    def __init__(self) -> None:
        self.known: dict[str, V] = {}
        self._unread: set[str] = set()
        self._everything = True
        self.started = False

    def heard(self, key: str) -> None:
        """An event says that something happened to this one."""
        self._unread.add(key)

    def missed(self) -> None:
        """Something may have happened to anything."""
        self._everything = True

    def take(self) -> Everything | Collection[str] | None:
        """What has to be read now: everything, these, or nothing. What is heard later is to be read again."""
        if not (self._everything or self._unread):
            return None
        wanted: Everything | Collection[str] = Everything() if self._everything else self._unread
        self._everything, self._unread = False, set()
        return wanted

    def found(self, wanted: Everything | Collection[str], values: Mapping[str, V]) -> list[Change[V]]:
        """The changes, by key, that `values` shows: what was read of `wanted`, less what was not there."""
        keys = {*self.known, *values} if isinstance(wanted, Everything) else wanted
        changes = []
        for key in sorted(keys):
            old, new = self.known.get(key), values.get(key)
            if old == new:
                continue
            if new is None:
                del self.known[key]
            else:
                self.known[key] = new
            changes.append(Change(key, new, old, self._action(old, new)))
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
    """Where values come from: the type of events, the field that names their subject, how to read them."""

    type: Literal["config", "device"]
    field: Literal["key", "name"]
    matches: Callable[[str], bool]
    read: Callable[[Everything | Collection[str]], Mapping[str, V]]


class Hints(Generic[V]):
    """What events say is to be read: a set, however many they are and however long nobody asks."""

    def __init__(self, source: Source[V]) -> None:
        self._source = source
        self._heard: set[str] = set()
        self._missed = False

    def put(self, item: Event | Gap) -> None:
        if isinstance(item, Gap):
            self._missed = True
            return
        try:
            subject = item.parse()["metadata"][self._source.field]
        except (ValueError, LookupError, TypeError, RecursionError):
            subject = None
        if not isinstance(subject, str):
            self._missed = True
        elif self._source.matches(subject):
            self._heard.add(subject)

    def take(self) -> Everything | set[str] | None:
        if self._missed:
            self._missed = False
            return Everything()
        heard, self._heard = self._heard, set()
        return heard or None


def follow(
    client: Client,
    source: Source[V],
    watch: Watch[V],
    *,
    interval: float | None,
    output: int | None = None,
    until: float | None = None,
) -> Generator[list[Change[V]], None, None]:
    """The changes that each reading shows, also where those are none; for ever, or until that monotonic time.

    `interval` is the number of seconds between two readings of everything, None for no such. What is wrong at
    the start is raised; once there are events, the host may be away. `output` is as for `Events`.
    """
    with Events(client.session, [source.type], Hints(source), output) as events:
        client.session.patience.persist()
        due: float | None = None
        while True:
            wanted = watch.take()
            if wanted is not None:
                try:
                    values = source.read(wanted)
                except (NotSupported, UnexpectedAnswer) as error:
                    if not watch.started:
                        raise
                    log.warning("%s; reading again", error)
                    watch.missed()
                    time.sleep(_RECOVERY)
                    continue
                changes = watch.found(wanted, values)
                client.session.patience.persist(refused=True)
                yield changes
                if isinstance(wanted, Everything) and interval is not None:
                    due = time.monotonic() + interval
                continue
            now = time.monotonic()
            if until is not None and now >= until:
                return
            if due is not None and now >= due:
                watch.missed()
                continue
            ends = [end for end in (due, until) if end is not None]
            hint = events.get(min(ends) - now if ends else None)
            if isinstance(hint, Everything):
                watch.missed()
            for key in hint or ():
                watch.heard(key)


def config_changes(
    client: Client, patterns: Sequence[str] = (), interval: float | None = 60, output: int | None = None
) -> Iterator[Change[str]]:
    """The values of the config keys that match, as `initial`, then every change of one, for ever.

    Several changes of a key that follow each other faster than they are read are one, to the last value.
    """

    def read(wanted: Everything | Collection[str]) -> Mapping[str, str]:
        if isinstance(wanted, Everything):
            return client.config(patterns)
        return client.config_found(wanted)

    source = Source("config", "key", lambda key: not patterns or matches(key, patterns), read)
    for changes in follow(client, source, Watch(), interval=interval, output=output):
        yield from changes


def wait_config(
    client: Client, key: str, value: str | None = None, gone: bool = False, timeout: float | None = None
) -> str | None:
    """Waits until the key has this value, or any, or with `gone` none; returns its value.

    Raises `TimedOut` after `timeout` seconds; 0 looks once.
    """

    def holds(found: str | None) -> bool:
        return found is None if gone else found is not None and value in (None, found)

    source = Source("config", "key", lambda each: each == key, lambda wanted: client.config_found([key]))
    late = "still set" if gone else "not set" if value is None else "not set to that value"
    return _wait(client, source, key, holds, timeout=timeout, late=late)


def wait_device(client: Client, name: str, gone: bool = False, timeout: float | None = None) -> Device | None:
    """Waits until there is a device of this name, or with `gone` none; returns it.

    Raises `TimedOut` after `timeout` seconds; 0 looks once.
    """

    def read(wanted: Everything | Collection[str]) -> Mapping[str, Device]:
        return {each: device for each, device in client.devices().items() if each == name}

    source = Source("device", "name", lambda each: each == name, read)
    late = "still there" if gone else "no such device"
    return _wait(client, source, name, lambda found: (found is None) is gone, timeout=timeout, late=late)


def _wait(
    client: Client,
    source: Source[V],
    name: str,
    holds: Callable[[V | None], bool],
    *,
    timeout: float | None,
    late: str,
) -> V | None:
    until = None
    if timeout is not None:
        until = time.monotonic() + timeout
        client.session.patience.limit(timeout)
    if timeout == 0:
        found = source.read(Everything()).get(name)
        if holds(found):
            return found
    else:
        watch: Watch[V] = Watch()
        with closing(follow(client, source, watch, interval=_POLL, until=until)) as readings:
            for _ in readings:
                if holds(watch.known.get(name)):
                    return watch.known.get(name)
    raise TimedOut(name, f"{late} within {timeout:g} s")


def hold_ready(client: Client, interval: float = 10) -> NoReturn:
    """Tells the host that the instance is Ready, and again whenever it has forgotten, for ever.

    No event tells of that, so it looks every `interval` seconds. A restart of the host's daemon forgets it a
    moment after it answers again. Raises what is wrong at the start; from then on, the host may be away.
    """
    client.set_ready()
    client.session.patience.persist(refused=True)
    while True:
        time.sleep(interval)
        try:
            if not client.is_ready():
                log.info("the host has forgotten that the instance is ready: telling it again")
                client.set_ready()
        except (NotSupported, UnexpectedAnswer) as error:  # it may be a host in the middle of something
            log.warning("%s", error)
