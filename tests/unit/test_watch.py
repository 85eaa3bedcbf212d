"""The state machine of `ChangeTracker` under any interleaving of what hosts do, and what of it is heard."""

from __future__ import annotations

import itertools
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from devlxdctl.events.watch import Change, ChangeTracker, Everything

KEYS = ["user.a", "user.b", "user.c"]


class Host:
    """Values that change, each change with an event that may arrive late, out of order, twice, or never."""

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
    """Follows a host through a watch, and holds every change that it is told against the host's history."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.watch: ChangeTracker[str] = ChangeTracker()
        self.told: dict[str, str] = {}
        self.place: dict[str, int] = defaultdict(int)
        self.readings = 0

    def read(self, meanwhile: list[tuple[str, str | None]]) -> None:
        """One reading. It takes its time: between two values, the host changes more of them."""
        wanted = self.watch.take()
        if wanted is None:
            return
        rest = iter(meanwhile)
        keys = list(self.host.values) if isinstance(wanted, Everything) else list(wanted)
        values = {}
        for key in keys:
            for key_and_value in itertools.islice(rest, 1):
                self.host.set(*key_and_value)
            if key in self.host.values:
                values[key] = self.host.values[key]
        for change in self.watch.found(wanted, values):
            self.check(change)
        self.readings += 1

    def check(self, change: Change[str]) -> None:
        key = change.key
        assert change.value != change.old_value
        assert change.old_value == self.told.get(key)
        if self.readings == 0:
            assert change.action == "initial"
        elif change.value is None:
            assert change.action == "removed"
        else:
            assert change.action == ("added" if change.old_value is None else "changed")
        # The value was the host's, later than the one that was told before.
        self.place[key] = self.host.history[key].index(change.value, self.place[key] + 1)
        if change.value is None:
            del self.told[key]
        else:
            self.told[key] = change.value


keys = st.sampled_from(KEYS)
values = st.none() | st.integers(0, 3).map(str)
changes = st.tuples(keys, values)
steps = st.one_of(
    st.tuples(st.just("set"), changes),
    st.tuples(st.just("hear"), st.integers(0, 5)),
    st.tuples(st.just("hear twice"), st.integers(0, 5)),
    st.tuples(st.just("lose"), st.integers(0, 5)),
    st.tuples(st.just("disconnect"), st.none()),
    st.tuples(st.just("interval"), st.none()),
    st.tuples(st.just("read"), st.lists(changes, max_size=4)),
)


@given(st.lists(changes, max_size=4), st.lists(steps, max_size=60))
def test_whatever_happens_all_that_is_told_is_true_and_the_end_is_the_hosts_state(
    before: list[tuple[str, str | None]], script: list[tuple[str, object]]
) -> None:
    host = Host()
    for change in before:
        host.set(*change)
    reader = Reader(host)
    for step, what in script:
        if step == "set":
            host.set(*what)  # type: ignore[misc]
        elif step in ("hear", "hear twice", "lose"):
            if host.events:
                index = what % len(host.events)  # type: ignore[operator]
                key = host.events[index] if step == "hear twice" else host.events.pop(index)
                if step != "lose":
                    reader.watch.heard(key)
        elif step == "disconnect":
            host.events.clear()
            reader.watch.missed()
        elif step == "interval":
            reader.watch.missed()
        else:
            reader.read(what)  # type: ignore[arg-type]
    reader.watch.missed()
    reader.read([])
    assert reader.told == reader.watch.known == host.values


@given(st.lists(st.tuples(st.just("set"), changes) | st.tuples(st.just("read"), st.none()), max_size=40))
def test_with_every_event_heard_no_interval_is_needed(script: list[tuple[str, object]]) -> None:
    host = Host()
    reader = Reader(host)
    reader.read([])
    for step, what in script:
        if step == "set":
            host.set(*what)  # type: ignore[misc]
        else:
            reader.read([])
        while host.events:
            reader.watch.heard(host.events.pop())
    reader.read([])
    assert reader.told == host.values


def test_several_changes_of_a_key_are_one_to_the_last_value() -> None:
    watch: ChangeTracker[str] = ChangeTracker()
    watch.take()
    watch.found(Everything(), {"user.a": "1"})
    for _ in range(3):
        watch.heard("user.a")
    wanted = watch.take()
    assert wanted == {"user.a"}
    assert wanted is not None
    assert watch.found(wanted, {"user.a": "4"}) == [Change("user.a", "4", "1", "changed")]
    assert watch.take() is None


def test_what_is_heard_while_it_is_read_is_read_again() -> None:
    watch: ChangeTracker[str] = ChangeTracker()
    wanted = watch.take()
    assert wanted is not None
    watch.heard("user.a")
    watch.found(wanted, {"user.a": "1"})
    assert watch.take() == {"user.a"}
