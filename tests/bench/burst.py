"""Many changes at once: whether `events` and `config watch` print all of them, and with what delay."""

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
from .measure import STOPWATCH, Command, Quartiles, run_in_turn
from .rows import Row

CHANGES = 1000
MAX_DELAY = 0.050
"""Seconds from the timestamp of an event to its line, at most: the goal."""
MEDIAN_DELAY = 0.020
"""The goal for the median."""


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
    yield Row(
        f"{task}: median delay",
        measure="wall",
        ours=Quartiles.of(delays),
        goal=MEDIAN_DELAY,
        peak=peak,
        runs=runs,
    )
    yield Row(f"{task}: longest delay", measure="wall", ours=longest, goal=MAX_DELAY, peak=peak, runs=runs)


def run_watch(host: Host, changes: int) -> tuple[float, float, float]:
    """Change `changes` keys in one update while `config watch` runs in the guest.

    Returns the seconds from the timestamp of the first event to the first and to the last line, and bytes of
    memory. Raises HostError if a change was not printed.
    """
    host.set({"user.ready": "1"})
    argv = [PROGRAM, "-f", "json", "config", "watch", "user.*", "--count", str(changes)]
    task = {"count": changes + 1, "ready": 1, "commands": [{"argv": argv, "env": {}, "remove": []}]}
    job = host.start(*STOPWATCH, stdin=json.dumps(task).encode())
    # Only this knows when the host sent the first event.
    clock = host.start(PROGRAM, "-v", "-f", "json", "events", "--count", "1")
    with contextlib.closing(job), contextlib.closing(clock):
        job.wait_for(b"ready", stderr=True)
        clock.wait_for(b": 101", stderr=True)
        keys = {f"user.key{number:04}": f"{number} {time.time()}" for number in range(changes)}
        host.set(keys)
        job.wait(120)
        clock.wait(20)
        sent = seconds(json.loads(clock.stdout())["timestamp"])
        _, *lines, costs = json.loads(job.stdout())
    printed = {(change["key"], change["value"]) for change in (json.loads(line) for _, line in lines)}
    if printed != set(keys.items()):
        raise HostError(f"{len(set(keys.items()) - printed)} of {changes} changes were lost")
    return lines[0][0] - sent, lines[-1][0] - sent, costs[2]


def watch(location: Location) -> Iterator[Row]:
    """One row for the first line, and one for the last."""
    task = f"config watch: {CHANGES:,} keys changed in one update"
    baseline = "config ls -l of these keys"
    delays = []
    ratios = []
    listed = []
    for _ in range(location.runs(5)):
        delays.append(run_watch(location.host, CHANGES))
        list_keys = {baseline: Command([PROGRAM, "config", "ls", "-l"])}
        listed.append(run_in_turn(location.host, list_keys, 1, warmup=0)[baseline].wall[0])
        ratios.append(delays[-1][1] / listed[-1])
        location.host.set({f"user.key{number:04}": None for number in range(CHANGES)})
    location.host.set({"user.ready": None})
    first, last, peaks = zip(*delays, strict=True)
    peak, runs = max(peaks), len(delays)
    yield Row(
        f"{task}: first line", measure="wall", ours=Quartiles.of(first), goal=MAX_DELAY, peak=peak, runs=runs
    )
    yield Row(
        f"{task}: last line",
        baseline,
        "wall",
        Quartiles.of(last),
        Quartiles.of(listed),
        Quartiles.of(ratios),
        1.2,
        peak,
        runs,
    )
