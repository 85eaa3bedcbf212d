"""`config ls`, `config get` and `config env`: whole outputs, in text and in JSON."""

from __future__ import annotations

import json
import os

import pytest

from devlxdctl.simulator import Simulator
from tests.support.program import Result, failure, run

VALUES = {
    "cloud-init.user-data": "#cloud-config\npackages: [nginx]\n",
    "user.Quote's": 'it\'s "$HOME" `id` \\',
    "user.motd": "a\ttab,\na line, a \\ and \x1b[31mred\x1b[0m\n",
    "user.port": "8080",
    "user.role": "web",
    "user.with space/and%25": "odd",
}
SET_NOPE = "on the host: lxc config set INSTANCE user.nope VALUE"


def compact_json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n"


SUCCESSES: list[tuple[list[str], str]] = [
    (["ls"], "".join(f"{key}\n" for key in VALUES)),
    (["ls", "-f", "json"], compact_json(list(VALUES))),
    (["ls", "user.[pr]*", "*-data"], "cloud-init.user-data\nuser.port\nuser.role\n"),
    (["ls", "user.role"], "user.role\n"),
    (["ls", "role*"], ""),
    (["ls", "role*", "-f", "json"], "[]\n"),
    (["ls", "user.nope", "user.role", "--optional"], "user.role\n"),
    (
        ["ls", "-l"],
        "cloud-init.user-data\t#cloud-config\\npackages: [nginx]\\n\n"
        "user.Quote's\tit's \"$HOME\" `id` \\\\\n"
        "user.motd\ta\\ttab,\\na line, a \\\\ and \\x1b[31mred\\x1b[0m\\n\n"
        "user.port\t8080\n"
        "user.role\tweb\n"
        "user.with space/and%25\todd\n",
    ),
    (["ls", "--values", "-f", "json"], compact_json(VALUES)),
    (["ls", "-l", "role*", "-f", "json"], "{}\n"),
    (["ls", "-l", "user.nope", "--optional", "-f", "json"], "{}\n"),
    (["get", "user.role"], "web\n"),
    (["get", "user.role", "-n"], "web"),
    (["get", "user.motd"], VALUES["user.motd"]),
    (["get", "user.with space/and%25"], "odd\n"),
    (["get", "user.role", "-f", "json"], '{"user.role":"web"}\n'),
    (
        ["get", "user.role", "user.motd"],
        "user.role\tweb\nuser.motd\ta\\ttab,\\na line, a \\\\ and \\x1b[31mred\\x1b[0m\\n\n",
    ),
    (
        ["get", "user.port", "user.role", "user.port", "-f", "json"],
        '{"user.port":"8080","user.role":"web"}\n',
    ),
    (["get", "user.nope", "--default", "none"], "none\n"),
    (["get", "user.nope", "--default", ""], "\n"),
    (["get", "user.nope", "--default", "", "-n"], ""),
    (
        ["get", "user.role", "user.nope", "--default", "d", "-f", "json"],
        '{"user.role":"web","user.nope":"d"}\n',
    ),
    (["env", "user.[pr]*"], "USER_PORT='8080'\nUSER_ROLE='web'\n"),
    (["env", "user.[pr]*", "--export"], "export USER_PORT='8080'\nexport USER_ROLE='web'\n"),
    (["env", "user.[pr]*", "--prefix", "app_"], "app_PORT='8080'\napp_ROLE='web'\n"),
    (["env", "user.[pr]*", "--prefix", ""], "PORT='8080'\nROLE='web'\n"),
    (["env", "user.role", "--prefix", "", "--export"], "export ROLE='web'\n"),
    (["env", "user.role", "--prefix", "", "-f", "json"], '{"ROLE":"web"}\n'),
    (["env", "cloud*"], "CLOUD_INIT_USER_DATA='#cloud-config\npackages: [nginx]\n'\n"),
    (["env", "user.Q*"], "USER_QUOTE_S='it'\"'\"'s \"$HOME\" `id` \\'\n"),
    (["env", "user.with*", "-f", "json"], '{"USER_WITH_SPACE_AND_25":"odd"}\n'),
    (["env", "none*"], ""),
    (["env", "none*", "-f", "json"], "{}\n"),
    (["env", "user.nope", "--optional"], ""),
]


@pytest.mark.parametrize(("argv", "stdout"), SUCCESSES, ids=[" ".join(argv) for argv, _ in SUCCESSES])
def test_config_prints_keys_and_values(argv: list[str], stdout: str, simulator: Simulator) -> None:
    assert run("config", *argv, socket=simulator.path) == Result(0, stdout.encode(), b"")


FAILURES: list[tuple[list[str], Result]] = [
    (["get", "user.nope"], failure(6, "user.nope: not set on this instance", SET_NOPE)),
    (
        ["get", "user.role", "user.a", "user.b"],
        failure(
            6, "user.a, user.b: not set on this instance", "on the host: lxc config set INSTANCE user.a VALUE"
        ),
    ),
    (
        ["get", "user.rol", "user.a"],
        failure(6, "user.rol, user.a: not set on this instance", "did you mean user.role?"),
    ),
    (
        ["get", "user.a=b"],
        failure(6, "user.a=b: not set on this instance", "on the host: lxc config edit INSTANCE"),
    ),
    (
        ["get", "user.$(id)"],
        failure(
            6,
            "user.$(id): not set on this instance",
            "on the host: lxc config set INSTANCE 'user.$(id)' VALUE",
        ),
    ),
    (["ls", "user.nope"], failure(6, "user.nope: not set on this instance", SET_NOPE)),
    (["ls", "-l", "user.nope", "*"], failure(6, "user.nope: not set on this instance", SET_NOPE)),
    (["env", "user.nope"], failure(6, "user.nope: not set on this instance", SET_NOPE)),
    (["get", "role"], failure(4, "role: permission denied", "did you mean user.role?")),
    (["ls", "role"], failure(4, "role: permission denied", "did you mean user.role?")),
    (
        ["get", "limits.cpu", "--default", "1"],
        failure(
            4,
            "limits.cpu: permission denied",
            "guests can read user.* and cloud-init.* keys only",
        ),
    ),
    (["get", ""], failure(2, "config key '': not a valid name")),
    (["get", "user.role", ".."], failure(2, "config key '..': not a valid name")),
    (
        ["env", "user.role", "--prefix", "9"],
        failure(8, "user.role: '9ROLE' is not a valid variable name"),
    ),
    (
        ["env", "user.role", "--prefix", "\u202eA"],
        failure(8, "user.role: '\\u202eAROLE' is not a valid variable name"),
    ),
]


@pytest.mark.parametrize(("argv", "expected"), FAILURES, ids=[" ".join(argv) for argv, _ in FAILURES])
def test_config_prints_one_error(argv: list[str], expected: Result, simulator: Simulator) -> None:
    assert run("config", *argv, socket=simulator.path) == expected


def test_config_env_with_empty_prefix_rejects_key_that_makes_no_variable_name(simulator: Simulator) -> None:
    simulator.set({"user.1st": "x"})
    assert run("config", "env", "user.1*", "--prefix", "", socket=simulator.path) == failure(
        8, "user.1st: '1ST' is not a valid variable name"
    )


def test_config_env_with_empty_prefix_rejects_keys_of_two_namespaces_with_one_name(
    simulator: Simulator,
) -> None:
    simulator.set({"user.user-data": "x"})
    assert run("config", "env", "*user-data", "--prefix", "", socket=simulator.path) == failure(
        8, "USER_DATA: is the name for both cloud-init.user-data and user.user-data"
    )


@pytest.mark.parametrize("command", [["env"], ["run"]])
def test_keys_that_make_one_variable_name_are_an_error_that_names_both(
    command: list[str], simulator: Simulator
) -> None:
    simulator.set({"user.a-b": "1", "user.a_b": "2"})
    program = ["--", "true"] if command == ["run"] else []
    assert run("config", *command, "user.a*", *program, socket=simulator.path) == failure(
        8, "USER_A_B: is the name for both user.a-b and user.a_b"
    )


def test_config_get_prints_the_exact_bytes_of_a_value_of_megabytes(simulator: Simulator) -> None:
    value = "".join(chr(32 + number % 95) for number in range(3_000_000)) + "ü☃\r\n\n"
    simulator.set({"user.large": value})
    assert run("config", "get", "user.large", socket=simulator.path) == Result(0, value.encode(), b"")


@pytest.mark.parametrize(
    "env", [{}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"LC_ALL": "C.UTF-8"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_keys_and_values_are_utf8_in_every_locale(env: dict[str, str], simulator: Simulator) -> None:
    simulator.set({"user.ünï☃": "ключ😀"})
    result = run("config", "get", "user.ünï☃", "user.role", socket=simulator.path, env=env)
    assert result == Result(0, "user.ünï☃\tключ😀\nuser.role\tweb\n".encode(), b"")


def test_bytes_that_are_not_utf8_are_printed_unchanged(simulator: Simulator) -> None:
    key, value = os.fsdecode(b"user.\xff\xfe"), os.fsdecode(b"a\xffb")
    simulator.set({key: value})
    assert run("config", "get", os.fsencode(key), socket=simulator.path) == Result(0, b"a\xffb\n", b"")
