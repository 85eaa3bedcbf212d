"""``python -m tests.soak [PART…]``: long runs against a real Incus or LXD and the simulator. See --help.

A watch, the raw events and a held Ready (not on LXD 5, which knows none) live through many restarts of the
host's daemon, a watch and the events through many events, and many programs read at once. What they take of
the machine is compared before and after; a final state that is wrong, or growth, ends it with an error. Not
part of the test suite.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Literal

from devlxdctl.simulator import Simulator
from tests.hosts import PROGRAM
from tests.hosts.daemon import INCUS, LXD, DaemonHost
from tests.hosts.jobs import Job, poll

GROWTH = 32 << 10
"""KiB of memory that a program may take more after a long run than at its start."""

FROZEN = 10
"""Seconds for which a daemon is stopped in its tracks: less than a program waits for an answer."""

PARTS = ("events", "readers", "restarts")
Way = Literal["TERM", "KILL", "STOP"]
"""How the daemon goes: asked to, killed, or frozen, in which case it comes back as if nothing had been."""


def takes(job: Job) -> tuple[int, int, int]:
    """KiB of memory, open descriptors, threads."""
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{job.pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    return int(status["VmRSS"].split()[0]), len(os.listdir(f"/proc/{job.pid}/fd")), int(status["Threads"])


def compare(what: str, before: tuple[int, int, int], after: tuple[int, int, int]) -> None:
    print(f"{what}: RSS {before[0]} → {after[0]} KiB, descriptors {before[1]} → {after[1]}, ", end="")
    print(f"threads {before[2]} → {after[2]}", flush=True)
    assert after[0] - before[0] < GROWTH and after[1] <= before[1] + 4 and after[2] <= before[2] + 4, what


def spread(numbers: dict[Way, int]) -> list[Way]:
    """Each way as often as it says, as evenly as can be."""
    turns = [((turn + 0.5) / number, how) for how, number in numbers.items() for turn in range(number)]
    return [how for _, how in sorted(turns)]


def go_and_come_back(host: DaemonHost, how: Way) -> None:
    if how == "STOP":
        host.freeze()
        time.sleep(FROZEN)
        host.thaw()
    else:
        host.stop(how)
        host.resume()


def restarts(host: DaemonHost, numbers: dict[Way, int]) -> None:
    """A change while the daemon is away cannot be made; the one that follows each restart must be seen."""
    host.set({"user.n": "0"})
    jobs = {
        "config watch": host.start(PROGRAM, "config", "watch", "user.n"),
        "events": host.start(PROGRAM, "-v", "events"),
    }
    holds = host.run(PROGRAM, "ready").status == 0
    if holds:
        jobs["ready --hold"] = host.start(PROGRAM, "ready", "--hold", "--interval", "0.5")
    jobs["config watch"].wait_for(b"user.n")
    jobs["events"].wait_for(b": 101\n", stderr=True)
    ways = spread(numbers)
    what = f"{host.name}, {len(ways)} restarts"
    before = {}
    started = time.monotonic()
    for turn, how in enumerate(ways, 1):
        go_and_come_back(host, how)
        host.set({"user.n": str(turn)})
        jobs["config watch"].wait_for(f"\t{turn}\t".encode(), 60)
        if turn == 3:
            before = {name: takes(job) for name, job in jobs.items()}
    if holds:
        poll("ready at the end", lambda: host.ready() or None, 60)
    told = ", ".join(f"{how} {number}" for how, number in numbers.items())
    print(f"{what}: {told}: {time.monotonic() - started:.0f} s", flush=True)
    for name in before:
        compare(f"{what}: {name}", before[name], takes(jobs[name]))
    lines = jobs["config watch"].stdout().count(b"\n")
    print(f"{what}: config watch: {lines} lines, the first of which is the start", flush=True)
    assert lines == 1 + len(ways)
    for job in jobs.values():
        job.close()


def many_events(number: int) -> None:
    with tempfile.TemporaryDirectory(prefix="dx", dir="/tmp") as directory:
        path = Path(directory, "sock")
        with Simulator(path) as host:
            host.set({"user.n": "start"})
            variables = {"DEVLXD_SOCKET": str(path)}
            jobs = {
                "config watch": Job([PROGRAM, "config", "watch", "user.n"], env=variables),
                "events": Job([PROGRAM, "events", "--count", str(number)], env=variables),
            }
            try:
                jobs["config watch"].wait_for(b"user.n")
                poll("listening", lambda: host.show()["listeners"] == 2 or None, 20)
                before = {name: takes(job) for name, job in jobs.items()}
                for turn in range(number - 1):
                    host.set({"user.n": str(turn)})
                after = takes(jobs["events"])
                host.set({"user.n": "end"})
                assert jobs["events"].wait(300) == 0
                jobs["config watch"].wait_for(b"\tend\t", 60)
                compare(f"config watch, {number} events", before["config watch"], takes(jobs["config watch"]))
                compare(f"events, {number} events", before["events"], after)
                lines = jobs["events"].stdout().count(b"\n")
                print(f"events: {lines} lines, stderr {jobs['events'].stderr()!r}", flush=True)
                assert lines == number
            finally:
                for job in jobs.values():
                    job.close()


def readers(host: DaemonHost, number: int) -> None:
    host.set({"user.n": "x", **{f"user.k{each}": "v" for each in range(5)}})
    jobs = [host.start(PROGRAM, "config", "ls", "-l", "user.*") for _ in range(number)]
    ends = [(job.wait(300), job.stdout().count(b"\n"), job.stderr()) for job in jobs]
    failed = [end for end in ends if end != (0, 6, b"")]
    print(f"{host.name}, readers: {number} at once, {len(failed)} failed {failed[:3]}", flush=True)
    assert not failed


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=f"By default, all parts: {', '.join(PARTS)}."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to run")
    parser.add_argument("--host", choices=["incus", "lxd"], default="incus", help="the real host (incus)")
    parser.add_argument("--term", type=int, default=44, help="restarts by SIGTERM (44, each half a second)")
    parser.add_argument("--kill", type=int, default=44, help="restarts by SIGKILL (44, each half a second)")
    stop = f"stops by SIGSTOP, for {FROZEN} s each (12)"
    parser.add_argument("--stop", type=int, default=12, help=stop)
    parser.add_argument("--events", type=int, default=100_000, help="changes in the simulator (100000)")
    parser.add_argument("--readers", type=int, default=200, help="programs at once (200)")
    given = parser.parse_args()
    parts = given.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if "events" in parts:
        many_events(given.events)
    if {"readers", "restarts"} & set(parts):
        with DaemonHost(INCUS if given.host == "incus" else LXD) as host:
            if "readers" in parts:
                readers(host, given.readers)
                host.clear()
            if "restarts" in parts:
                restarts(host, {"TERM": given.term, "KILL": given.kill, "STOP": given.stop})


if __name__ == "__main__":
    main()
