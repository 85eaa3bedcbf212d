"""`help`: the exit statuses, and help without a host."""

from __future__ import annotations

import json

from devlxdctl import ExitStatus
from devlxdctl.cli.commands.help import SIGNALS, STATUSES
from tests.support.program import Result, run


def test_help_exit_codes_explains_every_exit_status() -> None:
    assert list(STATUSES) == list(ExitStatus)
    result = run("help", "exit-codes")
    assert (result.status, result.stderr) == (0, b"")
    text = result.stdout.decode()
    assert max(map(len, text.splitlines())) <= 80
    expected = [*(f"{int(status)} {meaning}" for status, meaning in STATUSES.items()), SIGNALS]
    assert " ".join(text.split()) == " ".join(expected)


def test_help_exit_codes_in_json_has_the_statuses_as_keys() -> None:
    result = run("-f", "json", "help", "exit-codes")
    assert (result.status, result.stderr) == (0, b"")
    assert json.loads(result.stdout) == {str(int(status)): text for status, text in STATUSES.items()}


def test_help_needs_no_host() -> None:
    assert run("help", env={"DEVLXD_SOCKET": "/nowhere"}) == Result(0, run("--help").stdout, b"")
