"""Files made from config keys: what one costs, and when it and its command follow a change on the host."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator

from tests.hosts.jobs import Job, poll
from tests.support.program import PROGRAM

from .burst import seconds
from .location import Location
from .measure import Command, Quartiles
from .rows import Comparison, Goals, Row, run_checked

MAX_DELAY = 0.100
"""Seconds from the timestamp of the event to the file, and to the start of the command: the goal."""

_KEY = "user.bench"

# The change time of the file is that of the rename. The clock is read first.
_REPORT = 'date +%s.%N; stat -c %.9Z "$0"; cat "$0"'
_CHILD = 'date +%s.%N; echo "$USER_BENCH"; exec sleep 100000'


def files(location: Location) -> Iterator[Row]:
    """The rows for a file that is up to date already, and for the delays after a change."""
    yield from _unchanged(location)
    yield from _delays(location)


def _unchanged(location: Location) -> Iterator[Row]:
    location.host.set({_KEY: "0"})
    print_env = [PROGRAM, "config", "env", _KEY]
    path, other = f"{location.directory}/bench.env", f"{location.directory}/printed.env"
    ours = Command([*print_env, "-o", path])
    redirected = Command(["sh", "-c", f"exec {shlex.join(print_env)} >{other}"])
    for command in (ours, redirected):
        run_checked(location, command)
    commands = {"ours": ours, "config env >FILE": redirected}
    goals: Goals = {"config env >FILE": ("cpu", 1.05)}
    yield from Comparison("config env -o FILE, unchanged", commands, goals, location.runs(40)).rows(location)
    location.host.set({_KEY: None})
    location.host.run("rm", "-f", path, other)


def _delays(location: Location) -> Iterator[Row]:
    """One row for the file, one for its command, one for a command that is run again with new values."""
    host = location.host
    path = f"{location.directory}/bench.env"
    host.set({_KEY: "0"})
    argv = [PROGRAM, "-v", "-f", "json", "events", "--type", "config"]
    saves = [PROGRAM, "config", "env", _KEY, "-o", path, "--watch", "--", "sh", "-c", _REPORT, path]
    runs = [PROGRAM, "config", "run", _KEY, "--watch", "--", "sh", "-c", _CHILD]
    count = location.runs(30)
    with contextlib.ExitStack() as stack:
        jobs = [stack.enter_context(contextlib.closing(host.start(*each))) for each in (argv, saves, runs)]
        events, saving, running = jobs
        events.wait_for(b": 101", 60, stderr=True)
        saving.wait_for(b"USER_BENCH='0'\n", 60)
        running.wait_for(b"\n0\n", 60)
        for number in range(1, count + 1):
            host.set({_KEY: str(number)})
            saving.wait_for(f"USER_BENCH='{number}'\n".encode(), 60)
            running.wait_for(f"\n{number}\n".encode(), 60)
        sent = poll("all events", lambda: _sent(events, count), 60)
        saved = _groups(saving, 3)[1:]
        started = _groups(running, 2)[1:]
    host.set({_KEY: None})
    host.run("rm", "-f", path)
    figures = {
        "config env -o: change → FILE": [float(changed) for _, changed, _ in saved],
        "config env -o: change → CMD": [float(now) for now, _, _ in saved],
        "config run --watch: change → CMD": [float(now) for now, _ in started],
    }
    for task, times in figures.items():
        delays = [time - event for time, event in zip(times, sent, strict=True)]
        yield Row(task, measure="wall", ours=Quartiles.of(delays), goal=MAX_DELAY, runs=count)


def _sent(events: Job, count: int) -> list[float] | None:
    """The timestamps of the events, None until all are there."""
    lines = events.stdout().splitlines()
    return [seconds(json.loads(line)["timestamp"]) for line in lines] if len(lines) >= count else None


def _groups(job: Job, size: int) -> list[list[str]]:
    """The lines of a job, `size` for each run of its command."""
    lines = job.stdout().decode().splitlines()
    return [lines[start : start + size] for start in range(0, len(lines), size)]
