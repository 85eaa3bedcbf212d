"""`config save`: the value of a key in a file, once and with `--watch`."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.guest import Guest
from tests.config.jobs import LIMIT, Jobs, restart_with_change, wait_for_content, wait_until
from tests.support.program import Result, run

Argv = list[str | Path | bytes]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def script(path: Path, text: str) -> str:
    """Write a shell script, and return its path."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


class TestOnce:
    @pytest.mark.parametrize("value", ["web", "web\n", "web\n\n", "a\0\udcff\r\n", " "])
    @pytest.mark.parametrize("options", [[], ["-n"]])
    def test_saved_file_has_the_bytes_that_config_get_prints(
        self, value: str, options: list[str], simulator: Simulator, tmp_path: Path
    ) -> None:
        simulator.set({"user.key": value})
        file = tmp_path / "file"
        result = run("config", "save", "user.key", file, *options, socket=simulator.path)
        assert result == Result(0, b"", b"")
        printed = run("config", "get", "user.key", *options, socket=simulator.path).stdout
        assert file.read_bytes() == printed
        assert mode_of(file) == 0o600

    def test_config_save_in_json_prints_the_path_and_whether_the_content_changed(
        self, simulator: Simulator, tmp_path: Path
    ) -> None:
        command: Argv = ["config", "save", "user.role", tmp_path / "file", "-f", "json"]
        for changed in (b"true", b"false"):
            result = run(*command, socket=simulator.path)
            assert result == Result(0, b'{"path":"%b/file","changed":%b}\n' % (bytes(tmp_path), changed), b"")

    def test_saved_file_with_equal_content_is_not_written_but_its_mode_is_corrected(
        self, simulator: Simulator, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"web\n")
        os.utime(file, ns=(1, 2))
        before = file.lstat()
        command: Argv = ["config", "save", "user.role", file, "--mode", "0640", "--", "echo", "run"]
        assert run(*command, socket=simulator.path, env={"PATH": os.defpath}) == Result(0, b"", b"")
        after = file.lstat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert mode_of(file) == 0o640

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
    def test_config_save_sets_the_owner_of_the_file(self, simulator: Simulator, tmp_path: Path) -> None:
        file = tmp_path / "file"
        for owner, expected in (("1:2", (1, 2)), ("root:root", (0, 0)), ("1", (1, os.getegid()))):
            assert (
                run("config", "save", "user.role", file, "--owner", owner, socket=simulator.path).status == 0
            )
            assert (file.lstat().st_uid, file.lstat().st_gid) == expected

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            (["--owner", "nope"], b"devlxdctl: nope: no such user\n"),
            (["--owner", "root:nope"], b"devlxdctl: nope: no such group\n"),
            (["--mode", "8"], b"invalid value for '--mode': '8' is not a mode, such as 0640\n"),
            (["--mode", "-1"], b"'-1' is not a mode, such as 0640\n"),
            (["--mode", "1777"], b"'1777' is not a mode, such as 0640\n"),
            (["--mode", "u+w"], b"'u+w' is not a mode, such as 0640\n"),
            (["--check", ""], b"invalid value for '--check': is empty\n"),
            (["--check", "'a"], b"no closing quotation\n"),
            (["--remove"], b"devlxdctl: config save: --remove needs --optional\n"),
            (["--"], b"devlxdctl: config save: missing '-- CMD' at the end\n"),
        ],
    )
    def test_invalid_options_of_config_save_are_usage_errors_before_any_request(
        self, options: list[str], problem: bytes, simulator: Simulator, tmp_path: Path
    ) -> None:
        result = run("config", "save", "user.role", tmp_path / "file", *options, socket=simulator.path)
        assert (result.status, result.stdout) == (2, b"")
        assert problem in result.stderr
        assert simulator.requests == []
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("path", ["", "-"])
    def test_config_save_to_stdout_is_a_usage_error(self, path: str, simulator: Simulator) -> None:
        result = run("config", "save", "user.role", path, socket=simulator.path)
        assert (result.status, result.stdout) == (2, b"")
        assert f"{path!r} is not a file name".encode() in result.stderr

    @pytest.mark.parametrize(
        ("path", "problem"),
        [
            ("nope/file", "no such file or directory"),
            ("plain/file", "not a directory"),
            ("d", "exists already and is not a regular file"),
            ("d/", "is not the name of a file"),
            ("fifo", "exists already and is not a regular file"),
        ],
    )
    def test_config_save_to_a_path_that_cannot_be_written_is_an_error(
        self, path: str, problem: str, simulator: Simulator, tmp_path: Path
    ) -> None:
        (tmp_path / "plain").write_bytes(b"")
        (tmp_path / "d").mkdir()
        os.mkfifo(tmp_path / "fifo")
        result = run("config", "save", "user.role", f"{tmp_path}/{path}", socket=simulator.path)
        assert result == Result(8, b"", f"devlxdctl: {tmp_path}/{path}: {problem}\n".encode())

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
    def test_config_save_as_root_into_a_directory_that_others_can_write_to_is_an_error(
        self, simulator: Simulator, tmp_path: Path
    ) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d").chmod(0o777)
        problem = f"devlxdctl: {tmp_path}/d: other users can write to this directory\n"
        result = run("config", "save", "user.role", tmp_path / "d" / "file", socket=simulator.path)
        assert result == Result(8, b"", f"{problem}hint: chmod go-w {tmp_path}/d\n".encode())
        assert list((tmp_path / "d").iterdir()) == []

    def test_value_of_100_mb_is_saved_completely(self, short: Path) -> None:
        value = "0123456789abcdef" * (100_000_000 // 16)
        with Simulator(short / "sock", Guest(config={"user.key": value})) as simulator:
            result = run("config", "save", "user.key", short / "file", socket=simulator.path, timeout=110)
        assert result == Result(0, b"", b"")
        assert (short / "file").read_bytes() == value.encode() + b"\n"


class TestMissingKey:
    def test_saving_a_key_that_is_not_set_is_an_error_with_similar_keys(
        self, simulator: Simulator, tmp_path: Path
    ) -> None:
        for options in ([], ["--watch"]):
            result = run("config", "save", "user.rol", tmp_path / "file", *options, socket=simulator.path)
            assert result == Result(
                6, b"", b"devlxdctl: user.rol: not set on this instance\nhint: did you mean user.role?\n"
            )
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("options", [[], ["--watch"], ["--optional", "--watch"]])
    def test_saving_a_key_that_guests_cannot_read_is_permission_denied(
        self, options: list[str], simulator: Simulator, tmp_path: Path
    ) -> None:
        result = run("config", "save", "limits.cpu", tmp_path / "file", *options, socket=simulator.path)
        assert (result.status, result.stdout) == (4, b"")
        assert result.stderr.endswith(
            b"devlxdctl: limits.cpu: permission denied\n"
            b"hint: guests can read user.* and cloud-init.* keys only\n"
        )

    def test_optional_leaves_the_file_unchanged_if_the_key_is_not_set(
        self, simulator: Simulator, tmp_path: Path
    ) -> None:
        command: Argv = ["config", "save", "user.nope", tmp_path / "file", "--optional", "-f", "json"]
        unchanged = Result(0, b'{"path":"%b/file","changed":false}\n' % bytes(tmp_path), b"")
        assert run(*command, socket=simulator.path) == unchanged
        assert list(tmp_path.iterdir()) == []
        (tmp_path / "file").write_bytes(b"old")
        assert run(*command, socket=simulator.path) == unchanged
        assert (tmp_path / "file").read_bytes() == b"old"

    def test_remove_option_removes_the_file_and_runs_the_command(
        self, simulator: Simulator, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_bytes(b"old")
        command: Argv = [
            "config",
            "save",
            "user.nope",
            tmp_path / "file",
            "--optional",
            "--remove",
            "--",
            "echo",
            "run",
        ]
        for stdout in (b"run\n", b""):
            assert run(*command, socket=simulator.path, env={"PATH": os.defpath}) == Result(0, stdout, b"")
            assert list(tmp_path.iterdir()) == []


class TestCheck:
    @pytest.mark.parametrize("check", ["grep -q new", "grep -q new {}", "sh -c 'grep -q new \"$1\"' sh '{}'"])
    def test_check_command_gets_the_path_of_the_new_file(
        self, check: str, simulator: Simulator, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"old")
        command: Argv = ["config", "save", "user.key", file, "--check", check]
        for value, status, content in (("new", 0, b"new\n"), ("other", 8, b"new\n")):
            simulator.set({"user.key": value})
            assert run(*command, socket=simulator.path, env={"PATH": os.defpath}).status == status
            assert file.read_bytes() == content
        assert list(tmp_path.iterdir()) == [file]

    @pytest.mark.parametrize(
        ("check", "problem"),
        [
            ("false", "false ended with exit status 1"),
            ("sh -c 'kill -KILL $$'", "sh ended with signal 9"),
            ("nope", "nope: no such file or directory"),
            ("/", "/: permission denied"),
        ],
    )
    def test_check_that_fails_keeps_the_old_file(
        self, check: str, problem: str, simulator: Simulator, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"old")
        command: Argv = ["config", "save", "user.role", file, "--check", check, "--", "echo", "run"]
        result = run(*command, socket=simulator.path, env={"PATH": os.defpath})
        assert result == Result(8, b"", f"devlxdctl: {file}: check failed: {problem}\n".encode())
        assert file.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [file]

    def test_check_command_writes_to_stderr_and_does_not_get_the_token(
        self, simulator: Simulator, tmp_path: Path
    ) -> None:
        check = "sh -c 'echo out; echo ${DEVLXD_BEARER_TOKEN-none} >&2; cat'"
        result = run(
            *("config", "save", "user.role", tmp_path / "file", "--check", check),
            socket=simulator.path,
            env={"PATH": os.defpath, "DEVLXD_BEARER_TOKEN": "secret"},
            stdin=b"not for the check",
        )
        assert (result.status, result.stdout) == (0, b"")
        assert result.stderr.endswith(b"out\nnone\n")


class TestCommand:
    def test_command_runs_only_after_a_change_and_without_the_token(
        self, simulator: Simulator, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        code = 'cat "$1"; cat; echo ${DEVLXD_BEARER_TOKEN-none} ${DEVLXD_KEY-none}'
        command: Argv = ["config", "save", "user.role", file, "--", "sh", "-c", code, "sh", file]
        env = {"PATH": os.defpath, "DEVLXD_BEARER_TOKEN": "secret", "DEVLXD_KEY": "of another command"}
        for stdout in (b"web\nnone none\n", b""):
            result = run(*command, socket=simulator.path, env=env, stdin=b"not for the command")
            assert (result.status, result.stdout) == (0, stdout)

    @pytest.mark.parametrize(
        ("command", "status", "problem"),
        [
            (["sh", "-c", "exit 3"], 3, "{file}: sh failed with exit status 3"),
            (["sh", "-c", "kill -TERM $$"], 143, "{file}: sh failed with signal 15"),
            (["nope"], 127, "nope: no such file or directory"),
            (["/"], 126, "/: permission denied"),
        ],
    )
    def test_config_save_exits_with_the_status_of_its_command(
        self, command: list[str], status: int, problem: str, simulator: Simulator, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        argv: Argv = ["config", "save", "user.role", file, "-f", "json", "--", *command]
        result = run(*argv, socket=simulator.path, env={"PATH": os.defpath})
        assert result == Result(status, b"", f"devlxdctl: {problem.format(file=file)}\n".encode())
        assert file.read_bytes() == b"web\n"


class TestWatch:
    def test_watched_file_follows_the_key(self, simulator: Simulator, jobs: Jobs, tmp_path: Path) -> None:
        file = tmp_path / "file"
        job = jobs.start("config", "save", "user.role", file, "--watch", "-f", "json", "--", "cat", file)
        wait_for_content(file, b"web\n")
        simulator.set({"user.role": "db", "user.other": "x"})
        wait_for_content(file, b"db\n")
        simulator.set({"user.role": "cache"})
        line = b'{"path":"%b","changed":true}\n' % bytes(file)
        job.wait_for(b"cache\n" + line)
        assert job.stdout() == b"web\n" + line + b"db\n" + line + b"cache\n" + line
        job.kill(signal.SIGTERM)
        assert (job.wait(LIMIT), job.stderr()) == (-signal.SIGTERM, b"")
        assert list(tmp_path.iterdir()) == [file]

    def test_watch_does_not_run_the_command_for_equal_content_at_the_start(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"web\n")
        before = file.lstat()
        job = jobs.start("config", "save", "user.role", file, "--watch", "-f", "json", "--", "echo", "run")
        job.wait_for(b'"changed":false')
        assert file.lstat().st_ino == before.st_ino
        simulator.set({"user.role": "db"})
        job.wait_for(b'"changed":true')
        assert job.stdout().count(b"run\n") == 1

    def test_watch_with_optional_waits_for_the_key(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        job = jobs.start("config", "save", "user.new", file, "--watch", "--optional", "-f", "json")
        job.wait_for(b'"changed":false')
        assert not file.exists()
        simulator.set({"user.new": "1"})
        wait_for_content(file, b"1\n")
        simulator.unset("user.new")
        simulator.set({"user.new": "2"})
        wait_for_content(file, b"2\n")

    def test_watch_with_remove_removes_the_file_while_the_key_is_not_set(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"old")
        jobs.start("config", "save", "user.new", file, "--watch", "--optional", "--remove")
        wait_for_content(file, None)
        simulator.set({"user.new": "1"})
        wait_for_content(file, b"1\n")
        simulator.unset("user.new")
        wait_for_content(file, None)

    def test_watch_reports_a_key_that_is_unset_and_keeps_the_file(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        job = jobs.start("config", "save", "user.role", file, "--watch")
        wait_for_content(file, b"web\n")
        simulator.unset("user.role")
        text = f"devlxdctl: user.role: not set on this instance; {file} is left as it is\n".encode()
        job.wait_for(text, stderr=True)
        assert file.read_bytes() == b"web\n"
        simulator.set({"user.role": "db"})
        wait_for_content(file, b"db\n")
        assert job.stderr() == text

    def test_watch_reports_a_check_that_fails_and_tries_the_next_change(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"old")
        job = jobs.start("config", "save", "user.role", file, "--watch", "--check", "grep -q db")
        text = f"devlxdctl: {file}: check failed: grep ended with exit status 1\n".encode()
        job.wait_for(text, stderr=True)
        assert file.read_bytes() == b"old"
        simulator.set({"user.role": "db"})
        wait_for_content(file, b"db\n")
        simulator.set({"user.role": "cache"})
        job.wait_for(text * 2, stderr=True)
        assert file.read_bytes() == b"db\n"

    def test_changes_during_the_command_cause_one_run_with_the_last_value(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file, fifo = tmp_path / "file", tmp_path / "fifo"
        os.mkfifo(fifo)
        hook = script(tmp_path / "hook", f'cat {file}; [ "$(cat {file})" != web ] || cat {fifo}')
        job = jobs.start("config", "save", "user.role", file, "--watch", "--", hook)
        job.wait_for(b"web\n")
        for number in range(50):
            simulator.set({"user.role": str(number)})
        fifo.write_text("")
        job.wait_for(b"49\n")
        simulator.set({"user.role": "last"})
        job.wait_for(b"last\n")
        assert job.stdout() == b"web\n49\nlast\n"

    @pytest.mark.parametrize(
        ("hook", "problem"),
        [
            ("exit 3", "{file}: {hook} failed with exit status 3\n"),
            ("kill -KILL $$", "{file}: {hook} failed with signal 9\n"),
            (None, "{hook}: no such file or directory\n"),
        ],
    )
    def test_watch_continues_after_a_command_that_fails(
        self, hook: str | None, problem: str, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file, path = tmp_path / "file", str(tmp_path / "hook")
        if hook is not None:
            script(tmp_path / "hook", hook)
        job = jobs.start("config", "save", "user.role", file, "--watch", "--", path)
        line = f"devlxdctl: {problem.format(file=file, hook=path)}".encode()
        job.wait_for(line, stderr=True)
        simulator.set({"user.role": "db"})
        job.wait_for(line * 2, stderr=True)
        assert file.read_bytes() == b"db\n"

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_signal_ends_watch_while_its_command_hangs(
        self, number: signal.Signals, jobs: Jobs, tmp_path: Path
    ) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        hook = script(tmp_path / "hook", f"echo started; exec cat {fifo}")
        job = jobs.start("config", "save", "user.role", tmp_path / "file", "--watch", "--", hook)
        job.wait_for(b"started\n")
        job.kill(number)
        assert (job.wait(LIMIT), job.stderr()) == (-number, b"")
        fifo.write_text("")  # the command lives on

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_signal_during_the_check_removes_the_temporary_file(
        self, number: signal.Signals, jobs: Jobs, tmp_path: Path
    ) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        directory = tmp_path / "d"
        directory.mkdir()
        hook = script(tmp_path / "hook", f"echo started >&2; exec cat {fifo}")
        job = jobs.start("config", "save", "user.role", directory / "file", "--watch", "--check", hook)
        job.wait_for(b"started\n", stderr=True)
        assert len(list(directory.iterdir())) == 1
        job.kill(number)
        assert job.wait(LIMIT) == -number
        assert list(directory.iterdir()) == []

    def test_watched_file_is_written_again_when_its_directory_exists_again(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        directory = tmp_path / "d"
        directory.mkdir()
        job = jobs.start("config", "save", "user.role", directory / "file", "--watch")
        wait_for_content(directory / "file", b"web\n")
        directory.rename(tmp_path / "other")
        simulator.set({"user.role": "db"})
        line = f"{directory}/file: no such file or directory; {directory}/file is left as it is\n"
        job.wait_for(line.encode(), stderr=True)
        (tmp_path / "other").rename(directory)
        simulator.set({"user.role": "cache"})
        wait_for_content(directory / "file", b"cache\n")

    def test_two_watches_of_one_key_can_write_the_same_file(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        directory = tmp_path / "d"
        directory.mkdir()
        file = directory / "file"
        both = [
            jobs.start("config", "save", "user.role", file, "--watch", "--", "cat", file) for _ in range(2)
        ]
        wait_for_content(file, b"web\n")
        wait_until("both listen", lambda: simulator.show()["listeners"] == 2)
        for number in range(20):
            simulator.set({"user.role": f"{number:03d}"})
            wait_for_content(file, b"%03d\n" % number)
        wait_until("one command has the last value", lambda: any(b"019\n" in job.stdout() for job in both))
        for job in both:
            job.kill(signal.SIGTERM)
            assert (job.wait(LIMIT), job.stderr()) == (-signal.SIGTERM, b"")
            printed = [line for line in job.stdout().split() if line != b"web"]
            assert printed == sorted(printed)
        assert list(directory.iterdir()) == [file]

    def test_two_watches_of_different_keys_leave_one_complete_content_in_the_same_file(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        directory = tmp_path / "d"
        directory.mkdir()
        file = directory / "file"
        simulator.set({"user.a": "a" * 50_000, "user.b": "b" * 50_000})
        both = [jobs.start("config", "save", f"user.{key}", file, "--watch", "-f", "json") for key in "ab"]
        for job in both:
            job.wait_for(b"changed", LIMIT)
        for number in range(20):
            simulator.set({"user.a": f"a{number:09d}" * 5000, "user.b": f"b{number:09d}" * 5000})
            wanted = {f"{key}{number:09d}".encode() * 5000 + b"\n" for key in "ab"}
            wait_until("one of both", lambda wanted=wanted: file.read_bytes() in wanted)  # type: ignore[misc]
        for job in both:
            job.kill(signal.SIGTERM)
            assert (job.wait(LIMIT), job.stderr()) == (-signal.SIGTERM, b"")
        assert list(directory.iterdir()) == [file]


class TestHost:
    def test_saved_file_gets_a_change_made_while_the_host_restarts(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        job = jobs.start("config", "save", "user.role", file, "--watch", "--", "cat", file)
        job.wait_for(b"web\n")
        for number in range(3):
            restart_with_change(simulator, {"user.role": str(number)})
            wait_for_content(file, b"%d\n" % number)
        job.wait_for(b"2\n")
        assert job.stdout() == b"web\n0\n1\n2\n"

    def test_saved_file_gets_a_change_made_while_the_api_is_switched_off(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        job = jobs.start("config", "save", "user.role", file, "--watch", "--", "cat", file)
        job.wait_for(b"web\n")
        for number in range(3):
            simulator.switch(False)
            simulator.set({"user.role": str(number)})
            simulator.switch(True)
            wait_for_content(file, b"%d\n" % number)
        job.wait_for(b"2\n")
        assert job.stdout() == b"web\n0\n1\n2\n"

    @pytest.mark.parametrize("trouble", ["restart", "switched off"])
    def test_check_and_command_run_while_the_host_is_unavailable(
        self, trouble: str, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        fifos = [tmp_path / "check", tmp_path / "command"]
        for fifo in fifos:
            os.mkfifo(fifo)
        hooks = [script(tmp_path / f"{fifo.name}.sh", f"cat {fifo} >/dev/null") for fifo in fifos]
        jobs.start("config", "save", "user.role", file, "--watch", "--check", hooks[0], "--", hooks[1])
        for value in ("db", "cache"):
            for fifo in fifos:
                with fifo.open("w"):
                    if trouble == "restart":
                        simulator.restart(0.1)
                    else:
                        simulator.switch(False)
                    if fifo is fifos[1]:
                        simulator.set({"user.role": value})
                    if trouble != "restart":
                        simulator.switch(True)
        for fifo in fifos:  # also the last command, which would wait for ever
            with fifo.open("w"):
                pass
        wait_for_content(file, b"cache\n")

    def test_config_save_without_a_socket_fails_at_once(self, short: Path, tmp_path: Path) -> None:
        for options in ([], ["--watch"]):
            result = run("config", "save", "user.role", tmp_path / "file", *options, socket=short / "nope")
            assert (result.status, result.stdout) == (5, b"")
        assert list(tmp_path.iterdir()) == []
