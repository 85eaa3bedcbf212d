"""Signals: the program dies by those that end it, without a traceback."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.program import PROGRAM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_program_that_waits_for_the_host_dies_by_the_signal(
    number: signal.Signals, socket_directory: Path
) -> None:
    with subprocess.Popen(
        [PROGRAM, "-v", "wait", "host", "--socket", socket_directory / "sock"],
        env={},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        assert program.stderr is not None
        assert b"; retry in " in program.stderr.readline()
        program.send_signal(number)
        stdout, stderr = program.communicate(timeout=20)
    assert (program.returncode, stdout) == (-number, b"")
    assert b"Traceback" not in stderr
