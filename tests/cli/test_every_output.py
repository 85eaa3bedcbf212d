"""stdout of every command that prints: limited, or a non-blocking pipe that is full at first."""

from __future__ import annotations

import fcntl
import os
import subprocess
import threading
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.cli.test_every_command import PRINT, STREAMING, ChangingKey, arguments
from tests.support.program import PROGRAM, Result, failure

_PIPE_SIZE = 4096  # bytes, the smallest buffer that Linux gives to a pipe


def start(
    name: str, simulator: Simulator, stdout: int, *, unbuffered: bool = False, file_size: int | None = None
) -> subprocess.Popen[bytes]:
    env = {"DEVLXD_SOCKET": str(simulator.path), "PATH": os.defpath}
    limit = [] if file_size is None else ["prlimit", f"--fsize={file_size}"]
    return subprocess.Popen(
        [*limit, PROGRAM, *arguments(name, simulator)],
        env=env | ({"PYTHONUNBUFFERED": "1"} if unbuffered else {}),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("unbuffered", [False, True], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("name", PRINT)
def test_command_exits_8_at_the_limit_of_file_sizes(
    name: str, unbuffered: bool, simulator: Simulator, tmp_path: Path
) -> None:
    with open(tmp_path / "file", "wb") as file:
        with ChangingKey(simulator) if name in STREAMING else nullcontext():
            with start(name, simulator, file.fileno(), unbuffered=unbuffered, file_size=1) as program:
                _, stderr = program.communicate(timeout=60)
    assert Result(program.returncode, b"", stderr) == failure(8, "stdout: file too large")
    assert (tmp_path / "file").stat().st_size == 1


@pytest.mark.parametrize("name", PRINT)
def test_command_waits_for_the_reader_of_a_non_blocking_pipe(name: str, simulator: Simulator) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    os.write(writer, b"." * _PIPE_SIZE)
    os.set_blocking(writer, False)
    with ChangingKey(simulator) if name in STREAMING else nullcontext():
        with start(name, simulator, writer) as program:
            os.close(writer)
            received: list[bytes] = []

            def read() -> None:
                received.extend(iter(partial(os.read, reader, 65536), b""))

            # A program that does not wait has ended with an error by then; one that is slower passes.
            timer = threading.Timer(0.5, read)
            timer.start()
            _, stderr = program.communicate(timeout=60)
            timer.join()
    os.close(reader)
    output = b"".join(received)
    assert (program.returncode, stderr) == (0, b"")
    assert output.startswith(b"." * _PIPE_SIZE)
    assert output.endswith(b"\n") or name == "image export"
    assert len(output) > _PIPE_SIZE
