"""`events`, `config watch`, `wait config`, `wait device`, `ready --hold` on a simulated host."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.hosts.jobs import DEFAULT_SIGNALS, Job, poll
from tests.support.program import PROGRAM, Result, run
from tests.support.raw_host import RawHost, response, websocket_accept

TIME = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"


class Programs:
    """Runs of the program in the background; whatever is left ends with the test."""

    def __init__(self, simulator: Simulator) -> None:
        self.host = host
        self.jobs: list[Job] = []

    def start(self, *argv: str, listening: bool = True, **env: str) -> Job:
        """Starts it; where it listens to events, returns when it does."""

        def gone() -> int | None:
            """How many listen, once the host has noticed the end of those that ended."""
            listeners: int = self.host.show()["listeners"]
            return listeners if listeners <= sum(job.running for job in self.jobs) else None

        before = poll("those that ended do not listen", gone, 20)
        variables = {"DEVLXD_SOCKET": str(self.host.path), "PATH": "/usr/bin:/bin", **env}
        job = Job([*DEFAULT_SIGNALS, PROGRAM, *argv], env=variables)
        self.jobs.append(job)
        if listening:
            poll("listening", lambda: self.host.show()["listeners"] > before or None, 20)
        return job


@pytest.fixture
def programs(simulator: Simulator) -> Iterator[Programs]:
    programs = Programs(simulator)
    yield programs
    for job in programs.jobs:
        job.close()


class TestEvents:
    def test_a_line_for_each(self, simulator: Simulator, programs: Programs) -> None:
        text = programs.start("events", "--count", "5")
        simulator.set({"user.role": "db\n"})
        simulator.set({"user.new": "1"})
        simulator.unset("user.new")
        simulator.device("nul", {"type": "unix-char", "path": "/dev/mynull", "source": "/dev/null"})
        simulator.remove_device("nul")
        assert (text.wait(), text.stderr()) == (0, b"")
        assert re.sub(TIME, "TIME", text.stdout().decode()) == (
            "TIME\tconfig\tchanged\tuser.role\tdb\\n\tweb\n"
            "TIME\tconfig\tadded\tuser.new\t1\t\n"
            "TIME\tconfig\tremoved\tuser.new\t\t1\n"
            "TIME\tdevice\tadded\tnul\tpath=/dev/mynull\tsource=/dev/null\ttype=unix-char\n"
            "TIME\tdevice\tremoved\tnul\tpath=/dev/mynull\tsource=/dev/null\ttype=unix-char\n"
        )

    def test_json_is_as_the_host_sent_it(self, simulator: Simulator, programs: Programs) -> None:
        job = programs.start("events", "--count", "1", "-f", "json", "--type", "config")
        simulator.device("nul", {"type": "none"})
        simulator.set({"user.role": "<&>ü\n"})
        assert job.wait() == 0
        assert re.sub(TIME, "TIME", job.stdout().decode()) == (
            '{"type":"config","timestamp":"TIME","metadata":'
            '{"key":"user.role","old_value":"web","value":"\\u003c\\u0026\\u003eü\\n"}}\n'
        )

    def test_each_line_is_there_at_once(self, simulator: Simulator, programs: Programs) -> None:
        job = programs.start("events")
        for number in range(3):
            simulator.set({"user.n": str(number)})
            job.wait_for(f"user.n\t{number}".encode())

    @pytest.mark.parametrize("types", ["bogus", "Config", "config,", "", "config device", "lifecycle"])
    def test_an_unknown_type_is_a_usage_error(self, types: str, simulator: Simulator) -> None:
        result = run("events", "--type", types, socket=simulator.path)
        assert (result.status, result.stdout) == (2, b"")
        assert b"is no type of event: config, device" in result.stderr
        assert simulator.requests == []

    def test_its_time_is_over(self, simulator: Simulator) -> None:
        assert run("events", "--for", "0.2", socket=simulator.path) == Result(0, b"", b"")
        assert run("events", "--for", "0.2", "--count", "3", socket=simulator.path) == Result(
            124, b"", b"devlxdctl: events: 0 of 3 within 0.2 s\n"
        )

    def test_a_gap_is_told(self, simulator: Simulator, programs: Programs) -> None:
        job = programs.start("events")
        simulator.restart(0.2)
        told = job.wait_for(b"are lost", stderr=True)
        assert re.fullmatch(
            rb"devlxdctl: events: the host was away for 0\.\d s, and its events are lost\n", told
        )
        simulator.set({"user.role": "db"})
        job.wait_for(b"user.role\tdb")

    def test_a_reader_that_goes_away_ends_it_also_while_nothing_comes(self, simulator: Simulator) -> None:
        script = '"$0" events | head -1; echo "${PIPESTATUS[0]}"'
        environment = {"DEVLXD_SOCKET": str(simulator.path), "PATH": "/usr/bin:/bin"}
        job = Job([*DEFAULT_SIGNALS, "bash", "-c", script, PROGRAM], env=environment)
        try:
            poll("listening", lambda: simulator.show()["listeners"] or None, 20)
            simulator.set({"user.role": "db"})
            assert job.wait(20) == 0
            assert (
                re.sub(TIME, "TIME", job.stdout().decode())
                == "TIME\tconfig\tchanged\tuser.role\tdb\tweb\n141\n"
            )
            assert job.stderr() == b""
        finally:
            job.close()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_signals_end_it(self, number: signal.Signals, programs: Programs) -> None:
        job = programs.start("events")
        job.kill(number)
        assert (job.wait(), job.stdout(), job.stderr()) == (-number, b"", b"")

    def test_no_host(self, short: Path) -> None:
        result = run("events", socket=short / "sock")
        assert (result.status, result.stdout) == (5, b"")
        assert result.stderr.startswith(f"devlxdctl: {short}/sock: no such socket\nhint: ".encode())


class TestConfigWatch:
    def test_the_values_and_then_every_change(self, simulator: Simulator, programs: Programs) -> None:
        job = programs.start("config", "watch", "user.r*", "user.p*", "--count", "3")
        job.wait_for(b"user.role\tweb")
        for key, value in (("user.role", "db"), ("user.other", "x"), ("user.pet", "cat")):
            simulator.set({key: value})
            if key != "user.other":
                job.wait_for(f"{key}\t{value}".encode())
        simulator.unset("user.role")
        assert (job.wait(), job.stderr()) == (0, b"")
        assert job.stdout().decode() == (
            "initial\tuser.port\t8080\t\n"
            "initial\tuser.role\tweb\t\n"
            "changed\tuser.role\tdb\tweb\n"
            "added\tuser.pet\tcat\t\n"
            "removed\tuser.role\t\tdb\n"
        )

    def test_json_lines(self, simulator: Simulator, programs: Programs) -> None:
        job = programs.start("config", "watch", "user.role", "--count", "2", "-f", "json")
        job.wait_for(b"initial")
        simulator.set({"user.role": "d\nb"})
        job.wait_for(b"changed")
        simulator.unset("user.role")
        assert job.wait() == 0
        assert job.stdout().decode() == (
            '{"key":"user.role","value":"web","old_value":null,"action":"initial"}\n'
            '{"key":"user.role","value":"d\\nb","old_value":"web","action":"changed"}\n'
            '{"key":"user.role","value":null,"old_value":"d\\nb","action":"removed"}\n'
        )

    def test_keys_without_events_are_seen_at_the_interval(
        self, simulator: Simulator, programs: Programs
    ) -> None:
        job = programs.start("config", "watch", "cloud-init.*", "--interval", "0.2", "--count", "1")
        job.wait_for(b"initial")
        simulator.set({"cloud-init.user-data": "new"})
        assert job.wait(20) == 0
        assert job.stdout().endswith(
            b"changed\tcloud-init.user-data\tnew\t#cloud-config\\npackages: [nginx]\\n\n"
        )

    def test_what_changed_while_the_host_was_away_is_told(
        self, simulator: Simulator, programs: Programs
    ) -> None:
        """The change made right before the host goes down may be heard or read: it is told once."""
        job = programs.start("config", "watch", "cloud-init.user-data", "--interval", "0", "--count", "1")
        job.wait_for(b"initial")
        simulator.set({"cloud-init.user-data": "no event tells of this"})
        simulator.restart(0.3)
        assert (job.wait(20), job.stderr()) == (0, b"")
        assert job.stdout().count(b"changed\tcloud-init.user-data\tno event tells of this") == 1

    def test_a_command_for_each_line(self, simulator: Simulator, programs: Programs, short: Path) -> None:
        script = short / "hook"
        script.write_text(
            '#!/bin/sh\necho "$DEVLXD_ACTION $DEVLXD_KEY ${DEVLXD_VALUE-none} ${DEVLXD_OLD_VALUE-none} '
            '${DEVLXD_BEARER_TOKEN-none} $1"\ncat\necho .\n'
        )
        script.chmod(0o755)
        job = programs.start(
            "config",
            "watch",
            "user.role",
            "--count",
            "2",
            "--exec",
            f"{script} 'a  b'",
            DEVLXD_BEARER_TOKEN="secret",
        )
        job.wait_for(b".\n")
        simulator.set({"user.role": "db"})
        job.wait_for(b"db.\n")
        simulator.unset("user.role")
        assert job.wait() == 0
        assert job.stdout().decode() == (
            "initial\tuser.role\tweb\t\ninitial user.role web none none a  b\nweb.\n"
            "changed\tuser.role\tdb\tweb\nchanged user.role db web none a  b\ndb.\n"
            "removed\tuser.role\t\tdb\nremoved user.role none db none a  b\n.\n"
        )

    def test_changes_while_the_command_runs_are_one_to_the_last_value(
        self, simulator: Simulator, programs: Programs, short: Path
    ) -> None:
        script = short / "hook"
        script.write_text(f'#!/bin/sh\n[ "$DEVLXD_ACTION" = initial ] && cat {short}/fifo\nexit 0\n')
        script.chmod(0o755)
        subprocess.run(["mkfifo", short / "fifo"], check=True)
        job = programs.start("config", "watch", "user.r*", "--count", "2", "--exec", str(script))
        job.wait_for(b"initial")
        for number in range(50):
            simulator.set({"user.role": str(number), "user.r2": str(number)})
        (short / "fifo").write_text("")
        assert job.wait() == 0
        assert job.stdout().decode() == (
            "initial\tuser.role\tweb\t\nadded\tuser.r2\t49\t\nchanged\tuser.role\t49\tweb\n"
        )

    def test_a_command_that_fails_is_told_and_ends_nothing(
        self, simulator: Simulator, programs: Programs
    ) -> None:
        job = programs.start("config", "watch", "user.role", "--count", "1", "--exec", "sh -c 'exit 3'")
        job.wait_for(b"status 3", stderr=True)
        simulator.set({"user.role": "db"})
        assert job.wait() == 0
        assert job.stderr() == b"devlxdctl: user.role: sh ended with status 3\n" * 2

    def test_a_command_that_is_not_there_is_told(self, simulator: Simulator, programs: Programs) -> None:
        job = programs.start("config", "watch", "user.role", "--count", "1", "--exec", "nope")
        job.wait_for(b"nope", stderr=True)
        simulator.set({"user.role": "db"})
        assert job.wait() == 0
        assert job.stderr() == b"devlxdctl: nope: no such file or directory\n" * 2

    def test_a_value_too_large_for_an_environment_comes_on_stdin(
        self, simulator: Simulator, programs: Programs
    ) -> None:
        simulator.set({"user.role": "x" * 500_000})
        hook = "sh -c 'wc -c; echo ${DEVLXD_VALUE-none} $DEVLXD_KEY'"
        job = programs.start("config", "watch", "user.role", "--exec", hook)
        assert job.wait_for(b"none user.role").splitlines()[1].strip() == b"500000"

    @pytest.mark.parametrize("command", ["", "  ", "'unclosed"])
    def test_a_command_that_is_none_is_a_usage_error(self, command: str, simulator: Simulator) -> None:
        result = run("config", "watch", "--exec", command, socket=simulator.path)
        assert (result.status, result.stdout) == (2, b"")
        assert simulator.requests == []

    def test_a_terminal_gets_clean_lines(self, simulator: Simulator, programs: Programs) -> None:
        from tests.cli.test_output import on_terminal

        simulator.set({"user.role": "\x1b[2J\x9b\r"})
        shown = on_terminal("events", "--for", "0.1", socket=simulator.path)
        assert shown == ""
        hook = "kill -TERM"  # ends the watch after its first line
        shown = on_terminal(
            "config", "watch", "user.role", "--exec", f"sh -c '{hook} $PPID'", socket=simulator.path
        )
        assert shown == "initial  user.role  \\x1b[2J\\xc2\\x9b\\x0d  \n"


class TestWait:
    def test_a_key_that_is_set_already(self, simulator: Simulator) -> None:
        assert run("wait", "config", "user.role", socket=simulator.path) == Result(0, b"web\n", b"")
        assert run("wait", "config", "user.role", "web", "-f", "json", socket=simulator.path) == Result(
            0, b'{"key":"user.role","value":"web"}\n', b""
        )

    def test_a_key_that_comes(self, simulator: Simulator, programs: Programs) -> None:
        job = programs.start("wait", "config", "user.go", "yes", "--timeout", "20")
        for value in ("no", "yes"):
            simulator.set({"user.go": value})
        assert (job.wait(), job.stdout(), job.stderr()) == (0, b"yes\n", b"")

    def test_a_key_that_goes(self, simulator: Simulator, programs: Programs) -> None:
        text = programs.start("wait", "config", "user.role", "--gone")
        document = programs.start("wait", "config", "user.role", "--gone", "-f", "json")
        simulator.unset("user.role")
        assert (text.wait(), text.stdout()) == (0, b"")
        assert (document.wait(), document.stdout()) == (0, b'{"key":"user.role","value":null}\n')

    def test_a_device_that_comes_and_goes(self, simulator: Simulator, programs: Programs) -> None:
        text = programs.start("wait", "device", "usb")
        document = programs.start("wait", "device", "usb", "-f", "json")
        simulator.device("usb", {"type": "none"})
        assert (text.wait(), text.stdout()) == (0, b"usb\tnone\t\n")
        assert (document.wait(), document.stdout()) == (0, b'{"type":"none"}\n')
        text = programs.start("wait", "device", "usb", "--gone")
        document = programs.start("wait", "device", "usb", "--gone", "-f", "json")
        simulator.remove_device("usb")
        assert (text.wait(), text.stdout()) == (0, b"")
        assert (document.wait(), document.stdout()) == (0, b"null\n")

    @pytest.mark.parametrize("timeout", ["0", "0.3"])
    @pytest.mark.parametrize(
        ("argv", "why"),
        [
            (["config", "user.go"], "user.go: not set"),
            (["config", "user.role", "db"], "user.role: not set to that value"),
            (["config", "user.role", "--gone"], "user.role: still set"),
            (["device", "usb"], "usb: no such device"),
            (["device", "root", "--gone"], "root: still there"),
        ],
    )
    def test_the_time_runs_out(self, argv: list[str], why: str, timeout: str, simulator: Simulator) -> None:
        result = run("wait", *argv, "--timeout", timeout, socket=simulator.path)
        assert result == Result(124, b"", f"devlxdctl: {why} within {timeout} s\n".encode())

    def test_a_timeout_of_0_looks_once_and_does_not_listen(self, simulator: Simulator) -> None:
        assert run("wait", "config", "user.role", "--timeout", "0", socket=simulator.path).stdout == b"web\n"
        assert [request[1] for request in simulator.requests] == ["/1.0/config/user.role"]

    def test_the_host_may_be_away_meanwhile(self, simulator: Simulator, programs: Programs) -> None:
        job = programs.start("wait", "config", "user.go", "--timeout", "30")
        simulator.restart(0.3)
        simulator.set({"user.go": "1"})
        assert (job.wait(), job.stdout(), job.stderr()) == (0, b"1\n", b"")

    def test_the_time_runs_out_while_the_host_is_away(self, simulator: Simulator, programs: Programs) -> None:
        job = programs.start("wait", "config", "user.go", "--timeout", "1")
        simulator.restart(3, wait=False)
        assert (job.wait(10), job.stdout()) == (124, b"")
        assert job.stderr().startswith(b"devlxdctl: ")

    def test_a_key_that_guests_may_not_read(self, simulator: Simulator) -> None:
        assert run("wait", "config", "limits.cpu", socket=simulator.path) == Result(
            4, b"", b"devlxdctl: limits.cpu: not permitted: Forbidden\nhint: did you mean user.limits.cpu?\n"
        )

    def test_no_host_is_not_waited_for(self, short: Path) -> None:
        assert run("wait", "config", "user.go", "--timeout", "30", socket=short / "sock").status == 5

    def test_gone_and_a_value_exclude_each_other(self, simulator: Simulator) -> None:
        assert run("wait", "config", "user.go", "1", "--gone", socket=simulator.path).status == 2


class TestReadyHold:
    def test_it_is_told_again_when_the_host_has_forgotten(
        self, simulator: Simulator, programs: Programs
    ) -> None:
        job = programs.start("ready", "--hold", "--interval", "0.1", listening=False)
        poll("ready", lambda: simulator.ready, 20)
        for number in range(1, 3):
            simulator.restart(0.2)
            told = partial(told_more_than, simulator, number)
            poll("forgotten and told again", told, 20)
            poll("ready", lambda: simulator.ready, 20)
        assert job.running
        job.kill(signal.SIGTERM)
        assert (job.wait(), job.stdout(), job.stderr()) == (-signal.SIGTERM, b"", b"")

    def test_a_host_without_readiness_ends_it(self, short: Path) -> None:
        with Simulator(short / "lxd" / "sock", profile="lxd-5.0") as host:
            result = run("ready", "--hold", socket=simulator.path)
        assert (result.status, result.stdout) == (3, b"")

    def test_no_host(self, short: Path) -> None:
        assert run("ready", "--hold", socket=short / "sock").status == 5


def told_more_than(simulator: Simulator, times: int) -> bool | None:
    return len(requests(simulator, "PATCH")) > times or None


def requests(simulator: Simulator, method: str) -> list[str]:
    return [request[1] for request in simulator.requests if request[0] == method]


def test_a_watch_reads_only_what_it_must(simulator: Simulator, programs: Programs) -> None:
    """One list, one read a key, and one read a change."""
    job = programs.start("config", "watch", "user.[pr]*", "--count", "1")
    job.wait_for(b"user.role")
    simulator.set({"user.role": "db", "user.motd": "not watched"})
    assert job.wait() == 0
    assert sorted(request[1] for request in simulator.requests) == [
        "/1.0/config",
        "/1.0/config/user.port",
        "/1.0/config/user.role",
        "/1.0/config/user.role",
        "/1.0/events?type=config",
    ]


def test_an_answer_that_makes_no_sense_does_not_end_a_watch(short: Path) -> None:
    """Neither the list nor a value; at the start it does."""
    answers = {
        b"/1.0/config ": [
            response(b'["/1.0/config/user.a"]'),
            response(b"<html>", "text/html"),
            response(b'["/1.0/config/user.a"]'),
        ],
        b"/1.0/config/user.a ": [response(value, "application/octet-stream") for value in (b"1", b"2")],
    }

    def script(request: bytes) -> bytes | None:
        path = request.split(b" ")[1] + b" "
        return answers[path].pop(0) if path in answers else websocket_accept(request)

    with KeptHost(short / "sock", script) as host:
        argv = ["config", "watch", "--interval", "0.1", "--count", "1"]
        result = run(*argv, socket=host.path)
    assert (result.status, result.stdout) == (0, b"initial\tuser.a\t1\t\nchanged\tuser.a\t2\t1\n")
    assert result.stderr == b"devlxdctl: /1.0/config: the answer is text/html, not JSON; reading again\n"


class KeptHost(RawHost):
    """Keeps the connection that was upgraded."""

    def _send(self, connection: socket.socket, given: bytes) -> None:
        connection.sendall(given)
        while given.startswith(b"HTTP/1.1 101") and connection.recv(4096):
            continue
