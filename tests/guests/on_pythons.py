"""The Pythons of this machine: the zipapp and the tests run with 3.10 and later, older ones are rejected."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.guests.debian import ZIPAPP
from tests.support.program import REPOSITORY

Version = tuple[int, int]


def version_of(python: Path) -> Version | None:
    script = "import sys; print('%d %d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", script], capture_output=True, timeout=20, check=False)
    words = done.stdout.split()
    return (int(words[0]), int(words[1])) if done.returncode == 0 else None


def find_pythons() -> dict[Version, Path]:
    """Return one Python of each version, from the PATH and from pyenv."""
    names = [f"python3.{minor}" for minor in range(6, 20)] + ["python2.7"]
    found = [Path(path) for name in names if (path := shutil.which(name))]
    found += (Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions").glob("*/bin/python")
    versions = {version: path for path in found if (version := version_of(path))}
    return dict(sorted(versions.items()))


_PYTHONS = find_pythons()
SUPPORTED = {
    f"{major}.{minor}": path for (major, minor), path in _PYTHONS.items() if (major, minor) >= (3, 10)
}
OLDER = {f"{major}.{minor}": path for (major, minor), path in _PYTHONS.items() if (major, minor) < (3, 10)}


@pytest.mark.parametrize("version", OLDER)
def test_zipapp_rejects_an_older_python_in_one_line(version: str) -> None:
    done = subprocess.run([OLDER[version], ZIPAPP, "state"], capture_output=True, timeout=20, check=False)
    line = f"devlxdctl: Python {version}: 3.10 or later is required\n".encode()
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", line)


# Starts the program three times: with an empty cache, with the cache of the first start, without a cache.
# Root has its cache in /var/cache, which is hidden from this machine.
_THREE_STARTS = """
mount -t tmpfs -o mode=755 tmpfs /var/cache
"$0" -S -W default "$@"
"$0" -S -W default "$@"
rm -r /var/cache/devlxdctl
"$0" -B -S -W default "$@"
test ! -e /var/cache/devlxdctl
"""


@pytest.mark.parametrize("version", SUPPORTED)
def test_zipapp_runs_with_the_cache_and_without(version: str, socket_directory: Path) -> None:
    with Simulator(socket_directory / "sock") as simulator:
        command = [str(SUPPORTED[version]), str(ZIPAPP), "config", "get", "user.role"]
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-ec", _THREE_STARTS, *command],
            env={"PATH": os.environ["PATH"], "DEVLXD_SOCKET": str(simulator.path)},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"web\n" * 3, b"")


# `make test` tests the Python that runs this.
_OTHERS = [version for version in SUPPORTED if version != "{}.{}".format(*sys.version_info)]
_TESTS = ["tests/unit", "tests/cli/commands", "tests/cli/output", "tests/cli/test_every_command.py"]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("version", _OTHERS)
def test_unit_and_command_tests_pass(version: str, tmp_path: Path) -> None:
    directory = tmp_path / "bin"
    subprocess.run([SUPPORTED[version], "-m", "venv", tmp_path], timeout=60, check=True)
    requirements = ["-c", "requirements-dev.txt", "--editable", ".[test]"]
    install = [f"{directory}/pip", "install", "--quiet", *requirements]
    subprocess.run(install, cwd=REPOSITORY, capture_output=True, timeout=240, check=True)
    flags = ["-q", "-p", "no:cacheprovider", "-n", "4", "--dist", "worksteal"]
    argv = [f"{directory}/python", "-m", "pytest", *flags, *_TESTS]
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, timeout=900, check=False)
    print(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout
