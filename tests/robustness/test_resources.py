"""Too few descriptors, streams that are closed, signals at any moment: one line, and the right end."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.hostile.hosts import Pausing
from tests.hosts.jobs import DEFAULT_SIGNALS
from tests.support.program import PROGRAM
from tests.support.raw_host import Script, response

COMMANDS = {
    "state": ["state"],
    "values": ["config", "ls", "-l"],
    "events": ["events", "--for", "0"],
    "watch": ["config", "watch", "--count", "1"],
    "wait": ["wait", "config", "user.role", "--timeout", "5"],
    "query": ["query", "/1.0"],
    "doctor": ["doctor"],
}


@pytest.fixture
def simulator(short: Path) -> Simulator:
    return Simulator(short / "lxd" / "sock")


def run(simulator: Simulator, *argv: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        argv,
        env={"DEVLXD_SOCKET": str(simulator.path), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "watch"])
def test_streams_that_are_closed(command: str, simulator: Simulator) -> None:
    """What has something to say on a closed stdout ends with 8, and all else as ever."""
    with host:
        simulator.set({"user.role": "web"})
        for closed in itertools.chain.from_iterable(itertools.combinations((0, 1, 2), n) for n in (1, 2, 3)):
            shell = "exec " + "".join(f"{number}<&- " for number in closed) + '"$@"'
            done = run(simulator, "sh", "-c", shell, "sh", PROGRAM, *COMMANDS[command])
            silent = command == "events"
            expected = 8 if 1 in closed and not silent else 0
            assert done.returncode == expected, (closed, done)
            told = b"devlxdctl: stdout: it is closed\n" if expected and 2 not in closed else b""
            assert done.stderr == told, (closed, done)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "watch"])
def test_few_descriptors(command: str, simulator: Simulator) -> None:
    """Below what Python itself needs, that is Python's matter."""
    with host:
        simulator.set({"user.role": "web"})
        ends = []
        for limit in (6, 7, 8, 9, 10, 12, 16):
            done = run(simulator, "prlimit", f"--nofile={limit}", PROGRAM, *COMMANDS[command])
            assert b"Traceback" not in done.stderr, (limit, done)
            assert done.returncode in (0, 1, 7, 8), (limit, done)
            if command != "doctor":
                assert done.stderr.count(b"\n") <= 1, (limit, done)
            ends.append(done.returncode)
        assert ends[-1] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGINT])
@pytest.mark.parametrize(
    "argv", [["config", "watch"], ["wait", "config", "user.never"], ["ready", "--hold", "--interval", "0.1"]]
)
def test_a_signal_ends_it_at_any_moment(
    number: signal.Signals, argv: list[str], simulator: Simulator
) -> None:
    """The moments are those at which the host has had so many requests."""
    for requests in range(1, 3):
        # A host each: what is still on its way from a program that was ended is no request of the next.
        with (
            simulator,
            subprocess.Popen(
                [PROGRAM, *argv],
                env={"DEVLXD_SOCKET": str(simulator.path)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            ) as program,
        ):
            try:
                while len(simulator.requests) < requests and program.poll() is None:
                    time.sleep(0.001)
                program.send_signal(number)
                if number is signal.SIGPIPE:  # ignored in Python: writing tells
                    program.send_signal(signal.SIGTERM)
                _, stderr = program.communicate(timeout=10)
            finally:
                program.kill()
        expected = signal.SIGTERM if number is signal.SIGPIPE else number
        assert (program.returncode, stderr) == (-expected, b"")


WAITING = {
    "watch": ["config", "watch"],
    "wait": ["wait", "config", "user.never"],
    "hold": ["ready", "--hold", "--interval", "0.1"],
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("command", WAITING)
def test_a_signal_ends_it_while_an_answer_comes(command: str, number: signal.Signals, short: Path) -> None:
    given: Script | bytes = response(b'{"state":"Started"}') if command == "hold" else accepted
    for pause in (0, 1, 30, 80):
        with (
            Pausing(short / "sock", given, pause) as host,
            subprocess.Popen(
                [*DEFAULT_SIGNALS, PROGRAM, *WAITING[command]],
                env={"DEVLXD_SOCKET": str(host.path)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ) as program,
        ):
            assert host.paused.wait(20)
            program.send_signal(number)
            stdout, stderr = program.communicate(timeout=10)
        assert (program.returncode, stdout, stderr) == (-number, b"", b"")
        host.path.unlink()


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
"""Runs a command where nothing can be written, without any variable; ends with 99 where something can be."""

FIRST = {
    "text": "initial\tuser.role\twéb\t\n",
    "json": '{"key":"user.role","value":"wéb","old_value":null,"action":"initial"}\n',
}
NOWHERE_TO_WRITE: dict[str, tuple[list[str], dict[str, str] | None]] = {
    "state": (["state", "state"], {"text": "Started\n", "json": '"Started"\n'}),
    "values": (
        ["config", "ls", "-l", "user.role"],
        {"text": "user.role\twéb\n", "json": '{"user.role":"wéb"}\n'},
    ),
    "events": (["events", "--for", "0"], {"text": "", "json": ""}),
    "doctor": (["doctor"], None),
    "watch": (
        ["config", "watch", "user.role", "--count", "1"],
        {
            "text": "changed\tuser.role\tdb\twéb\n",
            "json": '{"key":"user.role","value":"db","old_value":"wéb","action":"changed"}\n',
        },
    ),
}
"""What is run there, and what it prints, after the first line of a watch; None for the same as elsewhere."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make file systems read-only")
@pytest.mark.parametrize("variables", [[], ["LC_ALL=C"]], ids=["nothing", "C"])
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("command", NOWHERE_TO_WRITE)
def test_without_a_home_or_a_place_to_write_to(
    command: str, form: str, variables: list[str], simulator: Simulator
) -> None:
    argv, expected = NOWHERE_TO_WRITE[command]
    with host:
        simulator.set({"user.role": "wéb"})
        whole = [PROGRAM, "--socket", str(simulator.path), "-f", form, *argv]
        confined = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", *variables, *whole]
        with subprocess.Popen(confined, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            if command == "watch":
                assert program.stdout is not None
                assert program.stdout.readline().decode() == FIRST[form]
                simulator.set({"user.role": "db"})
            stdout, stderr = program.communicate(timeout=30)
        assert (program.returncode, stderr) == (0, b"")
        assert stdout == (run(simulator, *whole).stdout if expected is None else expected[form].encode())
