"""The example of user-data: what it writes and runs works, as far as that goes without a cloud-init."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from devlxdctl.simulator import Simulator
from tests.readme import REPOSITORY

PATH = REPOSITORY / "examples" / "user-data-install.yaml"


def test_it_provisions_an_instance(short: Path) -> None:
    assert PATH.read_text().startswith("#cloud-config\n")
    data = yaml.safe_load(PATH.read_text())
    files = {file["path"]: file["content"] for file in data["write_files"]}
    script = files["/usr/local/sbin/provision"]
    script = script.replace("/etc/", f"{short}/").replace("/usr/local/bin", f"{sys.prefix}/bin")
    with Simulator(short / "sock") as host:
        host.set({"user.role": "db", "user.domain": "www.example.com"})
        for _ in range(2):
            done = subprocess.run(
                ["sh", "-c", script],
                env={"DEVLXD_SOCKET": str(host.path), "PATH": "/usr/bin:/bin"},
                capture_output=True,
                timeout=60,
                check=True,
            )
            assert (done.stdout, done.stderr) == (b"this instance is: db\n", b"")
    lines = (short / "instance.env").read_text().splitlines()
    assert "USER_ROLE='db'" in lines and "USER_DOMAIN='www.example.com'" in lines
    assert (short / "instance.env").stat().st_mode & 0o777 == 0o600


def test_its_commands_are_the_programs_own() -> None:
    data = yaml.safe_load(PATH.read_text())
    unit = next(file["content"] for file in data["write_files"] if file["path"].endswith(".service"))
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).split()[1:]
    done = subprocess.run(
        [f"{sys.prefix}/bin/devlxdctl", *command, "--help"], capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 0 and b"--hold" in done.stdout
    assert "/usr/local/sbin/provision" in data["runcmd"]
