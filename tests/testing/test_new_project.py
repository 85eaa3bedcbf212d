"""The plugin as a new user gets it: the wheel in an empty environment, and a project with three tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.generate import REPOSITORY

TESTS = """\
import json
import subprocess

from devlxdctl.testing import SimulatedHostFactory


def run(*argv: str) -> str:
    return subprocess.run(["devlxdctl", *argv], capture_output=True, text=True, timeout=60, check=True).stdout


def test_key_is_read(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host(config={"user.role": "db"}) as host:
        assert run("config", "get", "user.role") == "db\\n"
        host.set({"user.role": "web"})
        assert run("config", "get", "user.role") == "web\\n"


def test_device_is_read(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host(devices={"eth0": {"type": "nic"}}, profile="incus"):
        assert list(json.loads(run("-f", "json", "devices"))) == ["eth0"]


def test_ready_is_reported(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host() as host:
        run("ready")
        assert host.ready is True
        assert ("PATCH", "/1.0") in host.requests
"""


@pytest.mark.timeout(600)
def test_installed_wheel_runs_the_tests_of_a_new_project(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist")]
    subprocess.run([*build, REPOSITORY], capture_output=True, timeout=100, check=True)
    (wheel,) = (tmp_path / "dist").iterdir()
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], timeout=100, check=True)
    python = f"{environment}/bin/python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    constraints = ["-c", str(REPOSITORY / "requirements-dev.txt")]
    subprocess.run(
        [*install, *constraints, f"{wheel}[testing]"], capture_output=True, timeout=300, check=True
    )
    project = tmp_path / "project"
    project.mkdir()
    (project / "test_program.py").write_text(TESTS)
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=project,
        env={"PATH": f"{environment}/bin:/usr/bin:/bin"},
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout.decode().splitlines()[0].split()[0], done.stderr) == (0, "...", b"")
