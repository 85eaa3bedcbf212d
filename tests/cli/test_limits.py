"""Commands without threads, with little memory, few descriptors, or closed standard streams."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.cli.command_tree import INVOCATIONS, LEAVES
from tests.cli.test_every_command import STREAMING, ChangingKey, arguments
from tests.config.jobs import wait_until
from tests.hosts.jobs import Job
from tests.support.program import PROGRAM, Result, failure, run
from tests.support.relay import Relay

_CAPABILITIES = "+dac_override,+dac_read_search"
ONE_THREAD = (
    *("setpriv", "--reuid=54321", "--clear-groups"),
    *(f"--inh-caps={_CAPABILITIES}", f"--ambient-caps={_CAPABILITIES}"),
    *("prlimit", "--nproc=1"),
)
"""Runs a command as a user who has no other process, and may have none: the limit does not apply to root."""

READ_IN_ORDER = {
    "config ls -l": ["config", "ls", "-l"],
    "config env": ["config", "env"],
    "dump": ["dump"],
    "doctor": ["doctor"],
    "image export": ["image", "export", "{fingerprint}", "-o", "-"],
}
NEED_A_THREAD = {
    "events": ["events", "--count", "1"],
    "config watch": ["config", "watch"],
    "wait config": ["wait", "config", "user.none", "--timeout", "60"],
    "wait device": ["wait", "device", "none", "--timeout", "60"],
    "config env -o --watch": ["config", "env", "-o", "{directory}/env", "--watch"],
    "config save --watch": ["config", "save", "user.role", "{directory}/role", "--watch"],
}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def relay(simulator: Simulator, socket_directory: Path) -> Iterator[Path]:
    """A socket of `simulator` that takes every user for root."""
    socket_directory.chmod(0o755)
    with Relay(socket_directory / "relay", simulator.path):
        yield socket_directory / "relay"


def fill(argv: list[str], simulator: Simulator, directory: Path) -> list[str]:
    image = simulator.show()["images"][0]["fingerprint"]
    return [word.format(fingerprint=image, directory=directory) for word in argv]


def run_with_streams(argv: list[str], redirection: str, simulator: Simulator) -> Result:
    """Run the program from a shell, with a redirection."""
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", PROGRAM, *argv]
    env = {"DEVLXD_SOCKET": str(simulator.path), "PATH": os.defpath}
    done = subprocess.run(shell, env=env, capture_output=True, timeout=60, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


@needs_root
@pytest.mark.parametrize("name", READ_IN_ORDER)
def test_reading_needs_no_thread(name: str, simulator: Simulator, relay: Path, tmp_path: Path) -> None:
    simulator.set({f"user.many{number}": "value" for number in range(20)})
    argv = fill(READ_IN_ORDER[name], simulator, tmp_path)
    expected = run(*argv, socket=relay)
    assert (expected.status, expected.stderr) == (0, b"")
    result = run(*argv, socket=relay, prefix=ONE_THREAD)
    if name == "doctor":  # it reports the user
        assert (b"Traceback" in result.stderr, result.stderr) == (False, b"")
        return
    assert result == expected


@needs_root
@pytest.mark.parametrize("name", NEED_A_THREAD)
def test_events_without_a_thread_are_one_line_of_error(
    name: str, simulator: Simulator, relay: Path, tmp_path: Path
) -> None:
    argv = fill(NEED_A_THREAD[name], simulator, tmp_path)
    result = run(*argv, socket=relay, prefix=ONE_THREAD)
    assert result == failure(1, "events: cannot start a thread")
    assert os.listdir(tmp_path) == []


@needs_root
def test_config_run_watch_without_a_thread_does_not_start_its_command(relay: Path, tmp_path: Path) -> None:
    argv = ["config", "run", "--watch", "--", "touch", str(tmp_path / "file")]
    result = run(*argv, socket=relay, prefix=ONE_THREAD)
    assert result == failure(1, "touch: cannot start a thread")
    assert os.listdir(tmp_path) == []


@needs_root
def test_ready_hold_needs_no_thread(simulator: Simulator, relay: Path) -> None:
    argv = [*ONE_THREAD, PROGRAM, "--socket", str(relay), "ready", "--hold", "--interval", "0.1"]
    with Job(argv, env={"PATH": os.defpath}) as job:
        wait_until("Ready", lambda: simulator.ready is True)
        simulator.restart(0.1)
        wait_until("Ready again", lambda: simulator.ready is True)
        assert job.running
        assert job.stderr() == b""


@pytest.mark.parametrize("argv", [["config", "get", "user.big"], ["config", "ls", "-l"], ["dump"]])
def test_value_larger_than_the_memory_is_one_line_of_error(argv: list[str], simulator: Simulator) -> None:
    simulator.set({"user.big": "x" * 60_000_000})
    result = run(*argv, socket=simulator.path, prefix=["prlimit", "--as=100000000"])
    assert result == failure(1, "out of memory")


@pytest.mark.parametrize("limit", [7, 9])
@pytest.mark.parametrize("name", LEAVES)
def test_few_descriptors_are_no_traceback(name: str, limit: int, simulator: Simulator) -> None:
    argv = arguments(name, simulator)
    with ChangingKey(simulator) if name in STREAMING else nullcontext():
        result = run(*argv, socket=simulator.path, prefix=["prlimit", f"--nofile={limit}"])
    assert b"Traceback" not in result.stderr
    assert result.stderr.count(b"\n") <= 2


@pytest.mark.parametrize("redirection", ["<&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    "argv",
    [
        ["config", "save", "user.role", "{directory}/file"],
        ["config", "env", "user.role", "-o", "{directory}/file"],
        ["config", "save", "user.role", "{directory}/file", "--check", "cat", "--", "true"],
    ],
    ids=["save", "env", "save with commands"],
)
def test_file_has_only_its_content_when_its_descriptor_is_that_of_a_stream(
    argv: list[str], redirection: str, simulator: Simulator, tmp_path: Path
) -> None:
    expected = b"USER_ROLE='web'\n" if argv[1] == "env" else b"web\n"
    result = run_with_streams(["-v", *fill(argv, simulator, tmp_path)], redirection, simulator)
    assert result.status == 0
    assert (tmp_path / "file").read_bytes() == expected


@pytest.mark.parametrize("redirection", ["<&-", "2>&-", "<&- 2>&-"])
@pytest.mark.parametrize("name", LEAVES)
def test_closed_stdin_and_stderr_do_not_matter(name: str, redirection: str, simulator: Simulator) -> None:
    with ChangingKey(simulator) if name in STREAMING else nullcontext():
        result = run_with_streams(arguments(name, simulator), redirection, simulator)
    assert (result.status, result.stderr) == (0, b"")
    assert bool(result.stdout) is INVOCATIONS[name].prints
