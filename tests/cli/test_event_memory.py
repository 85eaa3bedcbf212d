"""The memory of `events` for events of nearly the largest size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.faulty_hosts import WebSocketHost
from tests.support.program import PROGRAM
from tests.support.raw_host import websocket_frame

MEBIBYTE = 1024 * 1024
CODE = (
    "import resource, subprocess, sys\n"
    "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
"""Prints the peak of a program in KiB. A process in between: a child starts with the peak of its parent."""


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("part", "limit"),
    [(b"x" * 64, 320), (b"x" * 60 + "\U0001f600".encode(), 560)],
    ids=["ASCII", "one character above U+FFFF"],
)
def test_large_event_is_printed_in_bounded_memory(
    part: bytes, limit: int, form: str, socket_directory: Path
) -> None:
    """`limit` in MiB: the text in the memory of Python, which is four times as large with that character."""
    value = part * (15 * MEBIBYTE // len(part))
    event = b'{"type":"config","metadata":{"key":"user.a","old_value":"%s","value":"%s"}}\n' % (value, value)
    with WebSocketHost(socket_directory / "sock", [websocket_frame(event)]) as host:
        argv = [PROGRAM, "--socket", str(host.path), "-f", form, "events", "--count", "1"]
        done = subprocess.run(
            [sys.executable, "-c", CODE, *argv], capture_output=True, timeout=110, check=True
        )
    assert int(done.stdout) // 1024 < limit
    assert done.stderr == b""
