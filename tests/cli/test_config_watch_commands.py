"""`config watch … -- CMD`: commands that run for changes, and the options that choose the changes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.config.jobs import LIMIT, Jobs, wait_until
from tests.support.program import Result, failure, run


class TestPerChange:
    def test_command_of_config_watch_gets_the_change(self, simulator: Simulator, jobs: Jobs) -> None:
        variables = "$DEVLXD_ACTION $DEVLXD_KEY ${DEVLXD_VALUE-unset} ${DEVLXD_OLD_VALUE-unset}"
        code = f'echo "{variables} ${{DEVLXD_BEARER_TOKEN-unset}} $1"; cat; echo .'
        argv = ["config", "watch", "user.role", "--count", "2", "--", "sh", "-c", code, "sh", "a  b"]
        job = jobs.start(*argv, DEVLXD_BEARER_TOKEN="secret", DEVLXD_OLD_VALUE="of another command")
        job.wait_for(b".\n")
        simulator.set({"user.role": "db"})
        job.wait_for(b"db.\n")
        simulator.unset("user.role")
        assert (job.wait(LIMIT), job.stderr()) == (0, b"")
        assert job.stdout().decode() == (
            "initial\tuser.role\tweb\t\ninitial user.role web unset unset a  b\nweb.\n"
            "changed\tuser.role\tdb\tweb\nchanged user.role db web unset a  b\ndb.\n"
            "removed\tuser.role\t\tdb\nremoved user.role unset db unset a  b\n.\n"
        )

    def test_changes_during_a_command_become_one_with_the_last_value(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        code = f'[ "$DEVLXD_ACTION" != initial ] || cat {fifo}'
        job = jobs.start("config", "watch", "user.r*", "--count", "2", "--", "sh", "-c", code)
        job.wait_for(b"initial")
        for number in range(50):
            simulator.set({"user.role": str(number), "user.r2": str(number)})
        fifo.write_text("")
        assert job.wait(LIMIT) == 0
        lines = job.stdout().decode().splitlines()
        assert [lines[0], *sorted(lines[1:])] == [
            "initial\tuser.role\tweb\t",
            "added\tuser.r2\t49\t",
            "changed\tuser.role\t49\tweb",
        ]

    @pytest.mark.parametrize(
        ("command", "problem"),
        [
            (["sh", "-c", "exit 3"], "user.role: sh failed with exit status 3"),
            (["sh", "-c", "kill -KILL $$"], "user.role: sh failed with signal 9"),
            (["nope"], "nope: no such file or directory"),
            (["/"], "/: permission denied"),
        ],
    )
    def test_config_watch_continues_after_a_command_that_fails(
        self, command: list[str], problem: str, simulator: Simulator, jobs: Jobs
    ) -> None:
        job = jobs.start("config", "watch", "user.role", "--count", "1", "--", *command)
        line = f"devlxdctl: {problem}\n".encode()
        job.wait_for(line, stderr=True)
        simulator.set({"user.role": "db"})
        assert job.wait(LIMIT) == 0
        assert job.stderr() == line * 2

    def test_values_that_no_environment_can_have_are_on_stdin(self, simulator: Simulator, jobs: Jobs) -> None:
        simulator.set({"user.role": "x" * 500_000})
        code = "wc -c; echo ${DEVLXD_VALUE-unset} $DEVLXD_KEY"
        job = jobs.start("config", "watch", "user.role", "-q", "--", "sh", "-c", code)
        assert job.wait_for(b"unset user.role").split() == [b"500000", b"unset", b"user.role"]

    def test_signal_ends_config_watch_while_its_command_runs(self, jobs: Jobs) -> None:
        job = jobs.start("config", "watch", "user.role", "--", "sh", "-c", "kill -TERM $PPID")
        assert job.wait(LIMIT) == -signal.SIGTERM


class TestBatch:
    def test_batch_runs_the_command_once_for_an_update_with_its_changes_as_json_lines(
        self, simulator: Simulator, jobs: Jobs
    ) -> None:
        variables = "${DEVLXD_KEY-unset} ${DEVLXD_ACTION-unset} ${DEVLXD_BEARER_TOKEN-unset}"
        code = f"echo run {variables}; cat; echo end"
        argv = ["config", "watch", "user.[prx]*", "--batch", "-q", "--count", "3"]
        env = {"DEVLXD_BEARER_TOKEN": "secret"}
        job = jobs.start(*argv, "--", "sh", "-c", code, **env)
        job.wait_for(b"end\n")
        simulator.set({"user.role": "db", "user.port": "", "user.x": "a\nb", "user.other": "1"})
        assert (job.wait(LIMIT), job.stderr()) == (0, b"")
        first, second = job.stdout().decode().split("end\n")[:2]
        assert sorted(first.splitlines()) == [
            "run unset unset unset",
            '{"key":"user.port","value":"8080","old_value":null,"action":"initial"}',
            '{"key":"user.role","value":"web","old_value":null,"action":"initial"}',
        ]
        assert sorted(second.splitlines()) == [
            "run unset unset unset",
            '{"key":"user.port","value":null,"old_value":"8080","action":"removed"}',
            '{"key":"user.role","value":"db","old_value":"web","action":"changed"}',
            '{"key":"user.x","value":"a\\nb","old_value":null,"action":"added"}',
        ]

    def test_batch_prints_the_same_changes_as_config_watch_without_it(
        self, simulator: Simulator, jobs: Jobs
    ) -> None:
        job = jobs.start("config", "watch", "user.role", "--batch", "--count", "1", "--", "true")
        job.wait_for(b"initial")
        simulator.set({"user.role": "db"})
        assert job.wait(LIMIT) == 0
        assert job.stdout() == b"initial\tuser.role\tweb\t\nchanged\tuser.role\tdb\tweb\n"

    def test_changes_during_a_batch_command_cause_one_run(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        code = f'n=$(grep -c .); echo "run $n"; [ "$n" != 1 ] || cat {fifo}'
        argv = ["config", "watch", "user.role", "user.r2", "user.r3", "--batch", "-q", "--count", "3"]
        job = jobs.start(*argv, "--", "sh", "-c", code)
        job.wait_for(b"run 1\n")
        for number in range(20):
            simulator.set({"user.role": str(number), "user.r2": str(number)})
        simulator.set({"user.r3": "x"})
        fifo.write_text("")
        assert job.wait(LIMIT) == 0
        assert job.stdout() == b"run 1\nrun 3\n"

    @pytest.mark.parametrize(("argv", "line"), [([], "user.port and 1 more"), (["user.role"], "user.role")])
    def test_batch_command_that_fails_is_reported(self, argv: list[str], line: str, jobs: Jobs) -> None:
        patterns = argv or ["user.role", "user.port"]
        job = jobs.start("config", "watch", *patterns, "--batch", "-q", "--", "sh", "-c", "exit 3")
        error = f"devlxdctl: {line}: sh failed with exit status 3\n".encode()
        job.wait_for(b"\n", stderr=True)
        assert job.stderr() == error

    def test_batch_without_a_command_is_a_usage_error(self, simulator: Simulator) -> None:
        expected = failure(
            2, "config watch: --batch needs -- CMD", "see the help: devlxdctl config watch --help"
        )
        assert run("config", "watch", "--batch", socket=simulator.path) == expected
        assert simulator.requests == []


class TestChangesOnly:
    @pytest.mark.parametrize("options", [[], ["--batch"]])
    def test_changes_only_omits_initial_values_from_output_and_command(
        self, options: list[str], simulator: Simulator, jobs: Jobs
    ) -> None:
        argv = ["config", "watch", "user.role", "--changes-only", "--count", "1", *options]
        job = jobs.start(*argv, "--", "sh", "-c", "echo run")
        wait_until("the values have been read", lambda: len(simulator.requests) >= 2)
        wait_until("it listens", lambda: simulator.show()["listeners"] == 1)
        simulator.set({"user.role": "db"})
        simulator.set({"user.role": "cache"})
        assert job.wait(LIMIT) == 0
        *changes, last = job.stdout().decode().splitlines()
        assert last == "run"
        # How many of the two changes are read as one, or belong to one update, depends on the time.
        expected = [["changed\tuser.role\tdb\tweb"], ["changed\tuser.role\tcache\tweb"]]
        expected += [["changed\tuser.role\tcache\tdb"]]
        if options:
            expected += [["changed\tuser.role\tdb\tweb", "changed\tuser.role\tcache\tdb"]]
        assert changes in expected

    def test_quiet_config_watch_prints_nothing_and_counts_changes(
        self, simulator: Simulator, jobs: Jobs
    ) -> None:
        job = jobs.start("config", "watch", "user.role", "-q", "--count", "1")
        wait_until("it listens", lambda: simulator.show()["listeners"] == 1)
        wait_until("the value has been read", lambda: len(simulator.requests) >= 2)
        simulator.set({"user.role": "db"})
        simulator.set({"user.role": "cache"})
        assert (job.wait(LIMIT), job.stdout(), job.stderr()) == (0, b"", b"")


def test_config_watch_has_no_option_exec(simulator: Simulator) -> None:
    result = run("config", "watch", "--exec", "true", socket=simulator.path)
    assert (result.status, result.stdout) == (2, b"")


class TestWritingVerbs:
    """Commands that only the host has print a hint with the command for the host."""

    @pytest.mark.parametrize(
        ("argv", "command"),
        [
            (["set", "user.role", "db"], "lxc config set INSTANCE user.role db"),
            (["set", "user.role=a b", "user.x=$y"], "lxc config set INSTANCE 'user.role=a b' 'user.x=$y'"),
            (["set"], "lxc config set INSTANCE KEY VALUE"),
            (["unset", "user.role"], "lxc config unset INSTANCE user.role"),
            (["unset"], "lxc config unset INSTANCE KEY"),
            (["rm", "user.role"], "lxc config unset INSTANCE user.role"),
            (["delete", "user.role"], "lxc config unset INSTANCE user.role"),
            (["edit"], "lxc config edit INSTANCE"),
            (["edit", "x"], "lxc config edit INSTANCE"),
        ],
    )
    def test_writing_config_is_a_usage_error_with_the_command_for_the_host(
        self, argv: list[str], command: str, simulator: Simulator
    ) -> None:
        error = f"devlxdctl: config: guests can only read config keys\nhint: on the host: {command}\n"
        assert run("config", *argv, socket=simulator.path) == Result(2, b"", error.encode())
        assert simulator.requests == []

    def test_writing_config_on_incus_has_the_command_of_incus_as_hint(self, short: Path) -> None:
        (short / "incus").mkdir()
        for argv in (["--socket", f"{short}/incus/sock", "config", "set", "user.role", "db"],):
            result = run(*argv)
            assert result.stderr.endswith(b"hint: on the host: incus config set INSTANCE user.role db\n")

    @pytest.mark.parametrize("option", ["--help", "-h", "-x"])
    def test_writing_config_with_options_is_the_same_usage_error(
        self, option: str, simulator: Simulator
    ) -> None:
        result = run("config", "set", option, socket=simulator.path)
        assert (result.status, result.stdout) == (2, b"")
        assert b"guests can only read config keys" in result.stderr
