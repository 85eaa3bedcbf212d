"""`help`: the exit statuses, and help without a host."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from devlxdctl import ExitStatus
from devlxdctl.cli.commands.help import SIGNALS, STATUSES
from tests.support.program import REPOSITORY, Result, failure, run


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


@pytest.mark.parametrize("words", [[], ["config"], ["config", "get"], ["help"]], ids=" ".join)
def test_help_man_prints_the_man_page_of_the_command(words: list[str]) -> None:
    page = (REPOSITORY / "man" / f"{'-'.join(['devlxdctl', *words])}.1").read_bytes()
    assert run("help", "--man", *words) == Result(0, page, b"")


def test_help_man_of_no_command_is_a_usage_error() -> None:
    result = run("help", "--man", "config", "gett")
    assert result == failure(2, "help: no such command 'gett'", "did you mean get?")


def test_man_formats_what_help_man_prints() -> None:
    if shutil.which("man") is None:
        pytest.skip("man-db is not installed: make hosts")
    page = run("help", "--man", "config", "get").stdout
    done = subprocess.run(
        ["man", "--warnings=w", "-l", "-"],
        input=page,
        env={"LC_ALL": "C.UTF-8", "MANWIDTH": "80", "PATH": os.defpath},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == b""
    assert b"devlxdctl config get [OPTIONS] KEY..." in done.stdout
    assert b"EXIT STATUS" in done.stdout


def test_help_needs_no_host() -> None:
    assert run("help", env={"DEVLXD_SOCKET": "/nowhere"}) == Result(0, run("--help").stdout, b"")
