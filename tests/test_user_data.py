"""The user-data that writes files: the files, and what `runcmd` does with them, without cloud-init."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from devlxdctl.simulator import Simulator
from tests.readme import EXAMPLES
from tests.support.program import PROGRAM, REPOSITORY

ENABLE = "systemctl enable --now --no-block devlxd-ready.service\n"


def load(name: str) -> dict[str, Any]:
    """Read user-data of the examples."""
    text = (EXAMPLES / name).read_text()
    assert text.startswith("#cloud-config\n")
    data: dict[str, Any] = yaml.safe_load(text)
    return data


class Guest:
    """A directory that takes the place of `/`, in which user-data is applied as cloud-init would do it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for directory in ("etc/systemd/system", "usr/local/bin", "usr/local/sbin", "bin"):
            (root / directory).mkdir(parents=True)
        systemctl = root / "bin" / "systemctl"
        systemctl.write_text(f"#!/bin/sh\necho systemctl $* >>{root}/calls\n")
        systemctl.chmod(0o755)

    def path(self, text: str) -> str:
        """Return a text with the paths of the guest in this directory."""
        for directory in ("/etc/", "/usr/local/"):
            text = text.replace(directory, f"{self.root}{directory}")
        return text.replace("/mnt/devlxdctl/dist/devlxdctl.pyz", PROGRAM).replace(
            "/mnt/devlxdctl", str(REPOSITORY)
        )

    def write_files(self, data: dict[str, Any]) -> None:
        """Write the files of the user-data."""
        for file in data.get("write_files", ()):
            path = Path(self.path(file["path"]))
            path.write_text(self.path(file["content"]))
            path.chmod(int(file.get("permissions", "0644"), 8))

    def run(self, data: dict[str, Any], socket: Path) -> subprocess.CompletedProcess[bytes]:
        """Run the commands of the user-data as one script."""
        lines = [each if isinstance(each, str) else shlex.join(each) for each in data["runcmd"]]
        return subprocess.run(
            ["sh", "-c", self.path("\n".join(lines))],
            env={"DEVLXD_SOCKET": str(socket), "PATH": f"{self.root}/bin:/usr/bin:/bin"},
            capture_output=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


def test_install_writes_the_keys_and_enables_the_ready_unit(guest: Guest, short: Path) -> None:
    data = load("user-data-install.yaml")
    with Simulator(short / "sock") as host:
        host.set({"user.role": "db", "user.domain": "www.example.com"})
        guest.write_files(data)
        result = guest.run(data, host.path)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"this instance is: db\n", b"")
    lines = (guest.root / "etc/instance.env").read_text().splitlines()
    assert "USER_ROLE='db'" in lines and "USER_DOMAIN='www.example.com'" in lines
    assert (guest.root / "etc/instance.env").stat().st_mode & 0o777 == 0o600
    assert (guest.root / "usr/local/bin/devlxdctl").read_bytes() == Path(PROGRAM).read_bytes()
    unit = guest.root / "etc/systemd/system/devlxd-ready.service"
    assert unit.read_text() == (EXAMPLES / "devlxd-ready.service").read_text()
    assert (guest.root / "calls").read_text() == ENABLE


def test_install_ends_at_the_first_error(guest: Guest, short: Path) -> None:
    data = load("user-data-install.yaml")
    guest.write_files(data)
    with Simulator(short / "sock", profile="lxd-6") as host:
        host.set({"user.a-b": "1", "user.a.b": "2"})  # both make the variable USER_A_B
        result = guest.run(data, host.path)
    assert result.returncode == 8
    assert not (guest.root / "etc/instance.env").exists()
    assert not (guest.root / "calls").exists()


def test_ready_user_data_installs_the_ready_unit_and_enables_it(guest: Guest, short: Path) -> None:
    data = load("user-data-ready.yaml")
    (file,) = data["write_files"]
    assert file["path"] == "/etc/systemd/system/devlxd-ready.service"
    assert file["content"] == (EXAMPLES / "devlxd-ready.service").read_text()
    assert guest.run(data, short / "sock").returncode == 0
    assert (guest.root / "calls").read_text() == ENABLE
