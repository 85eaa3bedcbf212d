"""`config run`: the environment, the signals and the exit status of the command."""

from __future__ import annotations

import pytest

from devlxdctl.simulator import Simulator
from tests.support.program import Result, failure, run

MOTD = b"a\ttab,\na line, a \\ and \x1b[31mred\x1b[0m\n"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--", "printenv", "USER_MOTD"], Result(0, MOTD + b"\n", b"")),
        (["user.role", "--prefix", "APP_", "--", "printenv", "APP_ROLE"], Result(0, b"web\n", b"")),
        (["user.role", "--prefix", "", "--", "printenv", "ROLE"], Result(0, b"web\n", b"")),
        (["user.role", "user.nope", "--optional", "--", "printenv", "USER_ROLE"], Result(0, b"web\n", b"")),
        (["--", "echo", "--", "--wait", "soon"], Result(0, b"-- --wait soon\n", b"")),
        (["--", "sh", "-c", "exit 42"], Result(42, b"", b"")),
        (["--", "sh", "-c", "kill -TERM $$"], Result(-15, b"", b"")),
        (["--", "no-such-command"], failure(127, "no-such-command: no such file or directory")),
        (["--", "/etc/passwd"], failure(126, "/etc/passwd: permission denied")),
        (
            ["user.rol", "--", "echo", "not reached"],
            failure(6, "user.rol: not set on this instance", "did you mean user.role?"),
        ),
    ],
)
def test_config_run_ends_as_its_command(argv: list[str], expected: Result, simulator: Simulator) -> None:
    assert run("config", "run", *argv, socket=simulator.path) == expected


@pytest.mark.parametrize("argv", [["user.*"], ["--"]])
def test_config_run_without_command_is_a_usage_error(argv: list[str], simulator: Simulator) -> None:
    assert run("config", "run", *argv, socket=simulator.path) == failure(
        2, "config run: missing '-- CMD' at the end", "see the help: devlxdctl config run --help"
    )
    assert simulator.requests == []


def test_command_inherits_the_environment_without_the_bearer_token(simulator: Simulator) -> None:
    env = {"DEVLXD_BEARER_TOKEN": "secret", "PATH": "/usr/bin:/bin", "OTHER": "1"}
    result = run("config", "run", "user.[pr]*", "--", "env", socket=simulator.path, env=env)
    assert sorted(result.stdout.decode().splitlines()) == [
        f"DEVLXD_SOCKET={simulator.path}",
        "OTHER=1",
        "PATH=/usr/bin:/bin",
        "USER_PORT=8080",
        "USER_ROLE=web",
    ]


def test_command_does_not_inherit_an_ignored_sigpipe(simulator: Simulator) -> None:
    script = "yes | head -1 >/dev/null; kill -PIPE $$; echo SIGPIPE is ignored"
    assert run("config", "run", "--", "sh", "-c", script, socket=simulator.path) == Result(-13, b"", b"")


def test_values_too_large_for_an_environment_are_an_error(simulator: Simulator) -> None:
    simulator.set({"user.large": "x" * 200_000})
    assert run("config", "run", "user.large", "--", "true", socket=simulator.path) == failure(
        8, "true: the values do not fit into an environment"
    )
