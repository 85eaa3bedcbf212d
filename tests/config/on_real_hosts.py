"""`python -m tests.config.on_real_hosts`: files and processes from keys beside restarts of a real daemon.

`config env -o --watch` and `config run --watch` run in a guest while the daemon of its host is restarted many
times, by TERM and KILL, and frozen. A key is changed before each restart, and again after it. The last value
must be in the file, in the environment of the child, and in the last run of the command. Memory, descriptors
and threads are compared before and after. Not part of the test suite.
"""

from __future__ import annotations

import argparse
import time

from tests.hosts import INCUS, LXD, DaemonHost
from tests.hosts.jobs import Job, poll
from tests.soak import Restart, Usage, check_growth, interleave, restart, usage
from tests.support.program import PROGRAM

FILE = "/tmp/app.env"
WARM_UP = 3
"""Restarts before memory is measured the first time."""


def start(host: DaemonHost) -> dict[str, Job]:
    """Start both programs, each with a command that prints the value that it gets."""
    saves = ("config", "env", "user.n", "user.m", "-o", FILE, "--watch", "--", "cat", FILE)
    script = "echo \"USER_N='$USER_N'\"; exec sleep 100000"
    runs = ("config", "run", "user.n", "user.m", "--watch", "--", "sh", "-c", script)
    return {
        "config env --watch": host.start(PROGRAM, *saves),
        "config run --watch": host.start(PROGRAM, *runs),
    }


def check(host: DaemonHost, jobs: dict[str, Job], value: str) -> None:
    """Wait until the value is the last one that each command printed, and that of the file."""
    line = f"USER_N='{value}'".encode()
    for name, job in jobs.items():
        job.wait_for(line, 60)
        printed = [each for each in job.stdout().splitlines() if each.startswith(b"USER_N=")]
        assert printed[-1] == line, (name, printed[-5:])
    content = host.run("cat", FILE).stdout
    assert content == f"USER_M='{value}'\nUSER_N='{value}'\n".encode(), content


def set_both(host: DaemonHost, value: str) -> None:
    """Change two keys in one update."""
    host.set({"user.n": value, "user.m": value})


def restarts(host: DaemonHost, counts: dict[Restart, int]) -> None:
    set_both(host, "start")
    jobs = start(host)
    check(host, jobs, "start")
    before: dict[str, Usage] = {}
    kinds = interleave(counts)
    started = time.monotonic()
    for turn, kind in enumerate(kinds, 1):
        set_both(host, f"{turn}-before")  # still unread, perhaps, when the daemon goes
        restart(host, kind)
        set_both(host, f"{turn}")
        check(host, jobs, f"{turn}")
        if turn == WARM_UP:
            before = {name: usage(job) for name, job in jobs.items()}
    what = f"{host.name} {host.version}, {len(kinds)} restarts"
    mixture = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    print(f"{what}: {mixture}: {time.monotonic() - started:.0f} s", flush=True)
    for name, job in jobs.items():
        check_growth(f"{what}: {name}", before[name], usage(job))
        lines = [each for each in job.stdout().splitlines() if each.startswith(b"USER_N=")]
        assert len(lines) == len(set(lines)), f"{name}: the command ran twice for one value"
        # A value that was set right before a restart is skipped if it was replaced before it was read.
        print(f"{what}: {name}: {len(lines)} runs for {2 * len(kinds) + 1} updates", flush=True)
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
    parser.add_argument("--term", type=int, default=14, help="restarts by SIGTERM (14)")
    parser.add_argument("--kill", type=int, default=14, help="restarts by SIGKILL (14)")
    parser.add_argument("--stop", type=int, default=4, help="freezes by SIGSTOP (4)")
    options = parser.parse_args()
    for name in options.host or ["lxd", "incus"]:
        with DaemonHost(INCUS if name == "incus" else LXD) as host:
            restarts(host, {"TERM": options.term, "KILL": options.kill, "STOP": options.stop})


if __name__ == "__main__":
    main()
