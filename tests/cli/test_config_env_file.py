"""`config env -o`: variables in a file, once and with `--watch`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.config.jobs import Jobs, restart_with_change, wait_for_content
from tests.support.program import Result, run
from tests.support.raw_host import RawHost, response


@pytest.mark.parametrize(
    "options",
    [
        ["user.role", "user.port", "user.motd"],
        ["user.[pr]*"],
        ["user.role", "--prefix", "APP_"],
        ["user.role", "--export"],
        ["user.none.*"],
        ["user.role", "user.nope", "--optional"],
    ],
)
def test_environment_file_has_the_text_that_config_env_prints(
    options: list[str], simulator: Simulator, tmp_path: Path
) -> None:
    printed = run("config", "env", *options, socket=simulator.path)
    assert printed.status == 0
    file = tmp_path / "file"
    assert run("config", "env", *options, "-o", file, socket=simulator.path) == Result(0, b"", b"")
    assert file.read_bytes() == printed.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_config_env_in_json_prints_the_path_and_whether_the_content_changed(
    simulator: Simulator, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    for changed in (b"true", b"false"):
        result = run("config", "env", "user.role", "-o", file, "-f", "json", socket=simulator.path)
        assert result == Result(0, b'{"path":"%b","changed":%b}\n' % (bytes(file), changed), b"")


def test_environment_file_without_a_named_key_is_an_error(simulator: Simulator, tmp_path: Path) -> None:
    error = b"devlxdctl: user.rol: not set on this instance\nhint: did you mean user.role?\n"
    for argv in (["env"], ["env", "-o", f"{tmp_path}/file"], ["env", "-o", f"{tmp_path}/file", "--watch"]):
        assert run("config", *argv, "user.rol", "user.p*", socket=simulator.path) == Result(6, b"", error)
    assert list(tmp_path.iterdir()) == []


def test_environment_file_with_optional_needs_one_key_that_is_set(
    simulator: Simulator, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    argv = ["config", "env", "user.nope", "user.none.*", "--optional", "-o", str(file)]
    assert run(*argv, socket=simulator.path) == Result(0, b"", b"")
    assert file.read_bytes() == b"old"
    assert run(*argv, "--remove", socket=simulator.path) == Result(0, b"", b"")
    assert not file.exists()


def test_environment_file_of_two_keys_with_the_same_name_is_an_error(
    simulator: Simulator, tmp_path: Path
) -> None:
    simulator.set({"user.a-b": "1", "user.a_b": "2"})
    result = run("config", "env", "user.a*", "-o", tmp_path / "file", socket=simulator.path)
    assert result == Result(8, b"", b"devlxdctl: USER_A_B: is the name for both user.a-b and user.a_b\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--mode", "0640"], "--mode needs -o FILE"),
        (["--owner", "root"], "--owner needs -o FILE"),
        (["--remove", "--optional"], "--remove needs -o FILE"),
        (["--check", "true"], "--check needs -o FILE"),
        (["--watch"], "--watch needs -o FILE"),
        (["--", "true"], "-- CMD needs -o FILE"),
        (["-o", "x", "--remove"], "--remove needs --optional"),
        (["-o", ""], "'' is not a file name; without FILE, the output goes to stdout"),
    ],
)
def test_invalid_options_of_config_env_are_usage_errors(
    options: list[str], problem: str, simulator: Simulator
) -> None:
    error = f"devlxdctl: config env: {problem}\nhint: see the help: devlxdctl config env --help\n"
    assert run("config", "env", *options, socket=simulator.path) == Result(2, b"", error.encode())
    assert simulator.requests == []


def test_environment_file_omits_a_key_that_is_unset_between_listing_and_reading(
    short: Path, tmp_path: Path
) -> None:
    answers = {
        b"/1.0/config": response(b'["/1.0/config/user.a","/1.0/config/user.b"]'),
        b"/1.0/config/user.a": response(b"1", "application/octet-stream"),
        b"/1.0/config/user.b": response(b"not found\n", "text/plain", "404 Not Found"),
    }
    with RawHost(short / "sock", lambda request: answers[request.split(b" ")[1]]) as host:
        argv = ["config", "env", "user.*", "-o", str(tmp_path / "file")]
        assert run(*argv, socket=host.path) == Result(0, b"", b"")
    assert (tmp_path / "file").read_bytes() == b"USER_A='1'\n"


class TestWatch:
    def test_update_of_many_keys_runs_the_command_once(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        names = [f"user.app.k{number:02d}" for number in range(30)]
        job = jobs.start("config", "env", "user.app.*", "-o", file, "--watch", "--", "cat", file)
        wait_for_content(file, b"")
        printed = b""
        for value in ("1", "2", "3"):
            simulator.set({"user.other": value, **dict.fromkeys(names, value)})
            lines = "".join(f"{name.replace('.', '_').upper()}='{value}'\n" for name in names)
            printed += lines.encode()
            job.wait_for(printed)
        assert (job.stdout(), job.stderr()) == (printed, b"")

    def test_environment_file_is_empty_once_the_last_key_is_unset(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        jobs.start("config", "env", "user.role*", "-o", file, "--watch")
        wait_for_content(file, b"USER_ROLE='web'\n")
        simulator.unset("user.role")
        wait_for_content(file, b"")

    def test_watch_reports_bad_data_once_and_keeps_the_environment_file(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        job = jobs.start("config", "env", "user.a*", "-o", file, "--watch")
        wait_for_content(file, b"")
        simulator.set({"user.a-b": "1"})
        wait_for_content(file, b"USER_A_B='1'\n")
        simulator.set({"user.a_b": "2"})
        error = f"devlxdctl: USER_A_B: is the name for both user.a-b and user.a_b; {file} is left as it is\n"
        job.wait_for(error.encode(), stderr=True)
        assert file.read_bytes() == b"USER_A_B='1'\n"
        simulator.unset("user.a-b")
        wait_for_content(file, b"USER_A_B='2'\n")
        assert job.stderr() == error.encode()

    def test_environment_file_gets_a_change_made_while_the_host_restarts(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        """Also one without an event."""
        file = tmp_path / "file"
        argv = ["config", "env", "user.role", "cloud-init.*", "--prefix", "C_", "-o", str(file), "--watch"]
        jobs.start(*argv)
        first = b"C_ROLE='web'\nC_USER_DATA='#cloud-config\npackages: [nginx]\n'\n"
        wait_for_content(file, b"".join(sorted(first.split(b"C_ROLE='web'\n"))) + b"C_ROLE='web'\n")
        restart_with_change(simulator, {"cloud-init.user-data": "new", "user.role": "db"})
        wait_for_content(file, b"C_USER_DATA='new'\nC_ROLE='db'\n")

    def test_removed_environment_file_is_written_again_after_a_restart_of_the_host(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        """As at every full re-read."""
        file = tmp_path / "file"
        jobs.start("config", "env", "user.role", "-o", file, "--watch")
        wait_for_content(file, b"USER_ROLE='web'\n")
        file.unlink()
        simulator.restart(0.1)
        wait_for_content(file, b"USER_ROLE='web'\n")


@pytest.mark.skipif(not os.path.exists("/bin/sh"), reason="needs a shell")
def test_shell_reads_the_environment_file(simulator: Simulator, tmp_path: Path) -> None:
    import subprocess

    file = tmp_path / "file"
    assert run("config", "env", "user.Quote's", "-o", file, socket=simulator.path).status == 0
    done = subprocess.run(
        ["sh", "-c", f'. {file} && printf %s "$USER_QUOTE_S"'], capture_output=True, timeout=20, check=True
    )
    assert done.stdout == b'it\'s "$HOME" `id` \\'
