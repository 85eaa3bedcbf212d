"""The wheel and the sdist: their files, and that the wheel works in an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import devlxdctl
from tests.support.program import REPOSITORY

NAME = f"devlxdctl-{devlxdctl.__version__}"
INSTALLED = {
    "man/": "share/man/man1/",
    "completions/devlxdctl.bash": "share/bash-completion/completions/devlxdctl",
    "completions/_devlxdctl": "share/zsh/site-functions/_devlxdctl",
    "completions/devlxdctl.fish": "share/fish/vendor_completions.d/devlxdctl.fish",
    "completions/devlxd-simulator.bash": "share/bash-completion/completions/devlxd-simulator",
    "completions/_devlxd-simulator": "share/zsh/site-functions/_devlxd-simulator",
    "completions/devlxd-simulator.fish": "share/fish/vendor_completions.d/devlxd-simulator.fish",
}
"""Where the wheel installs files from outside the package."""


def installed_path(path: str) -> str:
    """Return where a file of the repository is installed."""
    for source, target in INSTALLED.items():
        if path.startswith(source):
            return target + path.removeprefix(source)
    raise AssertionError(f"{path} is in git, but not in the wheel")


def files_in_git(*paths: str) -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", "-z", *paths], cwd=REPOSITORY, capture_output=True, timeout=20, check=True
    )
    return done.stdout.decode().split("\0")[:-1]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist, and the wheel that is built from it, as with `make dist`."""
    directory = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory)]
    subprocess.run([*build, REPOSITORY], capture_output=True, timeout=100, check=True)
    return directory


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    """The wheel."""
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with nothing but the wheel and what it requires."""
    directory = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], timeout=60, check=True)
    install = [sys.executable, "-m", "pip", "--python", f"{directory}/bin/python", "install", str(wheel)]
    subprocess.run(install, capture_output=True, timeout=110, check=True)
    return directory


def test_wheel_contains_the_files_in_git_and_no_others(wheel: Path) -> None:
    assert wheel.name == f"{NAME}-py3-none-any.whl"
    sources = {path: path for path in files_in_git("devlxdctl")}
    sources |= {
        f"{NAME}.data/data/{installed_path(path)}": path for path in files_in_git("man", "completions")
    }
    sources[f"{NAME}.dist-info/licenses/LICENSE"] = "LICENSE"
    assert "devlxdctl/py.typed" in sources
    generated = {f"{NAME}.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    with zipfile.ZipFile(wheel) as file:
        assert sorted(file.namelist()) == sorted(sources.keys() | generated)
        for name, path in sources.items():
            assert file.read(name) == (REPOSITORY / path).read_bytes(), name


def test_sdist_contains_the_files_in_git_and_no_others(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    assert path.name == f"{NAME}.tar.gz"
    with tarfile.open(path) as archive:
        assert sorted(archive.getnames()) == sorted(
            f"{NAME}/{name}" for name in [*files_in_git(), "PKG-INFO"]
        )
        for name in files_in_git():
            member = archive.getmember(f"{NAME}/{name}")
            file, source = archive.extractfile(member), REPOSITORY / name
            assert member.isreg() and file is not None, name
            assert file.read() == source.read_bytes(), name
            assert bool(member.mode & 0o100) == os.access(source, os.X_OK), name


def test_program_of_the_wheel_runs_without_any_variable(environment: Path) -> None:
    program = environment / "bin" / "devlxdctl"
    done = subprocess.run([program, "--version"], env={}, capture_output=True, timeout=20, check=True)
    assert (done.stdout, done.stderr) == (f"devlxdctl {devlxdctl.__version__}\n".encode(), b"")


def test_program_of_the_wheel_reads_a_key_in_a_simulated_guest(environment: Path) -> None:
    simulate = [f"{sys.prefix}/bin/devlxd-simulator", "run", "--", f"{environment}/bin/devlxdctl"]
    argv = [*simulate, "config", "get", "user.role"]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (b"web\n", b"")


def test_simulator_without_its_extra_names_what_to_install(environment: Path) -> None:
    argv = [f"{environment}/bin/devlxd-simulator", "--help"]
    done = subprocess.run(argv, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"devlxdctl[simulator]" in done.stderr


def test_wheel_installs_man_pages_and_completions_where_programs_look_for_them(environment: Path) -> None:
    for path in files_in_git("man", "completions"):
        assert (environment / installed_path(path)).read_bytes() == (REPOSITORY / path).read_bytes()
    # `man` looks beside the programs in PATH.
    found = subprocess.run(
        ["man", "--where", "devlxdctl-config-get"],
        env={"PATH": f"{environment}/bin:{os.defpath}"},
        capture_output=True,
        timeout=20,
        check=True,
    )
    assert found.stdout.decode().strip() == f"{environment}/share/man/man1/devlxdctl-config-get.1"
