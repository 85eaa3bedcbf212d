"""Help: of every command with an example, of the exit statuses, and the nearest name for a mistyped one."""

from __future__ import annotations

import json

import click
import pytest

from devlxdctl.cli import devlxdctl
from devlxdctl.cli.commands.help import STATUSES
from devlxdctl.errors import ExitStatus
from devlxdctl.simulator.cli import cli as simulator
from tests.support.program import Result, run
from tools.manual import commands

OURS = {" ".join(path): command for path, command in commands(devlxdctl, ("devlxdctl",))}
ALL = {**OURS, **{" ".join(path): each for path, each in commands(simulator, ("devlxd-simulator",))}}


@pytest.mark.parametrize("name", ALL)
def test_every_help_has_an_example(name: str) -> None:
    command = ALL[name]
    examples = (command.help or "").partition("Example:\n")[2]
    calls = [line for line in examples.splitlines() if name in line]
    assert calls or (isinstance(command, click.Group) and name.partition(" ")[0] in examples)


@pytest.mark.parametrize("name", OURS)
def test_help_shows_the_help_of_any_command(name: str) -> None:
    words = name.split()[1:]
    result = run("help", *words)
    assert (result.status, result.stderr) == (0, b"")
    assert result == run(*words, "--help")
    assert result.stdout.startswith(f"Usage: {name} ".encode())


def test_every_exit_status_is_explained() -> None:
    assert list(STATUSES) == list(ExitStatus)
    result = run("help", "exit-codes")
    assert (result.status, result.stderr) == (0, b"")
    lines = result.stdout.decode().splitlines()
    assert [int(line[:3]) for line in lines if line[:3].strip().isdigit()] == [*map(int, ExitStatus)]
    assert lines[0] == "  0  done; the condition holds"
    shown = run("-f", "json", "help", "exit-codes")
    assert json.loads(shown.stdout) == {str(int(status)): text for status, text in STATUSES.items()}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["stat"], "No such command 'stat'. Did you mean 'state'?"),
        (["config", "gte"], "No such command 'gte'. Did you mean 'get'?"),
        (["config", "zzz"], "No such command 'zzz'."),
        (["help", "confg"], "No such command 'confg'. Did you mean 'config'?"),
        (["help", "config", "lss"], "No such command 'lss'. Did you mean 'ls'?"),
        (["help", "state", "of"], "No such command 'of'."),
        (["state", "--fromat", "json"], "No such option '--fromat'. Did you mean '--format'?"),
    ],
)
def test_the_nearest_name(argv: list[str], said: str) -> None:
    status, stdout, stderr = run(*argv)
    assert (status, stdout) == (2, b"")
    # Older versions of Click write options without quotes, and with a colon.
    last = stderr.decode().splitlines()[-1]
    assert (
        last.replace("option: --fromat Did", "option '--fromat'. Did").replace(
            "mean --format?", "mean '--format'?"
        )
        == f"Error: {said}"
    )


def test_help_needs_no_host_and_no_environment() -> None:
    assert run("help", env={"DEVLXD_SOCKET": "/nowhere"}) == Result(0, run("--help").stdout, b"")
