"""Every example of the README does what it shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import devlxdctl
from tests.readme import REPOSITORY, as_run, blocks


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.splitlines()[0])
def test_a_console_example_prints_what_it_shows(block: str) -> None:
    if " jq " in block and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    assert as_run(block) == block


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_example_runs(block: str) -> None:
    argv = [f"{sys.prefix}/bin/devlxd-simulator", "run", "--", sys.executable, "-c", block]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"web simulator\n", b"")


def test_it_can_be_installed_as_shown(tmp_path: Path) -> None:
    (script,) = blocks("sh")
    script = script.replace("/opt", str(tmp_path)).replace("/usr/local/bin", str(tmp_path))
    subprocess.run(["sh", "-ec", script], cwd=REPOSITORY, capture_output=True, timeout=110, check=True)
    done = subprocess.run(
        [tmp_path / "devlxdctl" / "bin" / "devlxdctl", "--version"], capture_output=True, check=True
    )
    assert done.stdout.decode() == f"devlxdctl {devlxdctl.__version__}\n"


def test_the_demo_runs_to_its_end(tmp_path: Path) -> None:
    argv = [f"{sys.prefix}/bin/devlxd-simulator", "run", "--guest", "examples/guest.yaml", "--"]
    done = subprocess.run(
        [*argv, "sh", "examples/demo.sh"],
        cwd=REPOSITORY,
        env={"PATH": f"{sys.prefix}/bin:{os.defpath}"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    shown = done.stdout.decode().split("\n\n$ ")
    assert "devlxdctl config get user.role\nweb" in shown
    assert "devlxdctl ready && devlxdctl state state\nReady" in shown
