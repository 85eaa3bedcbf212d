"""The Pythons of this machine: from 3.10 on, the one file and the tests in each; before, one line."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.guests.debian import REPOSITORY, ZIPAPP


def version(path: Path) -> tuple[int, int] | None:
    script = "import sys; print('%d %d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", script], capture_output=True, timeout=20, check=False)
    words = done.stdout.split()
    return (int(words[0]), int(words[1])) if done.returncode == 0 else None


def pythons() -> dict[tuple[int, int], Path]:
    """One of each version, of the PATH and of pyenv."""
    names = [f"python3.{minor}" for minor in range(6, 20)] + ["python2.7"]
    found = [Path(path) for name in names if (path := shutil.which(name))]
    found += (Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions").glob("*/bin/python")
    versions = {version: path for path in found if (version := version_of(path))}
    return dict(sorted(versions.items()))


version_of = version
PYTHONS = pythons()
NEW = {f"{major}.{minor}": path for (major, minor), path in PYTHONS.items() if (major, minor) >= (3, 10)}
OLD = {f"{major}.{minor}": path for (major, minor), path in PYTHONS.items() if (major, minor) < (3, 10)}


@pytest.mark.parametrize("name", OLD)
def test_an_older_one_says_so_in_one_line(name: str) -> None:
    done = subprocess.run([OLD[name], ZIPAPP, "state"], capture_output=True, timeout=20, check=False)
    said = f"devlxdctl: it needs Python 3.10 or later, and this is {name}\n".encode()
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", said)


@pytest.mark.parametrize("name", NEW)
def test_the_one_file(name: str, short: Path) -> None:
    with Simulator(short / "sock") as host:
        for env in ({"HOME": str(short)}, {"HOME": str(short)}, {"XDG_CACHE_HOME": "/proc/none"}):
            done = subprocess.run(
                [NEW[name], "-S", "-W", "default", ZIPAPP, "config", "get", "user.role"],
                env={**env, "DEVLXD_SOCKET": str(host.path)},
                capture_output=True,
                timeout=60,
                check=False,
            )
            assert (done.returncode, done.stdout, done.stderr) == (0, b"web\n", b"")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NEW)
def test_the_tests(name: str, tmp_path: Path) -> None:
    bin_ = tmp_path / "bin"
    subprocess.run([NEW[name], "-m", "venv", tmp_path], timeout=60, check=True)
    install = [f"{bin_}/pip", "install", "--quiet", "-c", "requirements-dev.txt", "--editable", ".[test]"]
    subprocess.run(install, cwd=REPOSITORY, capture_output=True, timeout=240, check=True)
    tests = [f"{bin_}/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit", "tests/cli"]
    done = subprocess.run(tests, cwd=REPOSITORY, capture_output=True, text=True, timeout=900, check=False)
    print(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout
