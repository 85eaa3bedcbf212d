"""Where the output goes: pipes, terminals, files that are full or closed, readers that go away."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from devlxdctl import Client
from devlxdctl.simulator import Simulator
from tests.support.program import PROGRAM, Result, run
from tests.support.raw_host import RawHost, response


def on_terminal(*argv: str, socket: Path, columns: int = 80, env: Mapping[str, str] | None = None) -> str:
    """What the program writes to a terminal that is its stdin, stdout and stderr, without colours."""
    ours, theirs = pty.openpty()
    try:
        environment = {"DEVLXD_SOCKET": str(socket), "TERM": "xterm", "COLUMNS": str(columns), **(env or {})}
        program = subprocess.Popen(
            [PROGRAM, *argv], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)
        written = b""
        try:
            while chunk := os.read(ours, 65536):
                written += chunk
        except OSError:  # how Linux says that the last writer has gone
            pass
        assert program.wait(30) is not None
    finally:
        os.close(ours)
    return written.decode().replace("\r\n", "\n")


def colourless(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


class TestTerminal:
    def test_tables_are_headed_coloured_and_cut_to_fit(self, simulator: Simulator) -> None:
        shown = on_terminal("config", "ls", "-l", "user.*", socket=simulator.path, columns=40)
        assert "\x1b[1mKEY" in shown and "\x1b[36muser.role" in shown
        assert [line.rstrip() for line in colourless(shown).splitlines()] == [
            "KEY                     VALUE",
            "user.Quote's            it's \"$HOME\" `i…",
            r"user.motd               a\ttab,\na line…",
            "user.port               8080",
            "user.role               web",
            "user.with space/and%25  odd",
        ]

    def test_names_are_folded_and_not_cut(self, simulator: Simulator) -> None:
        simulator.set({"user.x": "", "user." + "n" * 40: "v"})
        shown = colourless(on_terminal("config", "ls", "user.n*", socket=simulator.path, columns=30))
        assert "".join(line.rstrip() for line in shown.splitlines()) == "KEYuser." + "n" * 40

    def test_markup_in_values_and_keys_is_text(self, simulator: Simulator) -> None:
        simulator.set({"user.[red]": "[bold]x[/bold] [/dev/lxd/sock] :smile:"})
        shown = colourless(on_terminal("config", "ls", "-l", "user.[[]red]", socket=simulator.path))
        assert shown.splitlines()[1].rstrip() == "user.[red]  [bold]x[/bold] [/dev/lxd/sock] :smile:"

    @pytest.mark.parametrize("form", ["text", "json"])
    @pytest.mark.parametrize(
        "argv",
        [
            ["config", "ls"],
            ["config", "ls", "-l"],
            ["config", "get", "user.e\x1b[2J\x9bm\x07"],
            ["config", "get", "user.e\x1b[2J\x9bm\x07", "user.role"],
            ["config", "get", "user.nope\x1b[2J"],
            ["config", "get", "nope\x1b[2J"],
            ["config", "env"],
            ["devices"],
            ["devices", "nope\x1b[2J"],
            ["-v", "config", "ls", "-l"],
        ],
    )
    def test_no_control_sequence_of_the_host_reaches_it(
        self, argv: list[str], form: str, simulator: Simulator
    ) -> None:
        simulator.set({"user.e\x1b[2J\x9bm\x07": "\x1b]0;title\x07\x9b2J\x7f\x00\b\r"})
        simulator.device("d\x1b[2J", {"type": "none", "x\x1b[2J": "\x1b[2J\x9b"})
        shown = colourless(on_terminal(*argv, "-f", form, socket=simulator.path))
        assert re.sub(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f]", "", shown) == ""

    def test_a_bare_value_keeps_its_lines_and_tabs(self, simulator: Simulator) -> None:
        shown = on_terminal("config", "get", "user.motd", socket=simulator.path)
        assert shown == "a\ttab,\na line, a \\ and \\x1b[31mred\\x1b[0m\n"

    def test_json_is_indented(self, simulator: Simulator) -> None:
        shown = on_terminal("config", "get", "user.role", "-f", "json", socket=simulator.path)
        assert shown == '{\n  "user.role": "web"\n}\n'

    def test_a_dumb_one_without_colours(self, simulator: Simulator) -> None:
        for env in ({"TERM": "dumb"}, {"NO_COLOR": "1"}):
            shown = on_terminal("state", socket=simulator.path, env=env)
            assert "\x1b[3" not in shown
            assert " ".join(colourless(shown).split()) == (
                "FIELD VALUE state Started api_version 1.0 instance_type container location host1 "
                "auth untrusted supported_storage_drivers []"
            )

    def test_it_is_told_of_a_wait_after_a_second(self, short: Path) -> None:
        shown = on_terminal("wait", "host", "--timeout", "1.5", socket=short / "sock")
        assert shown.splitlines()[0] == f"devlxdctl: waiting for the host: {short}/sock: no such socket"
        assert shown.splitlines()[1] == f"devlxdctl: {short}/sock: no such socket; waited 1.5 s"


class TestStdoutThatCannotBeWritten:
    @pytest.mark.parametrize("argv", [["state"], ["state", "-f", "json"], ["--version"], ["config", "-h"]])
    def test_full(self, argv: list[str], simulator: Simulator) -> None:
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [PROGRAM, *argv],
                env={"DEVLXD_SOCKET": str(simulator.path)},
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=60,
                check=False,
            )
        assert (done.returncode, done.stderr) == (8, b"devlxdctl: stdout: no space left on device\n")

    @pytest.mark.parametrize("argv", [["state"], ["--help"]])
    def test_closed_at_the_start(self, argv: list[str], simulator: Simulator) -> None:
        shell = ["sh", "-c", 'exec "$@" >&-', "sh", PROGRAM, *argv]
        done = subprocess.run(
            shell, env={"DEVLXD_SOCKET": str(simulator.path)}, capture_output=True, timeout=60, check=False
        )
        assert Result(done.returncode, done.stdout, done.stderr) == (
            8,
            b"",
            b"devlxdctl: stdout: it is closed\n",
        )

    def test_closed_where_nothing_is_to_be_said(self, simulator: Simulator) -> None:
        shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", PROGRAM, "ready"]
        done = subprocess.run(shell, env={"DEVLXD_SOCKET": str(simulator.path)}, timeout=60, check=False)
        assert done.returncode == 0
        assert simulator.ready

    def test_stderr_closed_too_leaves_the_status(self) -> None:
        shell = ["sh", "-c", 'exec "$@" 2>&-', "sh", PROGRAM, "state", "--socket", "/nowhere"]
        assert subprocess.run(shell, env={}, timeout=60, check=False).returncode == 5

    @pytest.mark.parametrize("argv", [["config", "get", "user.large"], ["--help"]])
    def test_a_reader_that_went_away_is_a_quiet_end(self, argv: list[str], simulator: Simulator) -> None:
        simulator.set({"user.large": "x" * 1_000_000})
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run(
                [PROGRAM, *argv],
                env={"DEVLXD_SOCKET": str(simulator.path)},
                stdout=writer,
                stderr=subprocess.PIPE,
                timeout=60,
                check=False,
            )
        finally:
            os.close(writer)
        assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


class TestEnvironment:
    def test_the_locale_changes_nothing(self, simulator: Simulator) -> None:
        simulator.set({"user.ünï☃": "ключ😀"})
        for env in (
            {},
            {"LC_ALL": "C"},
            {"LC_ALL": "POSIX"},
            {"LC_ALL": "C.UTF-8"},
            {"PYTHONIOENCODING": "ascii"},
        ):
            result = run("config", "get", "user.ünï☃", "user.role", socket=simulator.path, env=env)
            assert result == Result(0, "user.ünï☃\tключ😀\nuser.role\tweb\n".encode(), b"")

    def test_a_proxy_a_netrc_and_a_ca_bundle_change_nothing(self, simulator: Simulator, short: Path) -> None:
        (short / ".netrc").write_text("default login a password b\n")
        proxy = "http://127.0.0.1:9"
        env = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"), proxy)
        env |= {"HOME": str(short), "REQUESTS_CA_BUNDLE": "/nowhere", "CURL_CA_BUNDLE": "/nowhere"}
        assert run("state", "state", socket=simulator.path, env=env) == Result(0, b"Started\n", b"")
        with RawHost(short / "raw", response(b"{}")) as raw:
            for given in ({}, env):
                assert run("-f", "json", "state", socket=raw.path, env=given) == Result(0, b"{}\n", b"")
            assert raw.requests[0] == raw.requests[1]

    def test_no_cookie_is_sent_back(self, short: Path) -> None:
        given = response(b'["/1.0"]', extra="Set-Cookie: a=b; Path=/\r\n")
        with RawHost(short / "sock", given) as simulator, Client(simulator.path) as client:
            for _ in range(2):
                client.versions()
            assert simulator.requests[0] == simulator.requests[1]


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_the_program_dies_by_them_quietly(self, number: signal.Signals, short: Path) -> None:
        program = subprocess.Popen(
            [PROGRAM, "-v", "wait", "host", "--socket", short / "sock"],
            env={},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert program.stderr is not None
        assert program.stderr.readline()  # it is waiting
        program.send_signal(number)
        stdout, stderr = program.communicate(timeout=10)
        assert (program.returncode, stdout) == (-number, b"")
        assert b"Traceback" not in stderr
