"""`output.stdio`: stdout that is full, limited, non-blocking or closed, buffered and unbuffered.

With PYTHONUNBUFFERED=1, Python writes stdout without a buffer. Such a write can be incomplete without an
error.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.cli.background import poll
from tests.support.program import PROGRAM, Result, failure, run

LARGE = "".join(chr(32 + number % 95) for number in range(200_000)).replace("'", "-").replace("\\", "-")
GUEST = f"""
config: {{user.meta-data: "a: 1", user.role: web}}
devices: {{root: {{type: disk, path: /, pool: default}}}}
simulator: {{location: "{"x" * 200_000}"}}
"""
COMMANDS: dict[str, list[str]] = {
    "config env": ["config", "env"],
    "config get": ["config", "get", "user.large"],
    "config ls -l": ["config", "ls", "-l"],
    "-f json state": ["-f", "json", "state"],
    "dump": ["dump"],
    "metadata": ["metadata"],
    "help exit-codes": ["help", "exit-codes"],
    "--help": ["--help"],
    "config watch --count 1": ["config", "watch", "user.large", "--count", "1"],
    "events --count 1": ["events", "--count", "1"],
}
STREAMING = ("config watch --count 1", "events --count 1")
"""The commands that end after a change."""
SMALL = ("help exit-codes", "--help")
"""The commands whose output fits into an empty pipe. That of all others has 200 kB at least."""

NO_SPACE = failure(8, "stdout: no space left on device")
TOO_LARGE = failure(8, "stdout: file too large")
_PIPE_SIZE = 4096
"""Bytes, the smallest buffer that Linux gives to a pipe."""


@pytest.fixture
def simulator(socket_directory: Path) -> Iterator[Simulator]:
    """LXD 6 with an instance whose key, state and meta-data have 200 kB each."""
    (socket_directory / "guest.yaml").write_text(GUEST)
    with Simulator(socket_directory / "sock", socket_directory / "guest.yaml") as simulator:
        simulator.set({"user.large": LARGE, "user.meta-data": f"a: {LARGE}"})
        yield simulator


@pytest.fixture(params=["buffered", "unbuffered"])
def environment(request: pytest.FixtureRequest, simulator: Simulator) -> dict[str, str]:
    """The environment of the program, without and with PYTHONUNBUFFERED=1."""
    env = {"DEVLXD_SOCKET": str(simulator.path), "PATH": os.defpath}
    return env | {"PYTHONUNBUFFERED": "1"} if request.param == "unbuffered" else env


@contextlib.contextmanager
def change_large_key(simulator: Simulator, name: str) -> Iterator[None]:
    """While a streaming command runs, change the key that it prints again and again."""
    if name not in STREAMING:
        yield
        return
    end = threading.Event()

    def is_listening() -> bool | None:
        # A command that finds its output closed has ended before anybody can see that it listens.
        return end.is_set() or simulator.show()["listeners"] > 0 or None

    def change() -> None:
        poll("a listener, or the end", is_listening, 60)
        number = 0
        while not end.wait(0.05):
            number += 1
            simulator.set({"user.large": f"{number} {LARGE}"})

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def run_command(
    name: str,
    simulator: Simulator,
    env: dict[str, str],
    *,
    prefix: list[str] | None = None,
    stdout: int = subprocess.DEVNULL,
    limit: Callable[[], None] | None = None,
) -> Result:
    """Run a command with this stdout. The result has the stdout of `prefix`, if that prints something."""
    with change_large_key(simulator, name):
        done = subprocess.run(
            [*(prefix or []), PROGRAM, *COMMANDS[name]],
            env=env,
            stdout=subprocess.PIPE if prefix else stdout,
            stderr=subprocess.PIPE,
            preexec_fn=limit,
            timeout=60,
            check=False,
        )
    return Result(done.returncode, done.stdout or b"", done.stderr)


def complete_output(name: str, simulator: Simulator) -> bytes:
    """Return what a command that is not streaming writes to a pipe that is read."""
    result = run(*COMMANDS[name], socket=simulator.path)
    assert (result.status, result.stderr) == (0, b"")
    return result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_full_device_exits_8(name: str, simulator: Simulator, environment: dict[str, str]) -> None:
    with open("/dev/full", "wb") as full:
        assert run_command(name, simulator, environment, stdout=full.fileno()) == NO_SPACE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
@pytest.mark.parametrize("name", COMMANDS)
def test_disk_that_fills_up_during_the_output_exits_8(
    name: str, simulator: Simulator, environment: dict[str, str], tmp_path: Path
) -> None:
    # One page of memory, of which 16 bytes are left.
    script = (
        'd="$1"; shift; mount -t tmpfs -o size=4k,nr_inodes=10 tmpfs "$d" && '
        'head -c 4080 /dev/zero >"$d/file" && "$@" >>"$d/file"; s=$?; stat -c %s "$d/file"; exit $s'
    )
    prefix = ["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path)]
    assert run_command(name, simulator, environment, prefix=prefix) == NO_SPACE._replace(stdout=b"4096\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_limit_of_file_size_exits_8(
    name: str, simulator: Simulator, environment: dict[str, str], tmp_path: Path
) -> None:
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (16, 16))
    with open(tmp_path / "file", "wb") as file:
        result = run_command(name, simulator, environment, stdout=file.fileno(), limit=limit)
    assert result == TOO_LARGE
    assert (tmp_path / "file").stat().st_size == 16


@contextlib.contextmanager
def full_pipe(*, non_blocking: bool) -> Iterator[tuple[io.FileIO, io.FileIO]]:
    """A pipe whose buffer is full, as its reading and its writing end."""
    reader, writer = (io.FileIO(fd, mode) for fd, mode in zip(os.pipe(), "rw", strict=True))
    with reader, writer:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        assert writer.write(b"." * _PIPE_SIZE) == _PIPE_SIZE
        os.set_blocking(writer.fileno(), not non_blocking)
        yield reader, writer


@contextlib.contextmanager
def started(name: str, writer: io.FileIO, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A command that writes to a pipe. Closes the pipe's end of this process."""
    argv = [PROGRAM, *COMMANDS[name]]
    with subprocess.Popen(argv, env=env, stdout=writer, stderr=subprocess.PIPE) as program:
        writer.close()
        if name in SMALL:
            # Nothing says that a program waits for its reader. One that does not has ended by then.
            with pytest.raises(subprocess.TimeoutExpired):
                program.wait(1.5)
        yield program


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in STREAMING])
def test_non_blocking_pipe_with_a_slow_reader_gets_the_complete_output(
    name: str, simulator: Simulator, environment: dict[str, str]
) -> None:
    expected = complete_output(name, simulator)
    with full_pipe(non_blocking=True) as (reader, writer), started(name, writer, environment) as program:
        received = b"".join(iter(partial(reader.read, 1000), b""))
        assert program.stderr is not None
        assert (program.wait(60), program.stderr.read()) == (0, b"")
    assert received[_PIPE_SIZE:] == expected


@pytest.mark.parametrize("name", STREAMING)
def test_non_blocking_pipe_with_a_slow_reader_gets_every_line_of_a_stream(
    name: str, simulator: Simulator, environment: dict[str, str]
) -> None:
    with full_pipe(non_blocking=True) as (reader, writer), started(name, writer, environment) as program:
        with change_large_key(simulator, name):
            received = b"".join(iter(partial(reader.read, 1000), b""))
            assert program.stderr is not None
            assert (program.wait(60), program.stderr.read()) == (0, b"")
    lines = received[_PIPE_SIZE:].decode().splitlines()
    assert len(lines) == (1 if name.startswith("events") else 2)
    for line in lines:
        values = [cell for cell in line.split("\t") if LARGE[:100] in cell]
        assert values
        assert all(value.endswith(LARGE) for value in values)


@pytest.mark.parametrize("name", COMMANDS)
def test_closed_pipe_ends_the_program_by_sigpipe(
    name: str, simulator: Simulator, environment: dict[str, str]
) -> None:
    with full_pipe(non_blocking=False) as (reader, writer):
        reader.close()
        result = run_command(name, simulator, environment, stdout=writer.fileno())
    assert result == Result(-signal.SIGPIPE, b"", b"")


@pytest.mark.parametrize("name", COMMANDS)
def test_pipe_that_is_closed_during_the_output_ends_the_program_by_sigpipe(
    name: str, simulator: Simulator, environment: dict[str, str]
) -> None:
    with full_pipe(non_blocking=False) as (reader, writer), started(name, writer, environment) as program:
        with change_large_key(simulator, name):
            if name not in SMALL:
                assert len(reader.read(_PIPE_SIZE)) == _PIPE_SIZE
                assert len(reader.read(1)) == 1
            reader.close()
            assert program.stderr is not None
            assert (program.wait(60), program.stderr.read()) == (-signal.SIGPIPE, b"")


def test_stdout_is_not_needed_by_a_command_that_prints_nothing(simulator: Simulator) -> None:
    argv = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", PROGRAM, "ready"]
    done = subprocess.run(argv, env={"DEVLXD_SOCKET": str(simulator.path)}, timeout=60, check=False)
    assert done.returncode == 0
    assert simulator.ready


@pytest.mark.parametrize("argv", [["state"], ["--help"], ["--version"]])
def test_closed_stdout_exits_8(argv: list[str], simulator: Simulator) -> None:
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", PROGRAM, *argv]
    env = {"DEVLXD_SOCKET": str(simulator.path)}
    done = subprocess.run(shell, env=env, capture_output=True, timeout=60, check=False)
    assert Result(done.returncode, done.stdout, done.stderr) == failure(8, "stdout: is closed")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (["state", "--socket", "/nowhere"], 5),
        (["state", "--nope"], 2),
        (["nope"], 2),
        ([], 2),
        (["config"], 2),
        (["-v", "state"], 0),
        (["config", "get", "user.nope", "--default", "1"], 0),
        (["query", "/1.0/config/user.nope"], 6),
    ],
)
def test_stderr_that_cannot_be_written_does_not_change_the_status(
    argv: list[str], status: int, redirection: str, simulator: Simulator
) -> None:
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", PROGRAM, *argv]
    env = {"DEVLXD_SOCKET": str(simulator.path)}
    done = subprocess.run(shell, env=env, stdout=subprocess.DEVNULL, timeout=60, check=False)
    assert done.returncode == status
