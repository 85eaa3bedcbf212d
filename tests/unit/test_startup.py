"""What makes the start fast: it changes neither output nor exit status, and can be switched off."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.support.program import PROGRAM, Result, run

OFF = {"DEVLXDCTL_FAST_START": "0"}
SKIPPED = {"_ssl", "importlib.metadata"}
"""Modules of the standard library that urllib3 imports, the second since 2.3, and a fast start does not."""


def imported_by(*argv: str, env: dict[str, str]) -> set[str]:
    command = [sys.executable, "-X", "importtime", PROGRAM, *argv]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True, env=env)
    return {line.rpartition(b"|")[2].strip().decode() for line in done.stderr.splitlines()}


def run_code(code: str, stdout: int = subprocess.PIPE) -> Result:
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=stdout, stderr=subprocess.PIPE, timeout=60, check=False, env={}
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "argv",
    [
        *("--version", "--help", "nope", "state", "-f json state", "config get user.nope", "dump"),
        *("config ls -l", "query /1.0/nope", "events --for 0.05", "wait device nope --timeout 0"),
    ],
)
def test_output_and_exit_status_do_not_depend_on_the_fast_start(argv: str, simulator: Simulator) -> None:
    assert run(*argv.split(), socket=simulator.path) == run(*argv.split(), socket=simulator.path, env=OFF)


@pytest.mark.parametrize("redirect", [">/dev/full", ">&-", "2>/dev/full", "2>&-", "| head -c 1"])
@pytest.mark.parametrize("argv", ["--help", "dump", "config get user.nope"])
def test_broken_output_does_not_depend_on_the_fast_start(
    argv: str, redirect: str, simulator: Simulator
) -> None:
    script = f"{PROGRAM} {argv} {redirect}; echo ${{PIPESTATUS[0]}}"

    def result(env: dict[str, str]) -> tuple[bytes, bytes]:
        env = {"DEVLXD_SOCKET": str(simulator.path), "PATH": "/bin:/usr/bin", **env}
        done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=True, env=env)
        return done.stdout, done.stderr

    assert result({}) == result(OFF)


def test_large_output_arrives_completely(simulator: Simulator) -> None:
    simulator.set({"user.large": "x" * 900_000})
    assert run("config", "get", "user.large", socket=simulator.path) == Result(0, b"x" * 900_000 + b"\n", b"")


def test_request_imports_neither_tls_nor_metadata_of_packages(simulator: Simulator) -> None:
    env = {"DEVLXD_SOCKET": str(simulator.path)}
    assert imported_by("state", env=env) & SKIPPED == set()
    assert "_ssl" in imported_by("state", env={**env, **OFF})


def test_library_imports_what_urllib3_imports() -> None:
    code = "import devlxdctl.http.transport, json, sys; print(json.dumps(list(sys.modules)))"
    assert "_ssl" in json.loads(run_code(code).stdout)


def test_child_process_can_import_what_the_program_skips(simulator: Simulator) -> None:
    code = "import ssl, importlib.metadata; print('imported')"
    result = run("config", "run", "--", sys.executable, "-c", code, socket=simulator.path)
    assert result == Result(0, b"imported\n", b"")


def test_end_of_the_process_writes_buffered_output() -> None:
    code = "import sys, devlxdctl.__main__ as s; sys.stdout.write('out'); sys.stderr.write('err'); {}"
    assert run_code(code.format("s.end_process(3)")) == Result(3, b"out", b"err")


def test_end_of_the_process_keeps_its_status_when_stdout_is_full() -> None:
    with open("/dev/full", "wb") as full:
        code = "import sys, devlxdctl.__main__ as s; sys.stdout.write('out'); s.end_process(3)"
        assert run_code(code, full.fileno())[::2] == (3, b"")


def test_end_of_the_process_does_not_wait_for_threads() -> None:
    code = (
        "import threading, devlxdctl.__main__ as s\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "s.end_process(0)"
    )
    assert run_code(code) == Result(0, b"", b"")


def test_traceback_of_a_bug_is_printed(tmp_path: Path) -> None:
    (tmp_path / "bug.py").write_text(
        "import devlxdctl.cli, devlxdctl.__main__\n"
        "def main(): raise AssertionError('a bug')\n"
        "devlxdctl.cli.devlxdctl.main = main\n"
        "devlxdctl.__main__.main()\n"
    )
    done = subprocess.run([sys.executable, tmp_path / "bug.py"], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.endswith(b"AssertionError: a bug\n")
