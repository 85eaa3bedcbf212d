"""The common options, and the usage errors of options, arguments and commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.support.program import Result, failure, run


@pytest.mark.parametrize(
    "argv",
    [
        ["--socket", "{}", "-f", "json", "config", "get", "user.role"],
        ["config", "--socket", "{}", "-f", "json", "get", "user.role"],
        ["config", "get", "user.role", "--socket", "{}", "-f", "json"],
        ["--socket", "/nowhere", "-f", "text", "config", "get", "user.role", "--socket", "{}", "-f", "json"],
    ],
)
def test_common_options_stand_anywhere_and_the_last_one_counts(argv: list[str], simulator: Simulator) -> None:
    words = [word.format(simulator.path) for word in argv]
    assert run(*words) == Result(0, b'{"user.role":"web"}\n', b"")


def test_socket_option_overrides_the_variable(simulator: Simulator, socket_directory: Path) -> None:
    result = run(
        "state", "location", "--socket", simulator.path, env={"DEVLXD_SOCKET": f"{socket_directory}/none"}
    )
    assert result == Result(0, b"host1\n", b"")


def test_no_variable_changes_the_format(simulator: Simulator) -> None:
    env = {"DEVLXD_FORMAT": "json", "DEVLXDCTL_FORMAT": "json"}
    assert run("state", "location", socket=simulator.path, env=env) == Result(0, b"host1\n", b"")


def test_verbose_logs_each_request_on_stderr(simulator: Simulator) -> None:
    result = run("config", "get", "user.role", "user.with space/and%25", "-v", socket=simulator.path)
    log = sorted(re.sub(r", \d+\.\d ms$", "", line) for line in result.stderr.decode().splitlines())
    assert log == [
        "devlxdctl: GET /1.0/config/user.role: 200 application/octet-stream, 3 bytes",
        "devlxdctl: GET /1.0/config/user.with%20space%2Fand%2525: 200 application/octet-stream, 3 bytes",
        "devlxdctl: GET /1.0: 200 application/json, 137 bytes",
    ]
    assert (result.status, result.stdout) == (0, b"user.role\tweb\nuser.with space/and%25\todd\n")


USAGE_ERRORS: list[tuple[list[str], str, str]] = [
    (["state", "a", "b"], "state: got unexpected extra argument (b)", "see the help: devlxdctl state --help"),
    (
        ["state", "--wait", "nan"],
        "state: invalid value for '--wait': 'nan' is not a number of seconds",
        "see the help: devlxdctl state --help",
    ),
    (
        ["wait", "host", "--timeout", "-1"],
        "wait host: invalid value for '--timeout': '-1' is not a number of seconds",
        "see the help: devlxdctl wait host --help",
    ),
    (
        ["ready", "--interval", "0.05"],
        "ready: invalid value for '--interval': '0.05' is not a number of seconds, at least 0.1",
        "see the help: devlxdctl ready --help",
    ),
    (
        ["ready", "--unset", "--check"],
        "ready: --unset, --check and --hold cannot be combined",
        "see the help: devlxdctl ready --help",
    ),
    (
        ["events", "--count", "0"],
        "events: invalid value for '--count': '0' is not a whole number, at least 1",
        "see the help: devlxdctl events --help",
    ),
    (
        ["events", "--count", "1.5"],
        "events: invalid value for '--count': '1.5' is not a whole number, at least 1",
        "see the help: devlxdctl events --help",
    ),
    (["config", "get"], "config get: missing argument 'KEY...'", "see the help: devlxdctl config get --help"),
    (
        ["-f", "yaml", "state"],
        "invalid value for '-f' / '--format': 'yaml' is not one of 'text', 'json'",
        "see the help: devlxdctl --help",
    ),
    (["stat"], "no such command 'stat'", "did you mean state?"),
    (["zzz"], "no such command 'zzz'", "see the help: devlxdctl --help"),
    (["config", "gte"], "config: no such command 'gte'", "did you mean get?"),
    (["config", "zzz"], "config: no such command 'zzz'", "see the help: devlxdctl config --help"),
    (["help", "confg"], "help: no such command 'confg'", "did you mean config?"),
    (["help", "config", "lss"], "help: no such command 'lss'", "did you mean ls?"),
    (["help", "state", "of"], "help: no such command 'of'", "see the help: devlxdctl help --help"),
    (["state", "--fromat", "json"], "state: no such option --fromat", "did you mean --format?"),
]


@pytest.mark.parametrize(
    ("argv", "error", "hint"), USAGE_ERRORS, ids=[" ".join(argv) for argv, *_ in USAGE_ERRORS]
)
def test_usage_error_has_a_hint_and_sends_no_request(
    argv: list[str], error: str, hint: str, simulator: Simulator
) -> None:
    assert run(*argv, socket=simulator.path) == failure(2, error, hint)
    assert simulator.requests == []
