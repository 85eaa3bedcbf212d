"""Many changes at once: whether `events` prints all of them, and with what delay."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tests.hosts import Host, HostError
from tests.support.program import PROGRAM

from .location import Location
from .measure import STOPWATCH, Quartiles
from .rows import Row

CHANGES = 1000
MAX_DELAY = 0.050
"""Seconds from the timestamp of an event to its line: the goal."""


@dataclass(frozen=True)
class Burst:
    """The result of one burst.

    * `delays`: seconds from the timestamp of each event until its line was read.
    * `seconds`: from the first change to the last line.
    * `cpu`: seconds of CPU time of `events`.
    * `peak`: bytes of memory that `events` used at most.
    """

    delays: list[float]
    seconds: float
    cpu: float
    peak: float


def run_burst(host: Host, changes: int, batch: int = CHANGES) -> Burst:
    """Make `changes` changes, `batch` keys in each update, while `events` runs in the guest.

    Raises HostError if it does not print each of them once.
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
    printed = [(event["metadata"]["key"], event["metadata"]["value"]) for _, event in events]
    if sorted(printed) != sorted(made):
        raise HostError(f"{len(set(made) - set(printed))} of {changes} changes were lost")
    delays = [stamp - seconds(event["timestamp"]) for stamp, event in events]
    return Burst(delays, lines[-1][0] - start, costs[1], costs[2])


def seconds(timestamp: str) -> float:
    """Return the seconds since the epoch. Hosts send nanoseconds, which Python 3.10 cannot parse."""
    whole, _, rest = timestamp.partition(".")
    digits = rest.rstrip("Z").partition("+")[0].partition("-")[0]
    zone = rest[len(digits) :].replace("Z", "+00:00")
    return datetime.fromisoformat(whole + zone).timestamp() + float(f"0.{digits}")


def events(location: Location) -> Iterator[Row]:
    """One row for the median delay of all lines, and one for the longest of each burst."""
    task = f"events: {CHANGES:,} changes in one update, none lost"
    bursts = [run_burst(location.host, CHANGES) for _ in range(location.runs(5))]
    delays = sorted(delay for burst in bursts for delay in burst.delays)
    peak = max(burst.peak for burst in bursts)
    longest = Quartiles.of([max(burst.delays) for burst in bursts])
    runs = len(bursts)
    yield Row(f"{task}: median delay", measure="wall", ours=Quartiles.of(delays), peak=peak, runs=runs)
    yield Row(f"{task}: longest delay", measure="wall", ours=longest, goal=MAX_DELAY, peak=peak, runs=runs)
