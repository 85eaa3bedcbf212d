"""Commands with closed streams, few file descriptors, or no place to write to."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.support.program import PROGRAM

COMMANDS = {
    "state": ["state"],
    "config ls -l": ["config", "ls", "-l"],
    "events": ["events", "--for", "0"],
    "wait config": ["wait", "config", "user.role", "--timeout", "60"],
    "query": ["query", "/1.0"],
    "doctor": ["doctor"],
}
STREAMS = [streams for number in (1, 2, 3) for streams in itertools.combinations((0, 1, 2), number)]


@pytest.fixture
def simulator(socket_directory: Path) -> Iterator[Simulator]:
    with Simulator(socket_directory / "lxd" / "sock") as simulator:
        simulator.set({"user.role": "wéb"})
        yield simulator


def run(simulator: Simulator, *argv: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        argv,
        env={"DEVLXD_SOCKET": str(simulator.path), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closed", STREAMS, ids=lambda closed: "closed " + ",".join(map(str, closed)))
@pytest.mark.parametrize("command", COMMANDS)
def test_closed_stdout_is_bad_data_and_other_closed_streams_do_not_matter(
    command: str, closed: tuple[int, ...], simulator: Simulator
) -> None:
    shell = "exec " + "".join(f"{number}<&- " for number in closed) + '"$@"'
    done = run(simulator, "sh", "-c", shell, "sh", PROGRAM, *COMMANDS[command])
    # `events --for 0` has nothing to print.
    fails = 1 in closed and command != "events"
    assert done.returncode == (8 if fails else 0), done
    assert done.stderr == (b"devlxdctl: stdout: is closed\n" if fails and 2 not in closed else b"")


@pytest.mark.parametrize("command", COMMANDS)
def test_few_file_descriptors_are_one_error_and_no_traceback(command: str, simulator: Simulator) -> None:
    """With fewer descriptors, Python itself cannot start."""
    statuses = []
    for limit in (6, 7, 8, 9, 10, 12, 16):
        done = run(simulator, "prlimit", f"--nofile={limit}", PROGRAM, *COMMANDS[command])
        assert b"Traceback" not in done.stderr, (limit, done)
        assert done.returncode in (0, 1, 7, 8), (limit, done)
        if command != "doctor":
            assert done.stderr.count(b"\n") <= 1, (limit, done)
        statuses.append(done.returncode)
    assert statuses[-1] == 0


READ_ONLY = """
set -e
places='/tmp /var/tmp /dev/shm /run /root /home'
mount --make-rprivate /
for place in $places; do
    mount --bind "$place" "$place"
    mount -o remount,bind,ro "$place"
done
mount -o remount,bind,ro /
cd /
for place in / $places; do
    ! touch "$place/written" || exit 99
done 2>/dev/null
exec env -i "$@"
"""
"""Runs a command with read-only file systems and an empty environment. Exits with 99 where it could write."""

INITIAL_LINE = {
    "text": "initial\tuser.role\twéb\t\n",
    "json": '{"key":"user.role","value":"wéb","old_value":null,"action":"initial"}\n',
}
OUTPUTS: dict[str, tuple[list[str], dict[str, str] | None]] = {
    "state": (["state", "state"], {"text": "Started\n", "json": '"Started"\n'}),
    "config ls -l": (
        ["config", "ls", "-l", "user.role"],
        {"text": "user.role\twéb\n", "json": '{"user.role":"wéb"}\n'},
    ),
    "events": (["events", "--for", "0"], {"text": "", "json": ""}),
    "doctor": (["doctor"], None),
    "config watch": (
        ["config", "watch", "user.role", "--count", "1"],
        {
            "text": "changed\tuser.role\tdb\twéb\n",
            "json": '{"key":"user.role","value":"db","old_value":"wéb","action":"changed"}\n',
        },
    ),
}
"""Commands with their output, for `config watch` after its initial line; None for the same as elsewhere."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make file systems read-only")
@pytest.mark.parametrize("variables", [[], ["LC_ALL=C"]], ids=["no variables", "LC_ALL=C"])
@pytest.mark.parametrize("output_format", ["text", "json"])
@pytest.mark.parametrize("command", OUTPUTS)
def test_command_works_without_home_or_writable_file_system(
    command: str, output_format: str, variables: list[str], simulator: Simulator
) -> None:
    words, outputs = OUTPUTS[command]
    argv = [PROGRAM, "--socket", str(simulator.path), "-f", output_format, *words]
    confined = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", *variables, *argv]
    with subprocess.Popen(confined, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        if command == "config watch":
            assert program.stdout is not None
            assert program.stdout.readline().decode() == INITIAL_LINE[output_format]
            simulator.set({"user.role": "db"})
        stdout, stderr = program.communicate(timeout=60)
    assert (program.returncode, stderr) == (0, b"")
    assert stdout == (run(simulator, *argv).stdout if outputs is None else outputs[output_format].encode())
