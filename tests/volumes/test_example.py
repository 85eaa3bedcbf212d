"""Tests of the examples for volumes: the script, and the shell examples of the documentation."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.readme import blocks
from tests.support.program import PROGRAM, REPOSITORY

EXAMPLES = REPOSITORY / "examples"
TOKEN = "devlxd-token-of-web1"


def test_example_creates_attaches_and_deletes_a_volume(socket_directory: Path) -> None:
    with Simulator(socket_directory / "sock", EXAMPLES / "guest.yaml") as simulator:
        env = {
            "PATH": f"{Path(PROGRAM).parent}:{os.defpath}",
            "DEVLXD_SOCKET": str(simulator.path),
            "DEVLXD_BEARER_TOKEN": TOKEN,
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


@pytest.fixture
def token_host(socket_directory: Path) -> Iterator[dict[str, str]]:
    """The environment of a shell in a guest whose token may manage volumes."""
    with Simulator(socket_directory / "sock", EXAMPLES / "guest.yaml") as simulator:
        yield {
            "PATH": f"{socket_directory}:{Path(PROGRAM).parent}:{os.defpath}",
            "DEVLXD_SOCKET": str(simulator.path),
            "DEVLXD_BEARER_TOKEN": TOKEN,
        }


def shell(text: str, env: dict[str, str]) -> str:
    """Run a script, which must not fail or write to stderr, and return its stdout."""
    done = subprocess.run(["sh", "-euc", text], env=env, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def example(mark: str) -> str:
    """The shell example of docs/volumes.md that contains `mark`."""
    (text,) = [block.text for block in blocks("sh", REPOSITORY / "docs/volumes.md") if mark in block.text]
    return text


def test_nightly_snapshots_of_the_documentation_keep_seven(
    socket_directory: Path, token_host: dict[str, str]
) -> None:
    (socket_directory / "token").write_text(TOKEN)
    script = example("nightly-").replace("/etc/devlxd-token", str(socket_directory / "token"))
    assert str(socket_directory) in script
    date = socket_directory / "date"  # instead of the program: it stands first in PATH
    date.write_text('#!/bin/sh\necho "2026-11-$DAY"\n')
    date.chmod(0o755)
    shell("devlxdctl -f json volume create default pgdata", token_host)
    shell("devlxdctl volume snapshot create default pgdata by-hand", token_host)
    for day in range(10, 20):
        shell(script, {**token_host, "DAY": str(day)})
    names = shell("devlxdctl volume snapshot ls default pgdata | cut -f1", token_host).split()
    assert names == ["by-hand", *(f"nightly-2026-11-{day}" for day in range(13, 20))]


def test_disk_of_the_documentation_is_created_once_and_grows(token_host: dict[str, str]) -> None:
    create = example("--size 20GiB --if-missing")
    assert shell(create, token_host) == shell(create, token_host)
    grow = example("--size 40GiB").replace("df -h /var/lib/postgresql", "")
    shell(grow, token_host)
    sizes = shell("devlxdctl volume show default pgdata | grep config.size", token_host)
    assert sizes == "config.size\t40GiB\n"
