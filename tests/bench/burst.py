"""Many changes at once: whether `events` shows them all, and how long after."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tests.hosts import PROGRAM, HostError
from tests.hosts.base import Host

from .measure import STOPWATCH, Spread
from .place import Place
from .rows import Row

CHANGES = 1000
LATE = 0.050
"""Seconds: how far behind the host the tool may be."""


@dataclass(frozen=True)
class Burst:
    """What became of many changes. Seconds, and bytes of memory that the tool had at most."""

    delays: list[float]
    """From the time that the host put on an event to when its line was read."""
    taken: float
    """From the first change to the last line."""
    cpu: float
    peak: float


def burst(host: Host, changes: int, batch: int = CHANGES) -> Burst:
    """Makes so many changes, `batch` keys in each update, while `events` runs in the guest.

    Raises HostError where it does not show each of them once.
    """
    argv = [PROGRAM, "-v", "-f", "json", "events", "--type", "config", "--count", str(changes)]
    task = {"count": changes, "commands": [{"argv": argv, "env": {}, "remove": []}]}
    job = host.start(*STOPWATCH, stdin=json.dumps(task).encode())
    with contextlib.closing(job):
        job.wait_for(b": 101", stderr=True)
        start = time.time()
        made: list[tuple[str, str]] = []
        for first in range(0, changes, batch):
            update = {
                f"user.key{number % batch:03}": str(start + number)
                for number in range(first, min(first + batch, changes))
            }
            host.set(update)
            made += update.items()
        job.wait(120)
        *lines, costs = json.loads(job.stdout())
    host.set(dict.fromkeys(dict(made)))
    events = [(stamp, json.loads(line)) for stamp, line in lines]
    shown = [(event["metadata"]["key"], event["metadata"]["value"]) for _, event in events]
    if sorted(shown) != sorted(made):
        raise HostError(f"{len(set(made) - set(shown))} of {changes} changes were lost")
    delays = [stamp - _seconds(event["timestamp"]) for stamp, event in events]
    return Burst(delays, lines[-1][0] - start, costs[1], costs[2])


def _seconds(timestamp: str) -> float:
    """Since the epoch. Hosts give nanoseconds, which not every Python reads."""
    whole, _, rest = timestamp.partition(".")
    digits = rest.rstrip("Z").partition("+")[0].partition("-")[0]
    zone = rest[len(digits) :].replace("Z", "+00:00")
    return datetime.fromisoformat(whole + zone).timestamp() + float(f"0.{digits}")


def events(place: Place) -> Iterator[Row]:
    """One row for half of the changes and one for the last of them."""
    work = f"events: {CHANGES:,} changes in a burst, none lost"
    bursts = [burst(place.host, CHANGES) for _ in range(place.runs(5))]
    delays = sorted(delay for each in bursts for delay in each.delays)
    peak = max(each.peak for each in bursts)
    worst = Spread.of([max(each.delays) for each in bursts])
    yield Row(f"{work}: the median", measure="wall", ours=Spread.of(delays), peak=peak, runs=len(bursts))
    yield Row(f"{work}: the worst", measure="wall", ours=worst, goal=LATE, peak=peak, runs=len(bursts))
