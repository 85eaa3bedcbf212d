"""``python -m tests.soak [RESTARTS [EVENTS [READERS]]]``: long runs against a real Incus and the simulator.

A watch, the raw events and a held Ready live through many restarts of the host's daemon, a watch and the
events through many events, and many programs read at once. What they take of the machine is compared before
and after; a final state that is wrong, or growth, ends it with an error. Not part of the test suite.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Literal

from devlxdctl.simulator import Simulator
from tests.hosts import PROGRAM
from tests.hosts.daemon import INCUS, DaemonHost
from tests.hosts.jobs import Job, poll

GROWTH = 32 << 10
"""KiB of memory that a program may take more after a long run than at its start."""


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


def restarts(host: DaemonHost, number: int) -> None:
    """A change while the daemon is away cannot be made; the one that follows each restart must be seen."""
    host.set({"user.n": "0"})
    jobs = {
        "config watch": host.start(PROGRAM, "config", "watch", "user.n"),
        "events": host.start(PROGRAM, "-v", "events"),
        "ready --hold": host.start(PROGRAM, "ready", "--hold", "--interval", "0.5"),
    }
    jobs["config watch"].wait_for(b"user.n")
    jobs["events"].wait_for(b": 101\n", stderr=True)
    poll("ready", lambda: host.ready() or None, 20)
    before = {}
    for turn in range(1, number + 1):
        how: Literal["TERM", "KILL"] = "KILL" if turn % 2 else "TERM"
        host.stop(how)
        host.resume()
        host.set({"user.n": str(turn)})
        jobs["config watch"].wait_for(f"\t{turn}\t".encode(), 60)
        if turn == 3:
            before = {name: takes(job) for name, job in jobs.items()}
    poll("ready at the end", lambda: host.ready() or None, 60)
    for name, job in jobs.items():
        compare(f"{name}, {number} restarts", before[name], takes(job))
    lines = jobs["config watch"].stdout().count(b"\n")
    print(f"config watch: {lines} lines for {number} restarts with a change each", flush=True)
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
    print(f"readers: {number} at once, {len(failed)} failed {failed[:3]}", flush=True)
    assert not failed


def main() -> None:
    counts = [int(text) for text in sys.argv[1:]] + [100, 100_000, 200][len(sys.argv) - 1 :]
    many_events(counts[1])
    with DaemonHost(INCUS) as host:
        readers(host, counts[2])
        host.clear()
        restarts(host, counts[0])


if __name__ == "__main__":
    main()
