"""Copies of the checkout in which code is changed and tested: the checkout itself never changes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_NOT_COPIED = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "debian")


def make_copy(path: Path) -> Path:
    """Copy the checkout to `path`, with a virtual environment in which the copy is installed.

    The other packages are those of this environment. Tests run the installed program, often with an empty
    environment of variables, so only an installation leads them to the copy.
    """
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(REPOSITORY, path, ignore=_NOT_COPIED)
    environment = path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", query], check=True, capture_output=True, text=True)
    packages = Path(found.stdout.strip())
    (packages / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(path)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    return path


def test_command(copy: Path, tests: Sequence[str], seconds: float) -> list[str]:
    """The command that runs `tests` in a copy and stops at the first failure."""
    return [
        *(
            "env",
            "-C",
            str(copy),
            str(copy / ".venv" / "bin" / "python"),
            "-m",
            "pytest",
            "--exitfirst",
            "--quiet",
        ),
        *("-p", "no:cacheprovider", "--no-header", f"--timeout={seconds:g}", *tests),
    ]
