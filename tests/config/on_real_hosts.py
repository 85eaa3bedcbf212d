"""`python -m tests.config.on_real_hosts`: files and processes from keys beside restarts of a real daemon.

`config env -o --watch` and `config run --watch` run in a guest while the daemon of its host is restarted
many times, by TERM and KILL, and frozen. Two keys are changed before each restart, and again after it. The
last values must be in the file, in the environment of the child, and in the last run of the command. No
command may run with an older value than the run before it, or twice with the same values. Memory,
descriptors and threads are compared before and after. Not part of the test suite.
"""

from __future__ import annotations

import argparse
import itertools
import time

from tests.hosts import INCUS, LXD, DaemonHost
from tests.hosts.jobs import Job, poll
from tests.soak import Restart, Usage, check_growth, interleave, restart, usage
from tests.support.program import PROGRAM

FILE = "/tmp/app.env"
KEYS = ("user.m", "user.n")
WARM_UP = 3
"""Restarts before memory is measured the first time."""
LIMIT = 60.0
MAX_GROWTH = 2 << 10
"""KiB of memory that a program may use more after all restarts than after the first few."""


def start(host: DaemonHost) -> dict[str, Job]:
    """Start both programs, each with a command that prints the values that it gets."""
    line = 'echo "$USER_M $USER_N"'
    return {
        "config env --watch": host.start(
            *(PROGRAM, "config", "env", *KEYS, "-o", FILE, "--watch", "--", "sh", "-c", f". {FILE}; {line}")
        ),
        "config run --watch": host.start(
            *(PROGRAM, "config", "run", *KEYS, "--watch", "--", "sh", "-c", f"{line}; exec sleep 100000")
        ),
    }


def check(host: DaemonHost, jobs: dict[str, Job], value: str) -> None:
    """Wait until each command has run with this value for both keys, last of all, and the file has it."""
    last = f"{value} {value}"
    for name, job in jobs.items():
        job.wait_for(f"{last}\n".encode(), LIMIT)
        assert job.stdout().decode().splitlines()[-1] == last, (name, job.stdout()[-200:])
    content = host.run("cat", FILE).stdout
    assert content == f"USER_M='{value}'\nUSER_N='{value}'\n".encode(), content


def check_order(name: str, job: Job, values: list[str]) -> None:
    """Check that no run had an older value than the one before it, or the same values."""
    runs = [line.split() for line in job.stdout().decode().splitlines()]
    places = [tuple(values.index(value) for value in run) for run in runs]
    for earlier, later in itertools.pairwise(places):
        assert earlier != later and all(one <= other for one, other in zip(earlier, later, strict=True)), runs
    # A value that was set right before a restart is skipped if it was replaced before it was read. Reading
    # both keys takes two requests: an update between these is seen as two.
    halves = sum(len(set(run)) > 1 for run in runs)
    print(f"{name}: {len(runs)} runs for {len(values)} updates, {halves} between the two keys", flush=True)


def set_both(host: DaemonHost, value: str) -> None:
    """Change two keys in one update."""
    host.set(dict.fromkeys(KEYS, value))


def restarts(host: DaemonHost, counts: dict[Restart, int]) -> None:
    set_both(host, "start")
    jobs = start(host)
    check(host, jobs, "start")
    before: dict[str, Usage] = {}
    kinds = interleave(counts)
    values = ["start"]
    started = time.monotonic()
    for turn, kind in enumerate(kinds, 1):
        values += [f"{turn}-before", f"{turn}"]
        set_both(host, values[-2])  # still unread, perhaps, when the daemon goes
        restart(host, kind)
        set_both(host, values[-1])
        check(host, jobs, values[-1])
        if turn == WARM_UP:
            before = {name: usage(job) for name, job in jobs.items()}
        if turn % 10 == 0:
            memory = ", ".join(f"{name} {usage(job).memory} KiB" for name, job in jobs.items())
            print(f"after {turn} restarts: RSS {memory}", flush=True)
    what = f"{host.name} {host.version}, {len(kinds)} restarts"
    mixture = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    print(f"{what}: {mixture}: {time.monotonic() - started:.0f} s", flush=True)
    for name, job in jobs.items():
        after = usage(job)
        check_growth(f"{what}: {name}", before[name], after)
        assert after.memory - before[name].memory < MAX_GROWTH, name
        check_order(f"{what}: {name}", job, values)
        assert job.running and b"Traceback" not in job.stderr()
    leftovers = host.run("ls", "-A", "/tmp").stdout.split()
    assert leftovers == [b"app.env"], leftovers
    job = jobs["config run --watch"]
    job.kill()
    poll("the end of config run --watch", lambda: None if job.running else True, 20)
    print(f"{what}: config run --watch ended by TERM with {job.wait()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.config.on_real_hosts")
    parser.add_argument("--host", choices=["incus", "lxd"], action="append", help="the host; both by default")
    parser.add_argument("--term", type=int, default=46, help="restarts by SIGTERM (46)")
    parser.add_argument("--kill", type=int, default=46, help="restarts by SIGKILL (46)")
    parser.add_argument("--stop", type=int, default=8, help="freezes by SIGSTOP, 10 s each (8)")
    options = parser.parse_args()
    for name in options.host or ["lxd", "incus"]:
        with DaemonHost(INCUS if name == "incus" else LXD) as host:
            restarts(host, {"TERM": options.term, "KILL": options.kill, "STOP": options.stop})


if __name__ == "__main__":
    main()
