"""`config run --watch`: a command that is restarted, or gets a signal, when its keys change."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.config.jobs import LIMIT, Jobs, restart_with_change
from tests.hosts.jobs import Job
from tests.support.program import PROGRAM, Result, run
from tests.support.terminal import Terminal

ROLE = "echo role $USER_ROLE; exec sleep 1000"
"""A command that prints its value, and then waits."""


def start(
    jobs: Jobs, code: str, *options: str, patterns: tuple[str, ...] = ("user.role",), **env: str
) -> Job:
    """Start `config run --watch` with a shell that runs `code`."""
    return jobs.start("config", "run", *patterns, "--watch", *options, "--", "sh", "-c", code, **env)


def end(job: Job, number: signal.Signals = signal.SIGTERM) -> None:
    """End the program and its command with a signal, and check that nothing was reported."""
    job.kill(number)
    assert (job.wait(LIMIT), job.stderr()) == (-number, b"")


class TestRestart:
    def test_restarted_command_gets_the_new_value(self, simulator: Simulator, jobs: Jobs) -> None:
        job = start(jobs, ROLE)
        job.wait_for(b"role web\n")
        simulator.set({"user.role": "db"})
        job.wait_for(b"role db\n")
        simulator.set({"user.role": "cache"})
        job.wait_for(b"role cache\n")
        end(job)
        assert job.stdout() == b"role web\nrole db\nrole cache\n"

    def test_update_of_many_keys_restarts_the_command_once(self, simulator: Simulator, jobs: Jobs) -> None:
        names = [f"user.app.k{number:02d}" for number in range(30)]
        job = start(jobs, "env | grep -c ^USER_APP; exec sleep 1000", patterns=("user.app.*", "user.role"))
        job.wait_for(b"0\n")
        for value, printed in (("1", b"30\n"), ("", b"0\n"), ("2", b"30\n")):
            before = job.stdout()
            simulator.set(dict.fromkeys(names, value))
            job.wait_for(before + printed)
        end(job)
        assert job.stdout() == b"0\n30\n0\n30\n"

    def test_change_of_another_key_does_not_restart_the_command(
        self, simulator: Simulator, jobs: Jobs
    ) -> None:
        job = start(jobs, ROLE)
        job.wait_for(b"role web\n")
        simulator.set({"user.other": "x"})
        simulator.restart(0.1)
        simulator.set({"user.role": "db"})
        job.wait_for(b"role db\n")
        assert job.stdout() == b"role web\nrole db\n"

    def test_change_while_the_command_is_being_stopped_is_not_lost(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        trap = f"trap '[ $USER_ROLE != web ] || cat {fifo}; exit' TERM"
        job = start(jobs, f"{trap}; echo role $USER_ROLE; sleep 1000 & wait")
        job.wait_for(b"role web\n")
        simulator.set({"user.role": "1"})
        with fifo.open("w"):  # TERM has arrived
            for number in range(20):
                simulator.set({"user.role": str(number)})
        job.wait_for(b"role 19\n")
        assert job.stdout().count(b"role") <= 4

    def test_command_that_ignores_term_is_killed(self, simulator: Simulator, jobs: Jobs) -> None:
        job = start(jobs, "trap '' TERM; echo role $USER_ROLE; sleep 1000; sleep 1000", "--kill-after", "0.2")
        job.wait_for(b"role web\n")
        simulator.set({"user.role": "db"})
        job.wait_for(b"role db\n")

    @pytest.mark.parametrize("trap", ["", "trap '' TERM; "])
    def test_processes_of_the_group_are_stopped_before_the_command_starts_again(
        self, trap: str, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        """The shell itself ends at once. What it has started would keep its port, or here, its lock."""
        lock = tmp_path / "lock"
        program = (
            f"flock -n {lock} sh -c '{trap}echo locked $USER_ROLE; while :; do sleep 0.1; done' || echo busy"
        )
        job = start(jobs, f"{program}; exit", "--kill-after", "1")
        job.wait_for(b"locked web\n")
        for value in ("1", "2"):
            simulator.set({"user.role": value})
            job.wait_for(f"locked {value}\n".encode())
        assert job.stdout() == b"locked web\nlocked 1\nlocked 2\n"

    def test_command_stopped_by_a_signal_is_restarted(self, simulator: Simulator, jobs: Jobs) -> None:
        job = start(jobs, "echo role $USER_ROLE; kill -STOP $$; exec sleep 1000")
        job.wait_for(b"role web\n")
        simulator.set({"user.role": "db"})
        job.wait_for(b"role db\n")


class TestSignalOption:
    def test_signal_option_signals_the_command_instead_of_restarting_it(
        self, simulator: Simulator, jobs: Jobs
    ) -> None:
        code = "trap 'echo hup' HUP; echo role $USER_ROLE; while :; do sleep 0.05; done"
        for name in ("HUP", "SIGHUP", "hup", "1"):
            job = start(jobs, code, "--signal", name)
            job.wait_for(b"role web\n")
            simulator.set({"user.role": f"db{name}"})
            job.wait_for(b"hup\n")
            end(job)
            assert job.stdout() == b"role web\nhup\n"
            simulator.set({"user.role": "web"})

    @pytest.mark.parametrize("name", ["", "nope", "0", "65", "SIG", "-1"])
    def test_signal_option_with_an_unknown_signal_is_a_usage_error(
        self, name: str, simulator: Simulator
    ) -> None:
        result = run("config", "run", "--watch", "--signal", name, "--", "true", socket=simulator.path)
        assert (result.status, result.stdout) == (2, b"")
        assert f"'--signal': {name!r} is not a signal, such as HUP".encode() in result.stderr

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            (["--signal", "HUP"], b"--signal needs --watch\n"),
            (["--kill-after", "1"], b"--kill-after needs --watch\n"),
            (
                ["--watch", "--signal", "HUP", "--kill-after", "1"],
                b"--kill-after cannot be combined with --signal\n",
            ),
        ],
    )
    def test_options_of_config_run_that_contradict_are_usage_errors(
        self, options: list[str], problem: bytes, simulator: Simulator
    ) -> None:
        result = run("config", "run", *options, "--", "true", socket=simulator.path)
        assert (result.status, result.stdout) == (2, b"")
        assert problem in result.stderr
        assert simulator.requests == []


class TestEnd:
    @pytest.mark.parametrize(
        ("code", "status"),
        [
            ("exit 0", 0),
            ("exit 3", 3),
            ("kill -TERM $$", -signal.SIGTERM),
            ("kill -KILL $$", -signal.SIGKILL),
            ("kill -SEGV $$", -signal.SIGSEGV),
            ("kill -USR1 $$", -signal.SIGUSR1),
        ],
    )
    def test_config_run_watch_ends_as_its_command_does(self, code: str, status: int, jobs: Jobs) -> None:
        job = start(jobs, code)
        assert (job.wait(LIMIT), job.stdout(), job.stderr()) == (status, b"", b"")

    @pytest.mark.parametrize(
        ("command", "status", "problem"),
        [
            ("nope", 127, "no such file or directory"),
            ("/nope", 127, "no such file or directory"),
            ("/", 126, "permission denied"),
            ("/etc/passwd", 126, "permission denied"),
        ],
    )
    def test_command_that_cannot_be_started_exits_126_or_127(
        self, command: str, status: int, problem: str, simulator: Simulator
    ) -> None:
        for watch in ([], ["--watch"]):
            argv = ["config", "run", "user.role", *watch, "--", command]
            result = run(*argv, socket=simulator.path, env={"PATH": os.defpath})
            assert result == Result(status, b"", f"devlxdctl: {command}: {problem}\n".encode())

    def test_command_that_was_deleted_ends_config_run_watch_at_the_next_change(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        program = tmp_path / "program"
        program.write_text("#!/bin/sh\necho started\nexec sleep 1000\n")
        program.chmod(0o755)
        job = jobs.start("config", "run", "user.role", "--watch", "--", program)
        job.wait_for(b"started\n")
        program.unlink()
        simulator.set({"user.role": "db"})
        assert job.wait(LIMIT) == 127
        assert job.stderr() == f"devlxdctl: {program}: no such file or directory\n".encode()

    def test_command_that_ends_by_itself_is_not_started_again(
        self, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        """Not even if a key changes at the same time."""
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        job = start(jobs, f"echo role $USER_ROLE; trap '' TERM; cat {fifo}; exit 5")
        job.wait_for(b"role web\n")
        job.kill(signal.SIGSTOP)
        fifo.write_text("")
        simulator.set({"user.role": "db"})
        job.kill(signal.SIGCONT)
        assert (job.wait(LIMIT), job.stdout(), job.stderr()) == (5, b"role web\n", b"")


class TestPassedSignals:
    @pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"])
    def test_signals_are_passed_on_once_and_the_exit_status_is_that_of_the_command(
        self, name: str, jobs: Jobs
    ) -> None:
        trap = f"exec 2>/dev/null; trap 'echo {name}; n=1' {name}"  # the shell reports that its child ended
        job = start(jobs, f"{trap}; echo ready; until [ $n ]; do sleep 0.05; done; exit 7")
        job.wait_for(b"ready\n")
        job.kill(signal.Signals[f"SIG{name}"])
        assert (job.wait(LIMIT), job.stdout(), job.stderr()) == (7, f"ready\n{name}\n".encode(), b"")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_config_run_watch_ends_by_the_signal_that_ends_its_command(
        self, number: signal.Signals, jobs: Jobs
    ) -> None:
        job = start(jobs, "echo ready; exec sleep 1000")
        job.wait_for(b"ready\n")
        end(job, number)

    @pytest.mark.parametrize("name", ["INT", "TERM"])
    def test_signal_while_the_command_is_stopped_for_a_restart_ends_both(
        self, name: str, simulator: Simulator, jobs: Jobs, tmp_path: Path
    ) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        code = (
            "import signal, sys\n"
            "for number in (signal.SIGTERM, signal.SIGINT):\n"
            "    signal.signal(number, lambda n, frame: print(signal.Signals(n).name, flush=True))\n"
            "print('ready', flush=True)\n"
            f"open({str(fifo)!r}).read()\n"
            "sys.exit(4)"
        )
        job = jobs.start("config", "run", "user.role", "--watch", "--", sys.executable, "-S", "-c", code)
        job.wait_for(b"ready\n")
        simulator.set({"user.role": "db"})
        job.wait_for(b"SIGTERM\n")
        job.kill(signal.Signals[f"SIG{name}"])
        job.wait_for(f"SIGTERM\nSIG{name}\n".encode())
        fifo.write_text("")
        assert (job.wait(LIMIT), job.stderr()) == (4, b"")
        assert job.stdout() == f"ready\nSIGTERM\nSIG{name}\n".encode()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_signal_before_the_command_is_started_ends_config_run_watch(
        self, number: signal.Signals, simulator: Simulator, jobs: Jobs
    ) -> None:
        simulator.switch(False)
        job = jobs.start("config", "run", "--watch", "--wait", "1000", "-v", "--", "echo", "started")
        job.wait_for(b"retry in", stderr=True)
        job.kill(number)
        assert (job.wait(LIMIT), job.stdout()) == (-number, b"")

    def test_ignored_signal_stays_ignored_by_config_run_watch(self, simulator: Simulator, jobs: Jobs) -> None:
        code = "echo ready; read line </dev/zero; sleep 1000"
        argv = ["config", "run", "user.role", "--watch", "--", "sh", "-c", code]
        job = jobs.start_program("nohup", PROGRAM, *argv)
        job.wait_for(b"ready\n")
        job.kill(signal.SIGHUP)
        simulator.set({"user.role": "db"})
        job.wait_for(b"ready\nready\n")
        job.kill(signal.SIGTERM)
        assert job.wait(LIMIT) == -signal.SIGTERM

    def test_watched_command_has_no_blocked_or_ignored_signals_and_no_token(self, jobs: Jobs) -> None:
        code = "grep -E 'Sig(Blk|Ign)' /proc/self/status; echo ${DEVLXD_BEARER_TOKEN-none} $USER_ROLE"
        job = start(jobs, code, DEVLXD_BEARER_TOKEN="secret")
        assert job.wait(LIMIT) == 0
        # posix_spawn of glibc ignores 32 and 33, which glibc keeps for itself.
        printed = job.stdout().decode().replace("0000000180000000", "0" * 16)
        assert printed.split() == ["SigBlk:", "0" * 16, "SigIgn:", "0" * 16, "none", "web"]

    def test_watched_command_has_the_standard_streams_of_config_run(self, simulator: Simulator) -> None:
        argv = ["config", "run", "user.role", "--watch", "--", "sh", "-c", "cat; echo error >&2"]
        env = {"PATH": os.defpath}
        assert run(*argv, socket=simulator.path, stdin=b"in", env=env) == Result(0, b"in", b"error\n")


class TestKeys:
    def test_config_run_watch_without_a_named_key_is_an_error(self, simulator: Simulator) -> None:
        result = run("config", "run", "user.rol", "--watch", "--", "echo", "run", socket=simulator.path)
        error = b"devlxdctl: user.rol: not set on this instance\nhint: did you mean user.role?\n"
        assert result == Result(6, b"", error)

    def test_key_that_is_unset_is_reported_and_the_command_keeps_running(
        self, simulator: Simulator, jobs: Jobs
    ) -> None:
        job = start(jobs, ROLE, patterns=("user.role", "user.port"))
        job.wait_for(b"role web\n")
        simulator.set({"user.port": ""})
        job.wait_for(b"devlxdctl: user.port: not set on this instance\n", stderr=True)
        simulator.set({"user.role": "db"})
        simulator.set({"user.port": "1"})
        job.wait_for(b"role db\n")
        assert job.stdout() == b"role web\nrole db\n"

    def test_optional_keys_are_added_to_and_removed_from_the_environment(
        self, simulator: Simulator, jobs: Jobs
    ) -> None:
        code = "echo ${USER_NEW-none}; exec sleep 1000"
        job = start(jobs, code, "--optional", patterns=("user.new",))
        job.wait_for(b"none\n")
        simulator.set({"user.new": "1"})
        job.wait_for(b"1\n")
        simulator.unset("user.new")
        job.wait_for(b"none\n1\nnone\n")

    def test_value_that_no_environment_can_have_is_an_error_at_the_start(self, simulator: Simulator) -> None:
        for value, problem in (
            ("a\0b", "user.key: value contains NUL, which a variable cannot"),
            ("x" * 200_000, "USER_KEY: value is too large for an environment"),
        ):
            simulator.set({"user.key": value})
            result = run("config", "run", "user.key", "--watch", "--", "echo", "run", socket=simulator.path)
            assert result == Result(8, b"", f"devlxdctl: {problem}\n".encode())

    def test_value_that_no_environment_can_have_is_reported_later_and_the_command_keeps_running(
        self, simulator: Simulator, jobs: Jobs
    ) -> None:
        job = start(jobs, ROLE, patterns=("user.role", "user.r*"))
        job.wait_for(b"role web\n")
        simulator.set({"user.role": "x" * 200_000})
        line = b"devlxdctl: USER_ROLE: value is too large for an environment; sh keeps its values\n"
        job.wait_for(line, stderr=True)
        simulator.set({"user.role": "db"})
        job.wait_for(b"role db\n")
        many = {f"user.r{number}": "x" * 100_000 for number in range(40)}
        simulator.set(many)
        job.wait_for(b"devlxdctl: sh: the values do not fit into an environment; sh keeps its ", stderr=True)
        simulator.set({**dict.fromkeys(many, ""), "user.role": "cache"})
        job.wait_for(b"role cache\n")
        assert job.stdout() == b"role web\nrole db\nrole cache\n"

    def test_prefix_option_replaces_the_namespace_in_names(self, jobs: Jobs) -> None:
        job = start(jobs, "echo $APP_ROLE", "--prefix", "APP_")
        assert (job.wait(LIMIT), job.stdout()) == (0, b"web\n")


class TestHost:
    def test_watched_command_keeps_running_while_the_host_restarts(
        self, simulator: Simulator, jobs: Jobs
    ) -> None:
        job = start(jobs, ROLE)
        job.wait_for(b"role web\n")
        for number in range(3):
            restart_with_change(simulator, {"user.role": str(number)})
            job.wait_for(f"role {number}\n".encode(), LIMIT)
        assert job.stdout() == b"role web\nrole 0\nrole 1\nrole 2\n"

    def test_watched_command_keeps_running_while_the_api_is_switched_off(
        self, simulator: Simulator, jobs: Jobs
    ) -> None:
        job = start(jobs, ROLE)
        job.wait_for(b"role web\n")
        simulator.switch(False)
        simulator.set({"user.role": "db"})
        simulator.switch(True)
        job.wait_for(b"role db\n", LIMIT)
        assert job.stdout() == b"role web\nrole db\n"

    def test_config_run_watch_without_a_socket_fails_at_once(self, short: Path) -> None:
        assert run("config", "run", "--watch", "--", "true", socket=short / "nope").status == 5


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
class TestProcessOne:
    """As in a container that runs an application without an init."""

    def start(self, jobs: Jobs, code: str) -> Job:
        probe = subprocess.run(["unshare", "-pf", "--mount-proc", "true"], capture_output=True, check=False)
        if probe.returncode != 0:
            pytest.skip(f"no PID namespaces here: {probe.stderr.decode()}")
        unshare = ["unshare", "-pf", "--mount-proc", "--kill-child"]
        argv = ["config", "run", "user.role", "--watch", "--", "sh", "-c", code]
        return jobs.start_program(*unshare, PROGRAM, *argv)

    def test_config_run_watch_as_process_1_restarts_its_command_and_reaps_orphans(
        self, simulator: Simulator, jobs: Jobs
    ) -> None:
        orphans = "for i in 1 2 3; do sh -c 'sleep 0.1 & exit'; done"
        count = "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | grep -c ."
        report = f"{orphans}; sleep 0.5; echo zombies $({count}) parent $PPID"
        job = self.start(jobs, f"echo role $USER_ROLE; {report}; exec sleep 1000")
        job.wait_for(b"role web\nzombies 0 parent 1\n", LIMIT)
        simulator.set({"user.role": "db"})
        job.wait_for(b"role db\nzombies 0 parent 1\n", LIMIT)

    @pytest.mark.parametrize(
        ("code", "number", "status"),
        [
            ("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done", signal.SIGTERM, 7),
            ("echo ready; exec sleep 1000", signal.SIGTERM, 128 + signal.SIGTERM),
            ("echo ready; exec sleep 1000", signal.SIGINT, 128 + signal.SIGINT),
        ],
    )
    def test_config_run_watch_as_process_1_passes_signals_on(
        self, code: str, number: signal.Signals, status: int, jobs: Jobs
    ) -> None:
        job = self.start(jobs, code)
        job.wait_for(b"ready\n", LIMIT)
        (child,) = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        os.kill(int(child), number)
        assert job.wait(LIMIT) == status


def test_ctrl_c_at_a_terminal_reaches_the_watched_command_once(simulator: Simulator) -> None:
    env = {"DEVLXD_SOCKET": str(simulator.path), "PATH": os.defpath, "PS1": "ready> "}
    code = "trap 'echo got-int' INT; echo started; sleep 1; sleep 1; echo done"
    with Terminal(["bash", "--norc", "--noprofile"], env) as shell:
        shell.type(f'{PROGRAM} config run user.role --watch -- bash -c "{code}"\r')
        shell.until(rb"\r\nstarted\r\n")
        shell.type("\x03")
        printed = shell.until(rb"(.*)ready> ")[1].decode()
    assert re.sub(r"\^C|\r", "", printed).split() == ["got-int", "done"]


def test_ctrl_z_at_a_terminal_stops_config_run_watch_and_its_command(simulator: Simulator) -> None:
    env = {"DEVLXD_SOCKET": str(simulator.path), "PATH": os.defpath, "PS1": "ready> "}
    with Terminal(["bash", "--norc", "--noprofile"], env) as shell:
        shell.type(
            f"{PROGRAM} config run user.role --watch -- sh -c 'echo started; read line; echo got-$line'\r"
        )
        shell.until(rb"\r\nstarted\r\n")
        shell.type("\x1a")
        shell.until(rb"ready> ")
        shell.type("fg\r")
        shell.until(rb"config run [^\r]*\r\n")
        shell.type("word\r")
        shell.until(rb"got-word\r\n")
        shell.until(rb"ready> ")


def test_config_run_watch_needs_no_more_memory_after_many_restarts(simulator: Simulator, jobs: Jobs) -> None:
    code = "import os, time; print(os.environ['USER_ROLE'], flush=True); time.sleep(1000)"
    job = jobs.start("config", "run", "user.role", "--watch", "--", sys.executable, "-S", "-c", code)
    job.wait_for(b"web\n")

    def memory() -> int:
        status = Path(f"/proc/{job.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])

    before = 0
    for number in range(20):
        simulator.set({"user.role": f"n{number}"})
        job.wait_for(f"n{number}\n".encode(), LIMIT)
        before = memory() if number == 3 else before
    assert memory() < before + 4096
    assert len(os.listdir(f"/proc/{job.pid}/fd")) < 15
