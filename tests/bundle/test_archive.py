"""devlxdctl.pyz: the same bytes at each build, exactly the files it needs, and a program that works."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import devlxdctl
from devlxdctl.simulator import Simulator
from tests.bundle.sandbox import Sandbox
from tests.support.program import Result
from tests.test_package import files_in_git
from tools import zipapp
from tools.generate import REPOSITORY


@pytest.fixture
def simulator(short: Path) -> Iterator[Simulator]:
    with Simulator(short / "sock") as simulator:
        yield simulator


def run(archive: Path, *argv: str, **env: str) -> Result:
    """Run the archive on this Python, with all warnings, without other packages or a cache."""
    command: list[str | Path] = [sys.executable, "-SB", "-W", "default", archive, *argv]
    done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def test_two_builds_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    zipapp.dependencies(tmp_path / "site")
    zipapp.archive(zipapp.contents(tmp_path / "site"), tmp_path / "second.pyz")
    assert (tmp_path / "second.pyz").read_bytes() == archive.read_bytes()


def test_pinned_packages_are_the_dependencies() -> None:
    pins = (REPOSITORY / "tools" / "zipapp.txt").read_text().splitlines()[1:]
    pinned = {pin.partition("==")[0]: pin.partition("==")[2].split()[0] for pin in pins}
    required = [Requirement(text) for text in requires("devlxdctl") or () if "extra ==" not in text]
    assert {requirement.name for requirement in required} == pinned.keys() - {"idna"}, "tools.zipapp --pin"
    assert [each.name for each in required if pinned[each.name] not in each.specifier] == []


def test_archive_is_pure_python_without_the_simulator(site: Path) -> None:
    names = zipapp.contents(site)
    others = [name for name in names if not name.endswith(".py") and "licen" not in name.lower()]
    assert others == ["devlxdctl/py.typed"]
    assert not [name for name in names if name.startswith(("devlxdctl/simulator/", "devlxdctl/testing/"))]


OURS_LEFT_OUT = ("devlxdctl/simulator/", "devlxdctl/testing/")
THEIRS_LEFT_OUT = ("requests_unixsocket/tests/", "urllib3/contrib/emscripten/", "websocket/tests/")


def test_archive_has_the_program_its_dependencies_and_nothing_else(site: Path, archive: Path) -> None:
    ours = {name for name in files_in_git("devlxdctl") if not name.startswith(OURS_LEFT_OUT)}
    assert "devlxdctl/py.typed" in ours
    start = {"__main__.py", "certifi.py", "devlxdctl_start.py", "devlxdctl-licence.txt"}
    theirs = set()
    for record in site.glob("*.dist-info/RECORD"):
        for line in record.read_text().splitlines():
            name = line.partition(",")[0]
            licence = ".dist-info/" in name and "licen" in name.lower()
            if (name.endswith(".py") or licence) and not name.startswith(THEIRS_LEFT_OUT):
                theirs.add(name)
    with zipfile.ZipFile(archive) as opened:
        assert sorted(opened.namelist()) == sorted(ours | start | theirs)
        for name in ours | theirs:
            source = (REPOSITORY if name in ours else site) / name
            assert opened.read(name) == source.read_bytes(), name
    packages = {name.partition("/")[0] for name in theirs if ".dist-info/" not in name}
    assert packages == {
        *("click", "idna", "multipart.py", "requests", "requests_unixsocket", "rich", "urllib3"),
        "websocket",
    }


def test_command_runs_from_the_archive(archive: Path, simulator: Simulator) -> None:
    result = run(archive, "-f", "json", "config", "ls", "user.r*", DEVLXD_SOCKET=str(simulator.path))
    assert result == Result(0, b'["user.role"]\n', b"")


def test_command_runs_from_the_cache(archive: Path, simulator: Simulator, sandbox: Sandbox) -> None:
    program = sandbox.install(archive)
    env = {"DEVLXD_SOCKET": str(simulator.path)}
    for _ in range(2):
        assert sandbox.run(program, "config", "get", "user.role", env=env) == Result(0, b"web\n", b"")
        (cache,) = (sandbox.cache / "devlxdctl").iterdir()
        assert (cache / "requests.adapters").is_file()


def test_archive_prints_its_man_pages(archive: Path) -> None:
    page = (REPOSITORY / "man" / "devlxdctl-config-get.1").read_bytes()
    assert run(archive, "help", "--man", "config", "get") == Result(0, page, b"")


def test_archive_prints_a_table_on_a_terminal(archive: Path, simulator: Simulator) -> None:
    terminal = [sys.executable, "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))"]
    done = subprocess.run(
        [*terminal, sys.executable, "-SB", archive, "devices"],
        env={"DEVLXD_SOCKET": str(simulator.path), "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b"NAME" in done.stdout and b"Traceback" not in done.stdout


def test_archive_completes_a_key(archive: Path, simulator: Simulator) -> None:
    words = "./devlxdctl.pyz config get user.ro"
    env = {"_DEVLXDCTL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "user.ro"}
    result = run(archive, **env, DEVLXD_SOCKET=str(simulator.path))
    assert result == Result(0, b"plain,user.role\n", b"")


def test_archive_is_executable_and_calls_itself_devlxdctl(archive: Path, sandbox: Sandbox) -> None:
    program = sandbox.install(archive, "renamed")
    version = f"devlxdctl {devlxdctl.__version__}\n".encode()
    assert sandbox.run(program, "--version") == Result(0, version, b"")
    result = sandbox.run(program, "stat")
    assert (result.status, result.stdout) == (2, b"")
    assert b"devlxdctl" in result.stderr and b"renamed" not in result.stderr
