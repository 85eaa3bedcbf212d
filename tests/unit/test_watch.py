"""`ChangeTracker` and `PendingKeys`: every change is reported, once and in order, whatever events arrive."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devlxdctl import Change, Event, Gap
from devlxdctl.events.watch import ChangeTracker, Everything, PendingKeys, Source

KEYS = ["user.a", "user.b", "user.c"]


class FakeHost:
    """Values that change. Each change has an event, which can arrive late, out of order, twice or never.

    * `history`: the values that each key had, None for unset.
    * `events`: the keys of events that have not arrived yet.
    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.history: dict[str, list[str | None]] = defaultdict(lambda: [None])
        self.events: list[str] = []

    def set(self, key: str, value: str | None) -> None:
        if self.values.get(key) == value:
            return
        if value is None:
            del self.values[key]
        else:
            self.values[key] = value
        self.history[key].append(value)
        self.events.append(key)


class Reader:
    """Reads what a tracker asks for, and compares each change with the history of the host."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.tracker: ChangeTracker[str] = ChangeTracker()
        self.reported: dict[str, str] = {}
        self.position: dict[str, int] = defaultdict(int)
        self.reads = 0

    def read(self, meanwhile: list[tuple[str, str | None]]) -> None:
        """Do one read. Before each value of it, the host makes one of the changes in `meanwhile`."""
        wanted = self.tracker.take()
        if wanted is None:
            return
        remaining = iter(meanwhile)
        is_full = isinstance(wanted, Everything)
        keys = list(self.host.values) if isinstance(wanted, Everything) else list(wanted)
        values: dict[str, str] = {}
        for key in keys:
            for change in itertools.islice(remaining, 1):
                self.host.set(*change)
            if is_full:
                if key in self.host.values:
                    values[key] = self.host.values[key]
            else:
                self.check(self.tracker.update(key, self.host.values.get(key)))
        if is_full:
            self.check(self.tracker.update_all(values))
        self.reads += 1

    def check(self, found: list[Change[str]]) -> None:
        for change in found:
            key = change.key
            assert change.value != change.old_value
            assert change.old_value == self.reported.get(key)
            if self.reads == 0:
                assert change.action == "initial"
            elif change.value is None:
                assert change.action == "removed"
            else:
                assert change.action == ("added" if change.old_value is None else "changed")
            # The key had this value later than the one that was reported before.
            self.position[key] = self.host.history[key].index(change.value, self.position[key] + 1)
            if change.value is None:
                del self.reported[key]
            else:
                self.reported[key] = change.value


changes = st.tuples(st.sampled_from(KEYS), st.none() | st.integers(0, 3).map(str))
steps = st.one_of(
    st.tuples(st.just("set"), changes),
    st.tuples(st.just("deliver an event"), st.integers(0, 5)),
    st.tuples(st.just("deliver an event twice"), st.integers(0, 5)),
    st.tuples(st.just("lose an event"), st.integers(0, 5)),
    st.tuples(st.just("lose the connection"), st.none()),
    st.tuples(st.just("end of the interval"), st.none()),
    st.tuples(st.just("read"), st.lists(changes, max_size=4)),
)


@given(st.lists(changes, max_size=4), st.lists(steps, max_size=60))
def test_every_reported_change_was_real_and_a_full_read_finds_the_final_values(
    before: list[tuple[str, str | None]], script: list[tuple[str, object]]
) -> None:
    host = FakeHost()
    for change in before:
        host.set(*change)
    reader = Reader(host)
    for step, argument in script:
        if step == "set":
            host.set(*argument)  # type: ignore[misc]
        elif step.endswith(("event", "event twice")):
            if host.events:
                index = argument % len(host.events)  # type: ignore[operator]
                key = host.events[index] if step.endswith("twice") else host.events.pop(index)
                if not step.startswith("lose"):
                    reader.tracker.mark(key)
        elif step == "read":
            reader.read(argument)  # type: ignore[arg-type]
        else:
            if step == "lose the connection":
                host.events.clear()
            reader.tracker.mark_everything()
    reader.tracker.mark_everything()
    reader.read([])
    assert reader.reported == reader.tracker.known == host.values


@given(st.lists(st.tuples(st.just("set"), changes) | st.tuples(st.just("read"), st.none()), max_size=40))
def test_final_values_are_found_without_an_interval_if_no_event_is_lost(
    script: list[tuple[str, object]],
) -> None:
    host = FakeHost()
    reader = Reader(host)
    reader.read([])
    for step, argument in script:
        if step == "set":
            host.set(*argument)  # type: ignore[misc]
        else:
            reader.read([])
        while host.events:
            reader.tracker.mark(host.events.pop())
    reader.read([])
    assert reader.reported == host.values


def test_several_changes_of_a_key_before_a_read_are_one_change() -> None:
    tracker: ChangeTracker[str] = ChangeTracker()
    tracker.take()
    tracker.update_all({"user.a": "1"})
    for _ in range(3):
        tracker.mark("user.a")
    assert tracker.take() == {"user.a"}
    assert tracker.update("user.a", "4") == [Change("user.a", "4", "1", "changed")]
    assert tracker.take() is None


def test_key_that_changes_during_a_read_is_read_again() -> None:
    tracker: ChangeTracker[str] = ChangeTracker()
    assert tracker.take() == Everything()
    tracker.mark("user.a")
    tracker.update_all({"user.a": "1"})
    assert tracker.take() == {"user.a"}


def test_changes_of_a_full_read_are_sorted_by_key() -> None:
    tracker: ChangeTracker[str] = ChangeTracker()
    tracker.update_all({"user.b": "1", "user.c": "1"})
    assert tracker.update_all({"user.c": "2", "user.a": "1"}) == [
        Change("user.a", "1", None, "added"),
        Change("user.b", None, "1", "removed"),
        Change("user.c", "2", "1", "changed"),
    ]


def pending_keys() -> PendingKeys[str]:
    return PendingKeys(Source("config", "key", lambda key: key.startswith("user."), dict, lambda wanted: ()))


def event(metadata: object) -> Event:
    return Event(json.dumps({"type": "config", "metadata": metadata}))


def test_pending_keys_are_the_matching_keys_of_the_events_once_each() -> None:
    pending = pending_keys()
    for key in ("user.a", "user.b", "user.a", "other.c"):
        pending.put(event({"key": key}))
    assert pending.take() == {"user.a", "user.b"}
    assert pending.take() is None


def test_very_many_pending_keys_are_a_full_read() -> None:
    pending = pending_keys()
    for number in range(3):
        pending.put(event({"key": f"user.{number}" + "x" * 400_000}))
    assert pending.take() == Everything()
    assert pending.take() is None
    pending.put(event({"key": "user.a"}))
    assert pending.take() == {"user.a"}


@pytest.mark.parametrize(
    "item",
    [Gap(1.0), Event("no JSON"), event({}), event({"key": 5}), event([]), Event('{"type":"config"}')],
    ids=repr,
)
def test_gap_or_event_without_a_key_requires_a_full_read(item: Event | Gap) -> None:
    pending = pending_keys()
    pending.put(event({"key": "user.a"}))
    pending.put(item)
    assert pending.take() == Everything()
    assert pending.take() == {"user.a"}
    assert pending.take() is None
