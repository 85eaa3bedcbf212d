"""Tests of `pool`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.volumes.support import VOLUMES_OF_CI, make_host


def test_pool_show_prints_the_fields(socket_directory: Path) -> None:
    with ExitStack() as stack:
        host = stack.enter_context(make_host(socket_directory, pools=VOLUMES_OF_CI))
        assert host.run("pool", "show", "fast") == (0, b"name\tfast\ndriver\tzfs\nstatus\tCreated\n", b"")
        expected = b'{"name":"fast","driver":"zfs","status":"Created"}\n'
        assert host.run("-f", "json", "pool", "show", "fast") == (0, expected, b"")
