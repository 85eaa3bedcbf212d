"""The one file for guests: always the same bytes, and it runs with and without a cache."""

from __future__ import annotations

import os
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
from tests.support.program import Result
from tests.test_package import in_git
from tools import zipapp
from tools.generate import REPOSITORY


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    zipapp.dependencies(site)
    return site


@pytest.fixture(scope="module")
def pyz(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pyz") / "devlxdctl.pyz"
    zipapp.archive(zipapp.contents(site), path)
    return path


@pytest.fixture
def simulator(short: Path) -> Iterator[Simulator]:
    with Simulator(short / "sock") as host:
        yield host


def start(pyz: Path, *argv: str, **env: str) -> Result:
    # Isolated from this environment's own packages, and with warnings shown.
    command: list[str | Path] = [sys.executable, "-S", "-W", "default", pyz, *argv]
    done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def test_two_builds_give_the_same_bytes(pyz: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    zipapp.dependencies(tmp_path / "site")
    zipapp.archive(zipapp.contents(tmp_path / "site"), tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == pyz.read_bytes()


def test_it_carries_what_the_program_depends_on() -> None:
    pins = (REPOSITORY / "tools" / "zipapp.txt").read_text().splitlines()[1:]
    carried = {pin.partition("==")[0]: pin.partition("==")[2].split()[0] for pin in pins}
    needed = [Requirement(text) for text in requires("devlxdctl") or () if "extra ==" not in text]
    assert {requirement.name for requirement in needed} == carried.keys() - {"idna"}, "tools.zipapp --pin"
    assert [each.name for each in needed if carried[each.name] not in each.specifier] == []


def test_it_is_pure_python(site: Path) -> None:
    names = zipapp.contents(site)
    others = [name for name in names if not name.endswith(".py") and "licen" not in name.lower()]
    assert others == ["devlxdctl/py.typed"]
    assert not [name for name in names if name.startswith("devlxdctl/simulator/")]


LEFT_OUT = ("requests_unixsocket/tests/", "urllib3/contrib/emscripten/", "websocket/tests/")


def test_it_holds_the_program_what_it_depends_on_and_nothing_else(site: Path, pyz: Path) -> None:
    ours = {name for name in in_git("devlxdctl") if not name.startswith("devlxdctl/simulator/")}
    assert "devlxdctl/py.typed" in ours
    start = {"__main__.py", "certifi.py", "devlxdctl_start.py", "devlxdctl-licence.txt"}
    theirs = set()
    for record in site.glob("*.dist-info/RECORD"):
        for line in record.read_text().splitlines():
            name = line.partition(",")[0]
            licence = ".dist-info/" in name and "licen" in name.lower()
            if (name.endswith(".py") or licence) and not name.startswith(LEFT_OUT):
                theirs.add(name)
    with zipfile.ZipFile(pyz) as archive:
        assert sorted(archive.namelist()) == sorted(ours | start | theirs)
        for name in ours | theirs:
            source = (REPOSITORY if name in ours else site) / name
            assert archive.read(name) == source.read_bytes(), name
    packages = {name.partition("/")[0] for name in theirs if ".dist-info/" not in name}
    assert packages == {
        *("click", "idna", "multipart.py", "requests", "requests_unixsocket", "rich", "urllib3"),
        "websocket",
    }


def test_it_keeps_what_it_compiled_in_its_cache(pyz: Path, simulator: Simulator, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "DEVLXD_SOCKET": str(simulator.path)}
    for _ in range(2):
        assert start(pyz, "config", "get", "user.role", **env) == Result(0, b"web\n", b"")
        (cache,) = (tmp_path / ".cache" / "devlxdctl").iterdir()
        assert list((cache / "requests" / "__pycache__").glob("adapters.*.pyc"))
    assert cache.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("why", ["nowhere", "a file", "of others", "for all"])
def test_it_runs_without_a_cache(why: str, pyz: Path, simulator: Simulator, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    if why == "a file":
        cache.touch()
    elif why != "nowhere":
        cache.mkdir()
        if why == "for all":
            cache.chmod(0o777)
        elif os.geteuid() == 0:
            os.chown(cache, 65534, 65534)
    if why == "nowhere":
        cache = Path("/proc/nowhere")
    elif why == "of others" and os.geteuid() != 0:
        cache = Path("/")
    before = sorted(tmp_path.rglob("*"))
    env = {"XDG_CACHE_HOME": str(cache), "DEVLXD_SOCKET": str(simulator.path)}
    assert start(pyz, "-f", "json", "config", "ls", "user.r*", **env) == Result(0, b'["user.role"]\n', b"")
    assert sorted(tmp_path.rglob("*")) == before


def test_its_tables_and_its_completion(pyz: Path, simulator: Simulator, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "DEVLXD_SOCKET": str(simulator.path)}
    terminal = [sys.executable, "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))"]
    table = subprocess.run(
        [*terminal, sys.executable, "-S", pyz, "devices"],
        env={**env, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b"NAME" in table.stdout and b"Traceback" not in table.stdout
    tab = {"_DEVLXDCTL_COMPLETE": "bash_complete", "COMP_WORDS": "./devlxdctl.pyz config get user.ro"}
    assert start(pyz, **tab, COMP_CWORD="user.ro", **env) == Result(0, b"plain,user.role\n", b"")


def test_it_is_executable_and_names_itself(pyz: Path, tmp_path: Path) -> None:
    env = {"PATH": f"{sys.prefix}/bin:{os.defpath}", "HOME": str(tmp_path)}
    done = subprocess.run([pyz, "--version"], env=env, capture_output=True, timeout=60, check=True)
    assert done.stdout.decode() == f"devlxdctl {devlxdctl.__version__}\n"
    done = subprocess.run([pyz, "stat"], env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2 and done.stderr.startswith(b"Usage: devlxdctl [OPTIONS]")
