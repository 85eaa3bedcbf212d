"""Ten threads that share one `Client` in a guest while the daemon of the host restarts."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from tests.hosts import DaemonHost, StopSignal
from tests.hosts.jobs import Job

THREADS = 10
RETRIED = 8.0
"""Seconds of an outage that a client surely retries. It gives up after ten, which include the start."""

# One thread watches a key, the others make every kind of call in turn. All follow `user.turn`: when all have
# seen its new value, this prints it. Each thread ends when it has seen `end`.
_SCRIPT = """
import itertools, json, sys, threading
from devlxdctl import Client, DevLXDError

threads = int(sys.argv[1])
client = Client()
seen, errors, calls = {}, [], itertools.count()
lock = threading.Lock()

def has_seen(thread, turn):
    with lock:
        before = seen.get(thread)
        seen[thread] = turn
        if before != turn and len(seen) == threads and set(seen.values()) == {turn}:
            print(turn, flush=True)
    return turn == "end"

def check(condition, found):
    if not condition:
        raise AssertionError(f"unexpected result: {found!r}")

def call_in_turn(thread):
    turns = itertools.cycle([
        lambda: check((found := client.state())["api_version"] == "1.0", found),
        lambda: check((found := client.versions()) == ["/1.0"], found),
        lambda: check(set(found := client.config()) == {"user.a", "user.b", "user.turn"}, found),
        lambda: check((found := client.config_keys("user.[ab]")) == ["user.a", "user.b"], found),
        lambda: check((found := client.config_get("user.b")) == "2" * 5000, found[:80]),
        lambda: check((found := client.config_get_many(["user.b", "user.a"]))["user.a"] == "1", found),
        lambda: check(client.devices()["root"]["type"] == "disk", "devices"),
        lambda: check("local-hostname: " in (found := client.metadata()), found),
        lambda: check((found := client.config_get("user.none", default="d")) == "d", found),
    ])
    for number, call in enumerate(turns):
        next(calls)
        try:
            if number % 3 == 2 and has_seen(thread, client.config_get("user.turn")):
                return
            call()
        except DevLXDError as error:
            errors.append([type(error).__name__, str(error)])

def watch(thread):
    while True:
        next(calls)
        try:
            for change in client.watch_config("user.turn"):
                if has_seen(thread, change.value):
                    return
        except DevLXDError as error:
            errors.append([type(error).__name__, str(error)])

def run(function, thread):
    try:
        function(thread)
    except BaseException as error:
        errors.append([type(error).__name__, str(error)])
        has_seen(thread, "failed")
        raise

workers = [
    threading.Thread(target=run, args=(call_in_turn if number else watch, number), daemon=True)
    for number in range(threads)
]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(json.dumps({"calls": next(calls), "errors": errors}), flush=True)
"""


@dataclass(frozen=True)
class Report:
    """The result of a run.

    * `calls`: how many calls the threads made.
    * `restarts`: how often the daemon was stopped and started.
    * `longest_outage`: seconds from the stop of the daemon until the guest could connect again, at most.
    * `errors`: the class and the text of each error.
    """

    calls: int
    restarts: int
    longest_outage: float
    errors: list[list[str]]

    def unexplained_errors(self) -> list[list[str]]:
        """Return the errors that a client of its own would not have had in each call.

        Such a client retries for ten seconds while the daemon restarts. On a busy machine, a restart can take
        longer.
        """
        if self.longest_outage < RETRIED:
            return self.errors
        return [
            error for error in self.errors if error[0] != "HostUnavailable" or "tried for" not in error[1]
        ]


def run_shared_client(host: DaemonHost, seconds: float) -> Report:
    """Restart the daemon again and again for `seconds`, by TERM and KILL in turn, while the threads run.

    After each restart, every thread must read a new value before the next one.
    """
    host.set({"user.a": "1", "user.b": "2" * 5000, "user.turn": "0"})
    job = host.start("python", "-c", _SCRIPT, str(THREADS))
    _wait_for_line(job, "0")
    longest = 0.0
    restarts = 0
    signals: tuple[StopSignal, StopSignal] = ("TERM", "KILL")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        host.stop_daemon(signals[restarts % 2])
        host.start_daemon()
        longest = max(longest, time.monotonic() - start)
        restarts += 1
        host.set({"user.turn": str(restarts)})
        _wait_for_line(job, str(restarts))
    host.set({"user.turn": "end"})
    status = job.wait(60)
    *_, report = job.stdout().splitlines()
    assert (status, job.stderr()) == (0, b""), job.stderr()
    return Report(restarts=restarts, longest_outage=longest, **json.loads(report))


def _wait_for_line(job: Job, turn: str) -> None:
    """Wait until all threads have seen this value. The previous lines are values before it."""
    job.wait_for(f"{turn}\n".encode() if turn == "0" else f"\n{turn}\n".encode(), 60)
