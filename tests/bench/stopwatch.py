"""Runs commands in turn, and tells what each run of each cost. Started on its own, inside the guest.

It begins each round when the machine is quiet, as long as its patience lasts.

Reads one JSON object from stdin: `runs`, `warmup`, and `commands`, each with `argv`, `env` and `remove`, the
files that it makes. Writes a JSON list: of each command a list of [wall seconds, CPU seconds, bytes at most
in memory], a run each. With `count` instead, there is one command, and the list has one [seconds since the
epoch, line] for each of so many lines of its output, followed by its costs.

The memory is that of the largest process that the command waited for. It cannot read as less than this
program's own, which is why it imports so little.
"""

from __future__ import annotations

import json
import os
import sys
import time

TIMEOUT = 10.0  # seconds of waiting for others to pause, in all
QUIET = 2  # of the twenty hundredths that two processors have in a tenth of a second

TYPE_CHECKING = False  # as the name is known to type checkers: its module costs memory
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


def reap(command: Command, pid: int, start: float) -> list[float]:
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    for path in command["remove"]:
        os.unlink(path)
    if status != 0:
        sys.exit(f"{command['argv']}: status {os.waitstatus_to_exitcode(status)}")
    return [wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024]


def busy() -> int:
    """The hundredths of a second that all processors have worked since they were started."""
    with open("/proc/stat") as file:
        user, nice, system = file.readline().split()[1:4]
    return int(user) + int(nice) + int(system)


def settle(end: float) -> None:
    """Waits for a tenth of a second in which the machine has nothing else to do, until that time at most."""
    while time.monotonic() < end:
        before = busy()
        time.sleep(0.1)
        if busy() - before <= QUIET:
            return


def race(commands: list[Command], runs: int, warmup: int, nothing: int) -> list[list[list[float]]]:
    costs: list[list[list[float]]] = [[] for _ in commands]
    end = time.monotonic() + TIMEOUT
    for number in range(-warmup, runs):
        settle(end)
        # there and back again: nobody always runs after the same one
        for index in range(len(commands))[:: -1 if number % 2 else 1]:
            command = commands[index]
            if command["remove"]:
                os.sync()  # what the run before has written is not for this one to wait for
            start = time.perf_counter()
            pid = spawn(command, nothing)
            cost = reap(command, pid, start)
            if number >= 0:
                costs[index].append(cost)
    return costs


def listen(command: Command, count: int) -> list[list[object]]:
    read, write = os.pipe()
    start = time.perf_counter()
    pid = spawn(command, write)
    os.close(write)
    pieces = []
    lines = 0
    while lines < count and (piece := os.read(read, 1 << 20)):
        pieces.append((time.time(), piece))
        lines += piece.count(b"\n")
    cost = reap(command, pid, start)
    stamped: list[list[object]] = []
    rest = b""
    for stamp, piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        stamped += [[stamp, line.decode()] for line in whole]
    return [*stamped, [*cost]]


def main() -> None:
    task = json.load(sys.stdin)
    nothing = os.open(os.devnull, os.O_WRONLY)
    if "count" in task:
        json.dump(listen(task["commands"][0], task["count"]), sys.stdout)
    else:
        json.dump(race(task["commands"], task["runs"], task["warmup"], nothing), sys.stdout)


main()
