"""Keys and values are UTF-8 on every host: the bytes of commands do not depend on the locale."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.support.program import Result, run

KEY = "user.ü☃"
VALUE = "wéb €\n"


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the locale en_US.ISO-8859-1."""
    directory = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef") is None:
        pytest.skip("localedef is not installed")
    argv = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(directory / "en_US.ISO-8859-1")]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip(f"the sources of locales are not installed: {done.stderr.decode()}")
    return directory


@pytest.fixture(params=["en_US.ISO-8859-1", "C", "POSIX"])
def environment(request: pytest.FixtureRequest, locales: Path) -> dict[str, str]:
    """An environment with a locale that is not UTF-8."""
    return {"LC_ALL": request.param, "LOCPATH": str(locales), "PATH": os.defpath}


def test_locale_of_these_tests_is_not_utf8(locales: Path) -> None:
    env = {"LC_ALL": "en_US.ISO-8859-1", "LOCPATH": str(locales)}
    done = subprocess.run(["locale", "charmap"], env=env, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"ISO-8859-1\n", b"")


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (["config", "get", KEY], 0),
        (["config", "get", KEY, "-f", "json"], 0),
        (["config", "get", "user.ö"], 6),
        (["config", "ls", "-l", "user.ü*"], 0),
        (["config", "env", KEY], 0),
        (["config", "env", KEY, "--prefix", "ü"], 8),
        (["config", "run", KEY, "--", "sh", "-c", 'printf "%s|%s" "$USER___" "$1"', "sh", "ä"], 0),
        (["config", "run", KEY, "--watch", "--", "printenv", "USER___"], 0),
        (["config", "run", KEY, "--", "nö"], 127),
        (["query", "/1.0/config/user.%C3%BC%E2%98%83"], 0),
        (["query", "/ü"], 0),
        (["wait", "config", KEY, VALUE, "--timeout", "60"], 0),
        (["dump"], 0),
        (["nö"], 2),
        (["--help"], 0),
        (["help", "config", "env"], 0),
        (["--socket", "/nowhere/ü", "state"], 5),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_output_is_the_same_bytes_in_every_locale(
    argv: list[str], status: int, environment: dict[str, str], simulator: Simulator
) -> None:
    simulator.set({KEY: VALUE})
    words = [os.fsencode(word) for word in argv]
    expected = run(*words, socket=simulator.path, env={**environment, "LC_ALL": "C.UTF-8"})
    assert run(*words, socket=simulator.path, env=environment) == expected
    assert (expected.status, b"Traceback" in expected.stderr) == (status, False)
    if argv[:2] in (["config", "get"], ["config", "run"]) and status == 0 and "-f" not in argv:
        assert VALUE.strip().encode() in expected.stdout


def test_command_gets_the_bytes_of_the_host(environment: dict[str, str], simulator: Simulator) -> None:
    simulator.set({KEY: VALUE})
    argv = ["config", "run", KEY, "--", "printenv", "USER___"]
    assert run(*argv, socket=simulator.path, env=environment) == Result(0, VALUE.encode() + b"\n", b"")
    argv = ["config", "run", "user.none", "--optional", "--", "printenv", "LC_ALL"]
    result = run(*argv, socket=simulator.path, env=environment)
    assert result == Result(0, environment["LC_ALL"].encode() + b"\n", b"")


def test_files_have_the_bytes_of_the_host(
    environment: dict[str, str], simulator: Simulator, tmp_path: Path
) -> None:
    simulator.set({KEY: VALUE})
    path = tmp_path / "dätei"
    template = tmp_path / "template"
    template.write_text(f"ß ${{{KEY}}}", encoding="utf-8")
    files: list[tuple[list[str | Path], str]] = [
        (["save", KEY, path], VALUE),
        (["env", KEY, "-o", path], f"USER___='{VALUE}'\n"),
        (["render", template, "-o", path], f"ß {VALUE}"),
    ]
    for argv, content in files:
        words = [os.fsencode(word) for word in argv]
        command = [b"--", b"sh", b"-c", b'echo "$LC_ALL"; cat "$1"', b"sh", os.fsencode(path)]
        result = run(b"config", *words, *command, socket=simulator.path, env=environment)
        assert result == Result(0, f"{environment['LC_ALL']}\n{content}".encode(), b"")
        assert path.read_bytes() == content.encode()


def test_value_is_the_same_bytes_where_python_does_not_know_its_own_path(
    locales: Path, simulator: Simulator
) -> None:
    """Python looks for itself by the name it was started with. A caller can choose a name that is nowhere."""
    simulator.set({KEY: VALUE})
    env = {
        "DEVLXD_SOCKET": str(simulator.path),
        "LC_ALL": "en_US.ISO-8859-1",
        "LOCPATH": str(locales),
        "PATH": str(locales),
        "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
    }

    def run_python(*arguments: str | bytes) -> Result:
        done = subprocess.run(
            ["python-elsewhere", *arguments],
            executable=sys.executable,
            env=env,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    assert run_python("-c", "import sys; print(repr(sys.executable))") == Result(0, b"''\n", b"")
    result = run_python("-m", "devlxdctl", "config", "get", os.fsencode(KEY))
    assert result == Result(0, VALUE.encode(), b"")
