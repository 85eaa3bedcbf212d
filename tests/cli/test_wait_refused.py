"""`wait` while the socket exists, but nothing listens at it: a daemon that has stopped or will start."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.cli.background import DEFAULT_SIGNALS
from tests.hosts.jobs import Job
from tests.support.program import PROGRAM

CONDITIONS = [["config", "user.role", "web"], ["device", "root"], ["host"]]
RETRY_SECONDS = 10.0
"""Seconds after which commands without a timeout give up."""


def refuse(path: Path) -> None:
    """Leave a socket at which nothing listens."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def start(condition: list[str], timeout: str, path: Path) -> Job:
    argv = [PROGRAM, "--socket", str(path), "wait", *condition, "--timeout", timeout]
    return Job([*DEFAULT_SIGNALS, *argv], env={"PATH": os.defpath})


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda words: words[0])
def test_wait_continues_after_ten_seconds_of_refused_connections(
    condition: list[str], socket_directory: Path
) -> None:
    path, guest = socket_directory / "sock", socket_directory / "guest.yaml"
    guest.write_text("config: {user.role: web}\ndevices: {root: {type: disk, path: /}}\n")
    refuse(path)
    began = time.monotonic()
    with start(condition, "13", path) as ending, start(condition, "100", path) as continuing:
        assert ending.wait(60) == 124
        assert time.monotonic() - began > RETRY_SECONDS
        assert ending.stdout() == b""
        error = ending.stderr().splitlines()[-2]
        assert error == f"devlxdctl: {path}: connection refused; waited 13 s".encode()
        assert continuing.running
        path.unlink()
        with Simulator(path, guest):
            assert continuing.wait(60) == 0
