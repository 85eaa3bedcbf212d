"""Runs commands in turn and measures each run. A script of its own that runs inside the guest.

Each round starts when the machine is quiet, or when the time to wait for that has run out.

Reads a JSON object from stdin: `runs`, `warmup`, and `commands`, each with `argv`, `env` and `remove`, the
files that it writes. Writes a JSON list: for each command, a list of [seconds, seconds of CPU time, bytes of
memory at most], one per run. With `count` instead of `runs`, there is one command, and the list has one
[seconds since the epoch, line] for each of the first `count` lines of its output, followed by its costs; when
`ready` of these lines were read, "ready" is written to stderr.

The memory is that of the largest process that the command waited for. It cannot be less than that of this
script, which therefore imports little.
"""

from __future__ import annotations

import json
import os
import sys
import time

MAX_WAIT = 10.0  # seconds to wait for a quiet machine, in all rounds together
QUIET = 2  # hundredths of a second of CPU time in a tenth of a second

TYPE_CHECKING = False  # type checkers know the name; importing typing costs memory
if TYPE_CHECKING:
    from typing import TypedDict

    class Command(TypedDict):
        argv: list[str]
        env: dict[str, str]
        remove: list[str]


def spawn(command: Command, stdout: int) -> int:
    environment = {**os.environ, **command["env"]}
    redirect = [(os.POSIX_SPAWN_DUP2, stdout, 1)]
    return os.posix_spawnp(command["argv"][0], command["argv"], environment, file_actions=redirect)


def wait(command: Command, pid: int, start: float) -> list[float]:
    """Wait for the end of a run and return its costs."""
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    for path in command["remove"]:
        os.unlink(path)
    if status != 0:
        sys.exit(f"{command['argv']}: status {os.waitstatus_to_exitcode(status)}")
    return [wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024]


def busy_time() -> int:
    """Return the CPU time of all processors since their start, in hundredths of a second."""
    with open("/proc/stat") as file:
        user, nice, system = file.readline().split()[1:4]
    return int(user) + int(nice) + int(system)


def wait_until_quiet(end: float) -> None:
    """Wait for a tenth of a second in which the machine does nothing else, at most until `end`."""
    while time.monotonic() < end:
        before = busy_time()
        time.sleep(0.1)
        if busy_time() - before <= QUIET:
            return


def run_in_turn(commands: list[Command], runs: int, warmup: int, devnull: int) -> list[list[list[float]]]:
    costs: list[list[list[float]]] = [[] for _ in commands]
    end = time.monotonic() + MAX_WAIT
    for number in range(-warmup, runs):
        wait_until_quiet(end)
        # The order alternates, so that no command always runs after the same one.
        for index in range(len(commands))[:: -1 if number % 2 else 1]:
            command = commands[index]
            if command["remove"]:
                os.sync()  # what the previous run wrote must not slow down this one
            start = time.perf_counter()
            pid = spawn(command, devnull)
            cost = wait(command, pid, start)
            if number >= 0:
                costs[index].append(cost)
    return costs


def time_lines(command: Command, count: int, ready: int) -> list[list[object]]:
    read, write = os.pipe()
    start = time.perf_counter()
    pid = spawn(command, write)
    os.close(write)
    pieces = []
    lines = 0
    while lines < count and (piece := os.read(read, 1 << 20)):
        pieces.append((time.time(), piece))
        lines += piece.count(b"\n")
        if ready and lines >= ready:
            ready = 0
            print("ready", file=sys.stderr, flush=True)
    cost = wait(command, pid, start)
    stamped: list[list[object]] = []
    rest = b""
    for stamp, piece in pieces:
        *complete, rest = (rest + piece).split(b"\n")
        stamped += [[stamp, line.decode()] for line in complete]
    return [*stamped, [*cost]]


def main() -> None:
    task = json.load(sys.stdin)
    devnull = os.open(os.devnull, os.O_WRONLY)
    if "count" in task:
        json.dump(time_lines(task["commands"][0], task["count"], task.get("ready", 0)), sys.stdout)
    else:
        json.dump(run_in_turn(task["commands"], task["runs"], task["warmup"], devnull), sys.stdout)


main()
