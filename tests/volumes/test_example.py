"""Test of the example script for volumes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from devlxdctl.simulator import Simulator
from tests.support.program import PROGRAM, REPOSITORY

EXAMPLES = REPOSITORY / "examples"


def test_example_creates_attaches_and_deletes_a_volume(socket_directory: Path) -> None:
    with Simulator(socket_directory / "sock", EXAMPLES / "guest.yaml") as simulator:
        env = {
            "PATH": f"{Path(PROGRAM).parent}:{os.defpath}",
            "DEVLXD_SOCKET": str(simulator.path),
            "DEVLXD_BEARER_TOKEN": "devlxd-token-of-web1",
        }
        done = subprocess.run(
            ["sh", EXAMPLES / "volume.sh"], env=env, capture_output=True, timeout=120, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
        lines = done.stdout.decode().splitlines()
        assert "data\tdisk\t-\tpath=/srv/data\tpool=default\tsource=data" in lines
        assert [line for line in lines if line.startswith("config.size")] == [
            f"config.size\t{size}" for size in ("1GiB", "1GiB", "2GiB")
        ]
        assert "data" not in simulator.show()["devices"]
