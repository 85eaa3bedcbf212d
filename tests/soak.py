"""`python -m tests.soak [PART…]`: long runs against a real Incus or LXD and the simulator. See --help.

A watch, the raw events and a held Ready (not on LXD 5, which does not support it) live through many restarts
of the daemon. A watch and the events receive many events, many programs read at once, and ten threads share a
client beside restarts. Memory, descriptors and threads are compared before and after. A lost or repeated
change, growth or a wrong final state is an error. Not part of the test suite.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from devlxdctl.simulator import Simulator
from tests.contract.shared_client import THREADS, run_shared_client
from tests.hosts import INCUS, LXD, DaemonHost
from tests.hosts.jobs import Job, poll
from tests.hosts.simulated import SimulatedHost
from tests.support.program import PROGRAM

MAX_GROWTH = 32 << 10
"""KiB of memory that a program may use more after a long run than at its start."""

FREEZE_SECONDS = 10
"""How long a daemon is frozen: less than a program waits for a response."""

PARTS = {"events": 2, "readers": 1, "threads": 2, "restarts": 5}
"""The parts in their order, and their shares of a limited time."""
MIN_RESTARTS = 4
"""The memory after the third restart is compared with that at the end."""
EVENTS_AT_A_TIME = 20_000
READERS_AT_A_TIME = 50
Restart = Literal["TERM", "KILL", "STOP"]
"""The signal that interrupts the daemon. After STOP it continues, and does not notice the pause."""


class Usage(NamedTuple):
    """What a process uses: KiB of memory, open descriptors, threads."""

    memory: int
    descriptors: int
    threads: int


def usage(job: Job) -> Usage:
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{job.pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    descriptors = len(os.listdir(f"/proc/{job.pid}/fd"))
    return Usage(int(status["VmRSS"].split()[0]), descriptors, int(status["Threads"]))


def check_growth(what: str, before: Usage, after: Usage) -> None:
    print(
        f"{what}: RSS {before.memory} → {after.memory} KiB, "
        f"descriptors {before.descriptors} → {after.descriptors}, threads {before.threads} → {after.threads}",
        flush=True,
    )
    assert after.memory - before.memory < MAX_GROWTH, what
    assert after.descriptors <= before.descriptors + 4, what
    assert after.threads <= before.threads + 4, what


def interleave(counts: dict[Restart, int]) -> list[Restart]:
    """Return each kind of restart as often as `counts` says, evenly mixed."""
    turns = [((turn + 0.5) / count, kind) for kind, count in counts.items() for turn in range(count)]
    return [kind for _, kind in sorted(turns)]


def restart(host: DaemonHost | SimulatedHost, kind: Restart) -> None:
    if kind != "STOP":
        host.stop_daemon(kind)
        host.start_daemon()
    elif isinstance(host, DaemonHost):
        host.freeze_daemon()
        time.sleep(FREEZE_SECONDS)
        host.thaw_daemon()


def until(end: float, kinds: Iterable[Restart]) -> Iterator[Restart]:
    """Yield from `kinds` until this monotonic time, but `MIN_RESTARTS` at least."""
    for number, kind in enumerate(kinds):
        if number >= MIN_RESTARTS and time.monotonic() >= end:
            return
        yield kind


def restarts(host: DaemonHost | SimulatedHost, kinds: Iterable[Restart]) -> None:
    """Restart the daemon many times. The change after each restart must be reported, once."""
    host.set({"user.n": "0"})
    has_readiness = host.run(PROGRAM, "ready", "--unset").status == 0
    jobs = {
        "config watch": host.start(PROGRAM, "config", "watch", "user.n"),
        "events": host.start(PROGRAM, "-v", "events"),
    }
    jobs["config watch"].wait_for(b"user.n")
    jobs["events"].wait_for(b": 101\n", stderr=True)
    if has_readiness:
        # The restarts begin before it has reported Ready, and perhaps before its first request.
        jobs["ready --hold"] = host.start(PROGRAM, "ready", "--hold", "--interval", "0.5", "--wait", "60")
    before: dict[str, Usage] = {}
    started = time.monotonic()
    done: list[Restart] = []
    for turn, kind in enumerate(kinds, 1):
        restart(host, kind)
        done.append(kind)
        host.set({"user.n": str(turn)})
        jobs["config watch"].wait_for(f"\t{turn}\t".encode(), 60)
        if turn == MIN_RESTARTS - 1:
            before = {name: usage(job) for name, job in jobs.items()}
    if has_readiness:
        wait_until_ready(host, jobs["ready --hold"])
    what = f"{host.name}, {len(done)} restarts"
    mixture = ", ".join(f"{kind} {done.count(kind)}" for kind in sorted(set(done)))
    print(f"{what}: {mixture}: {time.monotonic() - started:.0f} s", flush=True)
    for name in before:
        check_growth(f"{what}: {name}", before[name], usage(jobs[name]))
    values = [line.split(b"\t")[2] for line in jobs["config watch"].stdout().splitlines()]
    print(f"{what}: config watch: {len(values)} lines, the first of which is the initial value", flush=True)
    assert values == [str(turn).encode() for turn in range(len(done) + 1)]
    for job in jobs.values():
        job.close()


def wait_until_ready(host: DaemonHost | SimulatedHost, hold: Job) -> None:
    try:
        poll("Ready at the end", lambda: host.ready() or None, 60)
    except TimeoutError:
        state = "is running" if hold.running else f"has ended with {hold.wait()}"
        print(f"ready --hold {state}; stderr ends with {hold.stderr()[-2000:]!r}", flush=True)
        raise
    assert hold.running


def many_events(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="dx", dir="/tmp") as directory:
        path = Path(directory, "sock")
        with Simulator(path) as simulator:
            simulator.set({"user.n": "start"})
            variables = {"DEVLXD_SOCKET": str(path)}
            jobs = {
                "config watch": Job([PROGRAM, "config", "watch", "user.n"], env=variables),
                "events": Job([PROGRAM, "events", "--count", str(count)], env=variables),
            }
            try:
                jobs["config watch"].wait_for(b"user.n")
                poll("two connections", lambda: simulator.show()["listeners"] == 2 or None, 20)
                before = {name: usage(job) for name, job in jobs.items()}
                for turn in range(count - 1):
                    simulator.set({"user.n": str(turn)})
                after = usage(jobs["events"])
                simulator.set({"user.n": "end"})
                assert jobs["events"].wait(300) == 0
                jobs["config watch"].wait_for(b"\tend\t", 60)
                what = f"config watch, {count} events"
                check_growth(what, before["config watch"], usage(jobs["config watch"]))
                check_growth(f"events, {count} events", before["events"], after)
                lines = jobs["events"].stdout().count(b"\n")
                print(f"events: {lines} lines, stderr {jobs['events'].stderr()!r}", flush=True)
                assert (lines, jobs["events"].stderr()) == (count, b"")
            finally:
                for job in jobs.values():
                    job.close()


def readers(host: DaemonHost | SimulatedHost, count: int) -> None:
    host.set({"user.n": "x", **{f"user.k{each}": "v" for each in range(5)}})
    jobs = [host.start(PROGRAM, "config", "ls", "-l", "user.*") for _ in range(count)]
    crashes = 0
    end = time.monotonic() + 300
    while any(job.running for job in jobs) and time.monotonic() < end:
        crashes += host.revive_daemon()
        time.sleep(0.05)
    results = [(job.wait(1), job.stdout().count(b"\n"), job.stderr()) for job in jobs]
    failed = [result for result in results if result != (0, 6, b"")]
    print(
        f"{host.name}, readers: {count} at once, {len(failed)} failed {failed[:3]}"
        f"{f', {crashes} crashes of the daemon' if crashes else ''}",
        flush=True,
    )
    if failed and isinstance(host, DaemonHost):
        print(f"the end of the daemon's log:\n{host.log()}", flush=True)
    assert not failed


def threads(host: DaemonHost, seconds: float) -> None:
    report = run_shared_client(host, seconds)
    print(
        f"{host.name}, {THREADS} threads with one client, {seconds:g} s: {report.calls} calls, "
        f"{report.restarts} restarts, longest outage {report.longest_outage:.1f} s, "
        f"{len(report.errors)} errors {report.errors[:3]}",
        flush=True,
    )
    assert not report.unexplained_errors()


def run_for(seconds: float, parts: list[str], host: DaemonHost | SimulatedHost) -> None:
    """Run each part for its share of the time."""
    total = sum(PARTS[part] for part in parts)
    for part in parts:
        share = seconds * PARTS[part] / total
        end = time.monotonic() + share
        if part == "threads":
            assert isinstance(host, DaemonHost)
            threads(host, share)
        elif part == "restarts":
            kinds = interleave({"TERM": 4, "KILL": 4, "STOP": 1})
            if isinstance(host, SimulatedHost):
                kinds = ["TERM"]
            restarts(host, until(end, itertools.cycle(kinds)))
        else:
            while True:
                if part == "events":
                    many_events(EVENTS_AT_A_TIME)
                else:
                    readers(host, READERS_AT_A_TIME)
                if time.monotonic() >= end:
                    break
        if isinstance(host, DaemonHost):
            host.reset()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=f"By default, all parts: {', '.join(PARTS)}. The simulator has all but threads.",
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to run")
    parser.add_argument(
        "--host", choices=["incus", "lxd", "simulator"], default="incus", help="the host (incus)"
    )
    parser.add_argument("--minutes", type=float, help="run for this time, instead of the following numbers")
    parser.add_argument("--term", type=int, default=44, help="restarts by SIGTERM (44, half a second each)")
    parser.add_argument("--kill", type=int, default=44, help="restarts by SIGKILL (44, half a second each)")
    stop = f"pauses by SIGSTOP, {FREEZE_SECONDS} s each (12)"
    parser.add_argument("--stop", type=int, default=12, help=stop)
    parser.add_argument("--events", type=int, default=100_000, help="changes in the simulator (100000)")
    parser.add_argument("--readers", type=int, default=200, help="programs at once (200)")
    parser.add_argument("--seconds", type=float, default=60, help="duration of the threads (60)")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    parts = [part for part in PARTS if part in (options.parts or PARTS)]
    if options.host == "simulator":
        parts = [part for part in parts if part != "threads"]
    # So that everything that was started is ended.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    started = time.monotonic()
    with make_host(options.host) as host:
        if options.minutes is not None:
            run_for(options.minutes * 60, parts, host)
        else:
            run_all(parts, host, options)
    print(f"{', '.join(parts)}: no loss, no growth in {time.monotonic() - started:.0f} s", flush=True)


def make_host(name: str) -> DaemonHost | SimulatedHost:
    if name == "simulator":
        return SimulatedHost("lxd-6")
    return DaemonHost(INCUS if name == "incus" else LXD)


def run_all(parts: list[str], host: DaemonHost | SimulatedHost, options: argparse.Namespace) -> None:
    """Run each part with the numbers of the command line."""
    for part in parts:
        if part == "events":
            many_events(options.events)
        elif part == "readers":
            readers(host, options.readers)
        elif part == "threads":
            assert isinstance(host, DaemonHost)
            threads(host, options.seconds)
        else:
            counts: dict[Restart, int] = {"TERM": options.term, "KILL": options.kill, "STOP": options.stop}
            restarts(host, interleave(counts))
        if isinstance(host, DaemonHost):
            host.reset()


if __name__ == "__main__":
    main()
