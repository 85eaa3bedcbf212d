"""Wheel and sdist: what is in them, and that the wheel works in an environment with nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import devlxdctl
from tools.generate import REPOSITORY

NAME = f"devlxdctl-{devlxdctl.__version__}"
SHARED = {
    "man/": "share/man/man1/",
    "completions/devlxdctl.bash": "share/bash-completion/completions/devlxdctl",
    "completions/_devlxdctl": "share/zsh/site-functions/_devlxdctl",
    "completions/devlxdctl.fish": "share/fish/vendor_completions.d/devlxdctl.fish",
    "completions/devlxd-simulator.bash": "share/bash-completion/completions/devlxd-simulator",
    "completions/_devlxd-simulator": "share/zsh/site-functions/_devlxd-simulator",
    "completions/devlxd-simulator.fish": "share/fish/vendor_completions.d/devlxd-simulator.fish",
}


def shared(path: str) -> str:
    for source, target in SHARED.items():
        if path.startswith(source):
            return target + path.removeprefix(source)
    raise AssertionError(f"{path} is in git, and goes nowhere")


def in_git(*paths: str) -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", "-z", *paths], cwd=REPOSITORY, capture_output=True, timeout=20, check=True
    )
    return done.stdout.decode().split("\0")[:-1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with both, the wheel made from the sdist, as `make dist` does."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*build, REPOSITORY], capture_output=True, timeout=100, check=True)
    return out


@pytest.fixture
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


def test_the_wheel_holds_what_is_in_git_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"{NAME}-py3-none-any.whl"
    sources = {path: path for path in in_git("devlxdctl")}
    sources |= {f"{NAME}.data/data/{shared(path)}": path for path in in_git("man", "completions")}
    sources[f"{NAME}.dist-info/licenses/LICENSE"] = "LICENSE"
    assert "devlxdctl/py.typed" in sources
    made = {f"{NAME}.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    with zipfile.ZipFile(wheel) as file:
        assert sorted(file.namelist()) == sorted(sources.keys() | made)
        for name, path in sources.items():
            assert file.read(name) == (REPOSITORY / path).read_bytes(), name


def test_the_sdist_holds_what_is_in_git_and_nothing_else(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    assert path.name == f"{NAME}.tar.gz"
    with tarfile.open(path) as archive:
        assert sorted(archive.getnames()) == sorted(f"{NAME}/{name}" for name in [*in_git(), "PKG-INFO"])
        for name in in_git():
            member = archive.getmember(f"{NAME}/{name}")
            file, source = archive.extractfile(member), REPOSITORY / name
            assert member.isreg() and file is not None, name
            assert file.read() == source.read_bytes(), name
            assert bool(member.mode & 0o100) == os.access(source, os.X_OK), name


def test_it_runs_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], timeout=60, check=True)
    install = [sys.executable, "-m", "pip", "--python", f"{tmp_path}/bin/python", "install", str(wheel)]
    subprocess.run(install, capture_output=True, timeout=110, check=True)
    program = str(tmp_path / "bin" / "devlxdctl")
    done = subprocess.run([program, "--version"], env={}, capture_output=True, timeout=20, check=True)
    assert (done.stdout, done.stderr) == (f"devlxdctl {devlxdctl.__version__}\n".encode(), b"")
    simulate = [f"{sys.prefix}/bin/devlxd-simulator", "run", "--", str(program)]
    done = subprocess.run(
        [*simulate, "config", "get", "user.role"], capture_output=True, timeout=20, check=True
    )
    assert (done.stdout, done.stderr) == (b"web\n", b"")
    # Without its extra, the simulator says what is missing.
    done = subprocess.run(
        [tmp_path / "bin" / "devlxd-simulator", "--help"], capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")
    for path in in_git("man", "completions"):
        assert (tmp_path / shared(path)).read_bytes() == (REPOSITORY / path).read_bytes()
    # `man` looks beside the programs of its PATH.
    found = subprocess.run(
        ["man", "--where", "devlxdctl-config-get"],
        env={"PATH": f"{tmp_path}/bin:{os.defpath}"},
        capture_output=True,
        timeout=20,
        check=True,
    )
    assert found.stdout.decode().strip() == str(tmp_path / "share/man/man1/devlxdctl-config-get.1")
