"""No character that controls a terminal, or misleads its reader, gets from a host to a terminal."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.cli.upgrading_host import UpgradingHost
from tests.support.program import Result, run
from tests.support.raw_host import RawHost, response, websocket_accept
from tests.support.terminal import run_on_terminal, without_colors

UNSAFE = {
    "escape sequences": "\x1b[2J\x1b]0;title\x07",
    "C1 control characters": "\x9b2J\x9d",
    "backspace and DEL": "\b\x7f",
    "raw CR": "a\rb",
    "right-to-left override": "\u202ea",
    "left-to-right isolate": "\u2066a",
    "zero-width space": "a\u200bb",
    "line separator": "a\u2028b",
    "tag character": "a\U000e0041b",
}
TEXT = "".join(UNSAFE.values())

ALLOWED = re.compile(r"[\t\n\x20-\x7e…ü☃]*")
"""All that the tests below print on a terminal, besides colors."""

COMMANDS = [
    ["config", "ls"],
    ["config", "ls", "-l"],
    ["config", "get", f"user.{TEXT}"],
    ["config", "get", f"user.{TEXT}", "user.role"],
    ["config", "get", f"user.none{TEXT}"],
    ["config", "get", f"none{TEXT}"],
    ["config", "get", "user.role", "--default", TEXT],
    ["config", "get", "user.none", "--default", TEXT],
    ["config", "env"],
    ["config", "env", "--prefix", ""],
    ["config", "env", "--prefix", TEXT],
    ["config", "run", "--prefix", TEXT, "--", "true"],
    ["config", "run", "user.role", "--", f"none{TEXT}"],
    ["devices"],
    ["devices", f"none{TEXT}"],
    ["devices", "--type", TEXT, "none"],
    ["dump"],
    ["metadata"],
    ["query", "/1.0/config"],
    ["query", "-i", f"/1.0/none{TEXT.replace(' ', '')}"],
    ["wait", "config", f"user.{TEXT}"],
    ["wait", "device", f"device{TEXT}"],
    ["-v", "config", "ls", "-l"],
    ["state", f"none{TEXT}"],
    [f"none{TEXT}"],
    ["state", f"--none{TEXT}"],
    ["help", f"none{TEXT}"],
    ["events", "--type", TEXT],
]


@pytest.fixture
def unsafe_simulator(simulator: Simulator) -> Simulator:
    """A host whose keys, values, devices and meta-data contain every kind of unsafe characters."""
    simulator.set({f"user.{TEXT}": TEXT, "user.meta-data": f"a: {TEXT}", "user.ü☃": "ü☃"})
    simulator.device(f"device{TEXT}", {"type": "none", f"user.x{TEXT}": TEXT})
    return simulator


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("argv", COMMANDS, ids=[ascii(" ".join(argv)) for argv in COMMANDS])
def test_terminal_gets_no_unsafe_character(argv: list[str], form: str, unsafe_simulator: Simulator) -> None:
    screen = run_on_terminal("-f", form, *argv, socket=unsafe_simulator.path)
    text = without_colors(screen.text)
    assert ALLOWED.sub("", text) == ""
    assert text or argv[:2] == ["config", "run"]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("command", [["config", "watch", "user.*"], ["events", "--count", "1"]])
def test_terminal_gets_no_unsafe_character_from_a_stream(
    command: list[str], form: str, socket_directory: Path
) -> None:
    """No known host sends an event with such characters unescaped in its JSON, as this one does."""
    event = json.dumps(
        {"type": "config", "timestamp": TEXT, "metadata": {"key": f"user.{TEXT}", "value": TEXT}},
        ensure_ascii=False,
    ).encode()

    def script(request: bytes) -> bytes:
        path = request.split(b" ")[1].decode().partition("?")[0]
        if path == "/1.0/events":
            return websocket_accept(request) + b"\x81\x7e" + len(event).to_bytes(2, "big") + event
        if path == "/1.0/config":
            return response(json.dumps([f"/1.0/config/user.{TEXT}"]).encode())
        return response(TEXT.encode(), "application/octet-stream")

    argv = ["-f", form, *command]
    if command[0] == "config":  # ends after its first line
        argv += ["--", "sh", "-c", "kill -TERM $PPID"]
    with UpgradingHost(socket_directory / "sock", script) as raw_host:
        screen = run_on_terminal(*argv, socket=raw_host.path)
    text = without_colors(screen.text)
    assert text.count("\n") == (2 if form == "text" else 1)  # with a header
    assert ALLOWED.sub("", text) == ""


@pytest.mark.parametrize("name", UNSAFE)
def test_text_off_a_terminal_keeps_its_bytes(name: str, simulator: Simulator) -> None:
    simulator.set({"user.unsafe": UNSAFE[name]})
    result = run("config", "get", "user.unsafe", "-n", socket=simulator.path)
    assert result == Result(0, UNSAFE[name].encode(), b"")


@pytest.mark.parametrize("name", UNSAFE)
def test_json_off_a_terminal_escapes_only_what_json_must(name: str, simulator: Simulator) -> None:
    simulator.set({"user.unsafe": UNSAFE[name]})
    result = run("config", "get", "user.unsafe", "-f", "json", socket=simulator.path)
    expected = json.dumps({"user.unsafe": UNSAFE[name]}, ensure_ascii=False, separators=(",", ":")) + "\n"
    assert result == Result(0, expected.encode(), b"")


@pytest.mark.parametrize("name", UNSAFE)
def test_json_on_a_terminal_means_the_same(name: str, simulator: Simulator) -> None:
    simulator.set({"user.unsafe": UNSAFE[name]})
    screen = run_on_terminal("config", "get", "user.unsafe", "-f", "json", socket=simulator.path)
    assert json.loads(without_colors(screen.text)) == {"user.unsafe": UNSAFE[name]}
    assert screen.text.isascii()


def test_bytes_that_are_not_utf8_are_escaped_on_a_terminal(socket_directory: Path) -> None:
    given = response(b"a\xffb \xe2\x82", "application/octet-stream")
    with RawHost(socket_directory / "sock", given) as raw_host:
        assert run_on_terminal("metadata", socket=raw_host.path).text == "a\\xffb \\xe2\\x82"
        assert run_on_terminal("query", "/", socket=raw_host.path).text == "a\\xffb \\xe2\\x82\n"


def test_arguments_that_are_not_utf8_are_escaped_on_a_terminal(socket_directory: Path) -> None:
    path = os.fsdecode(os.fsencode(socket_directory) + b"/\xff\x1b[2J")
    screen = run_on_terminal("state", socket=path)
    first = without_colors(screen.text).splitlines()[0]
    assert first == f"devlxdctl: {socket_directory}/\\xff\\x1b[2J: no such socket"
