"""What each command prints, text and JSON, whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.support.program import Result, run

STATE = (
    '{"state":"Started","api_version":"1.0","instance_type":"container","location":"host1",'
    '"auth":"untrusted","supported_storage_drivers":[]}'
)
VALUES = {
    "cloud-init.user-data": "#cloud-config\npackages: [nginx]\n",
    "user.Quote's": 'it\'s "$HOME" `id` \\',
    "user.motd": "a\ttab,\na line, a \\ and \x1b[31mred\x1b[0m\n",
    "user.port": "8080",
    "user.role": "web",
    "user.with space/and%25": "odd",
}
DEVICES = {
    "data": {"path": "/srv/with space", "source": "/data", "type": "disk"},
    "eth0": {"hwaddr": "00:16:3E:A1:61:B3", "name": "eth0", "nictype": "p2p", "type": "nic"},
    "lo": {"hwaddr": "00:00:00:00:00:00", "type": "nic"},
    "root": {"path": "/", "pool": "default", "type": "disk"},
}


def ok(stdout: str) -> Result:
    return Result(0, stdout.encode(), b"")


def compact_json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n"


CASES: list[tuple[list[str], str]] = [
    (["versions"], "/1.0\n"),
    (["versions", "-f", "json"], '["/1.0"]\n'),
    (
        ["state"],
        "state\tStarted\napi_version\t1.0\ninstance_type\tcontainer\nlocation\thost1\nauth\tuntrusted\n"
        "supported_storage_drivers\t[]\n",
    ),
    (["-f", "json", "state"], STATE + "\n"),
    (["state", "location"], "host1\n"),
    (["state", "location", "-f", "json"], '"host1"\n'),
    (["state", "supported_storage_drivers"], "[]\n"),
    (["ready"], ""),
    (["ready", "-f", "json"], ""),
    (["ready", "--unset"], ""),
    (["wait", "host"], ""),
    (["config", "ls"], "".join(f"{key}\n" for key in VALUES)),
    (["config", "ls", "-f", "json"], compact_json(list(VALUES))),
    (["config", "ls", "user.[pr]*", "*-data"], "cloud-init.user-data\nuser.port\nuser.role\n"),
    (["config", "ls", "role"], ""),
    (["config", "ls", "role", "-f", "json"], "[]\n"),
    (
        ["config", "ls", "-l"],
        "cloud-init.user-data\t#cloud-config\\npackages: [nginx]\\n\n"
        "user.Quote's\tit's \"$HOME\" `id` \\\\\n"
        "user.motd\ta\\ttab,\\na line, a \\\\ and \\x1b[31mred\\x1b[0m\\n\n"
        "user.port\t8080\n"
        "user.role\tweb\n"
        "user.with space/and%25\todd\n",
    ),
    (["config", "ls", "--values", "-f", "json"], compact_json(VALUES)),
    (["config", "ls", "-l", "role", "-f", "json"], "{}\n"),
    (["config", "get", "user.role"], "web\n"),
    (["config", "get", "user.role", "-n"], "web"),
    (["config", "get", "user.motd"], VALUES["user.motd"]),
    (["config", "get", "user.with space/and%25"], "odd\n"),
    (["config", "get", "user.role", "-f", "json"], '{"user.role":"web"}\n'),
    (
        ["config", "get", "user.role", "user.motd"],
        "user.role\tweb\nuser.motd\ta\\ttab,\\na line, a \\\\ and \\x1b[31mred\\x1b[0m\\n\n",
    ),
    (
        ["config", "get", "user.port", "user.role", "user.port", "-f", "json"],
        '{"user.port":"8080","user.role":"web"}\n',
    ),
    (["config", "get", "user.nope", "--default", "none"], "none\n"),
    (["config", "get", "user.nope", "--default", ""], "\n"),
    (["config", "get", "user.nope", "--default", "", "-n"], ""),
    (
        ["config", "get", "user.role", "user.nope", "--default", "d", "-f", "json"],
        '{"user.role":"web","user.nope":"d"}\n',
    ),
    (["config", "env", "user.[pr]*"], "USER_PORT='8080'\nUSER_ROLE='web'\n"),
    (["config", "env", "user.[pr]*", "--export"], "export USER_PORT='8080'\nexport USER_ROLE='web'\n"),
    (["config", "env", "user.[pr]*", "--prefix", "app_"], "app_PORT='8080'\napp_ROLE='web'\n"),
    (["config", "env", "user.role", "--prefix", ""], "ROLE='web'\n"),
    (["config", "env", "cloud*"], "CLOUD_INIT_USER_DATA='#cloud-config\npackages: [nginx]\n'\n"),
    (["config", "env", "user.Q*"], "USER_QUOTE_S='it'\"'\"'s \"$HOME\" `id` \\'\n"),
    (["config", "env", "user.with*", "-f", "json"], '{"USER_WITH_SPACE_AND_25":"odd"}\n'),
    (["config", "env", "none"], ""),
    (["config", "env", "none", "-f", "json"], "{}\n"),
    (["config", "run", "--", "printenv", "USER_MOTD"], VALUES["user.motd"] + "\n"),
    (["config", "run", "user.role", "--prefix", "APP_", "--", "printenv", "APP_ROLE"], "web\n"),
    (
        ["devices"],
        "data\tdisk\t\tpath=/srv/with space\tsource=/data\n"
        "eth0\tnic\t-\thwaddr=00:16:3E:A1:61:B3\tname=eth0\tnictype=p2p\n"
        "lo\tnic\tlo\thwaddr=00:00:00:00:00:00\n"
        "root\tdisk\t\tpath=/\tpool=default\n",
    ),
    (["devices", "-f", "json"], compact_json(DEVICES)),
    (["devices", "root"], "root\tdisk\t\tpath=/\tpool=default\n"),
    (["devices", "root", "-f", "json"], compact_json(DEVICES["root"])),
    (["devices", "--type", "disk", "-f", "json"], compact_json({n: DEVICES[n] for n in ("data", "root")})),
    (["devices", "--type", "gpu"], ""),
]


@pytest.mark.parametrize(("argv", "stdout"), CASES, ids=[" ".join(argv) for argv, _ in CASES])
def test_prints(argv: list[str], stdout: str, simulator: Simulator) -> None:
    assert run(*argv, socket=simulator.path) == ok(stdout)


FAILURES: list[tuple[list[str], int, str]] = [
    (
        ["state", "nope"],
        6,
        "devlxdctl: nope: the host's state has no such field\n"
        "hint: it has: state, api_version, instance_type, location, auth, supported_storage_drivers\n",
    ),
    (["ready", "--check"], 6, ""),
    (
        ["config", "get", "user.nope"],
        6,
        "devlxdctl: user.nope: not set on this instance\n"
        "hint: on the host: lxc config set INSTANCE user.nope=VALUE\n",
    ),
    (
        ["config", "get", "user.role", "user.a", "user.b"],
        6,
        "devlxdctl: user.a, user.b: not set on this instance\n"
        "hint: on the host: lxc config set INSTANCE user.a=VALUE\n",
    ),
    (
        ["config", "get", "role"],
        4,
        "devlxdctl: role: not permitted: Forbidden\nhint: did you mean user.role?\n",
    ),
    (
        ["config", "get", "limits.cpu", "--default", "1"],
        4,
        "devlxdctl: limits.cpu: not permitted: Forbidden\nhint: did you mean user.limits.cpu?\n",
    ),
    (["config", "get", ""], 2, "devlxdctl: config key '': no key has this name\n"),
    (["config", "get", "user.role", ".."], 2, "devlxdctl: config key '..': no key has this name\n"),
    (
        ["config", "env", "user.role", "--prefix", "9"],
        8,
        "devlxdctl: user.role: no variable can be named '9ROLE'\n",
    ),
    (
        ["config", "run", "--", "no-such-command"],
        127,
        "devlxdctl: no-such-command: no such file or directory\n",
    ),
    (["config", "run", "--", "/etc/passwd"], 126, "devlxdctl: /etc/passwd: permission denied\n"),
    (["config", "run", "--", "sh", "-c", "exit 42"], 42, ""),
    (["config", "run", "--", "sh", "-c", "kill -TERM $$"], -15, ""),
    (["devices", "nope"], 6, "devlxdctl: nope: the instance has no such device\nhint: devlxdctl devices\n"),
    (
        ["devices", "root", "--type", "nic"],
        6,
        "devlxdctl: root: the instance has no such device of type nic\nhint: devlxdctl devices\n",
    ),
]


@pytest.mark.parametrize(
    ("argv", "status", "stderr"), FAILURES, ids=[" ".join(argv) for argv, _, _ in FAILURES]
)
def test_fails(argv: list[str], status: int, stderr: str, simulator: Simulator) -> None:
    assert run(*argv, socket=simulator.path) == Result(status, b"", stderr.encode())


USAGE: list[tuple[list[str], str]] = [
    (["nope"], "No such command 'nope'."),
    (["state", "--nope"], "No such option"),
    (["state", "a", "b"], "Got unexpected extra argument (b)"),
    (["-f", "yaml", "state"], "Invalid value for '-f' / '--format'"),
    (["state", "--wait", "soon"], "Invalid value for '--wait': 'soon' is not a number of seconds"),
    (["state", "--wait", "nan"], "Invalid value for '--wait': 'nan' is not a number of seconds"),
    (["wait", "host", "--timeout", "-1"], "Invalid value for '--timeout': '-1' is not a number of seconds"),
    (["ready", "--unset", "--check"], "--unset, --check and --hold exclude each other."),
    (["config", "get"], "Missing argument 'KEY...'"),
    (["config", "run", "user.*"], "Missing '-- COMMAND' at the end."),
    (["config", "run", "--"], "Missing '-- COMMAND' at the end."),
]


@pytest.mark.parametrize(("argv", "line"), USAGE, ids=[" ".join(argv) for argv, _ in USAGE])
def test_usage_errors_are_status_2_before_any_question(
    argv: list[str], line: str, simulator: Simulator
) -> None:
    result = run(*argv, socket=simulator.path)
    assert (result.status, result.stdout) == (2, b"")
    assert result.stderr.startswith(b"Usage: devlxdctl ")
    assert f"Error: {line}" in result.stderr.decode()
    assert simulator.requests == []


@pytest.mark.parametrize("argv", [[], ["config"], ["wait"]])
def test_a_bare_group_shows_its_help_on_stderr_with_status_2(argv: list[str]) -> None:
    result = run(*argv)
    assert (result.status, result.stdout) == (2, b"")
    assert result.stderr == run(*argv, "-h").stdout


@pytest.mark.parametrize(
    "argv",
    [
        ["--socket", "{}", "-f", "json", "config", "get", "user.role"],
        ["config", "--socket", "{}", "-f", "json", "get", "user.role"],
        ["config", "get", "user.role", "--socket", "{}", "-f", "json"],
        ["--socket", "/nowhere", "-f", "text", "config", "get", "user.role", "--socket", "{}", "-f", "json"],
    ],
)
def test_options_stand_anywhere_and_the_last_one_counts(argv: list[str], simulator: Simulator) -> None:
    assert run(*[part.format(simulator.path) for part in argv]) == ok('{"user.role":"web"}\n')


def test_the_option_goes_before_the_variable(simulator: Simulator, short: Path) -> None:
    assert run("state", "location", "--socket", simulator.path, socket=short / "nowhere") == ok("host1\n")


def test_the_format_table_is_text_and_no_variable_changes_it(simulator: Simulator) -> None:
    env = {"DEVLXD_FORMAT": "json", "DEVLXDCTL_FORMAT": "json"}
    assert run("state", "location", "-f", "table", socket=simulator.path, env=env) == ok("host1\n")


def test_verbose_tells_each_request_on_stderr(simulator: Simulator) -> None:
    result = run("config", "get", "user.role", "user.with space/and%25", "-v", socket=simulator.path)
    lines = sorted(line.rpartition(", ")[0] for line in result.stderr.decode().splitlines())
    assert lines == [
        "devlxdctl: GET /1.0/config/user.role: 200 application/octet-stream, 3 bytes",
        "devlxdctl: GET /1.0/config/user.with%20space%2Fand%2525: 200 application/octet-stream, 3 bytes",
        "devlxdctl: GET /1.0: 200 application/json, 139 bytes".replace("139", str(len(STATE) + 1)),
    ]
    assert (result.status, result.stdout) == (0, b"user.role\tweb\nuser.with space/and%25\todd\n")


def test_names_that_collide_are_an_error_that_names_both(simulator: Simulator) -> None:
    simulator.set({"user.a-b": "1", "user.a_b": "2"})
    for command in (["env"], ["run"]):
        end = ["--", "true"] if command == ["run"] else []
        assert run("config", *command, "user.a*", *end, socket=simulator.path) == Result(
            8, b"", b"devlxdctl: USER_A_B: both user.a-b and user.a_b make this name\n"
        )


def test_a_run_command_gets_no_token_but_the_rest_of_the_environment(simulator: Simulator) -> None:
    env = {"DEVLXD_BEARER_TOKEN": "secret", "PATH": "/usr/bin:/bin", "OTHER": "1"}
    result = run("config", "run", "user.[pr]*", "--", "env", socket=simulator.path, env=env)
    assert sorted(result.stdout.decode().splitlines()) == [
        f"DEVLXD_SOCKET={simulator.path}",
        "OTHER=1",
        "PATH=/usr/bin:/bin",
        "USER_PORT=8080",
        "USER_ROLE=web",
    ]


def test_a_run_command_does_not_ignore_a_broken_pipe(simulator: Simulator) -> None:
    shell = "yes | head -1 >/dev/null; kill -PIPE $$; echo alive"
    assert run("config", "run", "--", "sh", "-c", shell, socket=simulator.path) == Result(-13, b"", b"")


def test_values_that_fit_into_no_environment_are_an_error(simulator: Simulator) -> None:
    simulator.set({"user.large": "x" * 200_000})
    assert run("config", "run", "user.large", "--", "true", socket=simulator.path) == Result(
        8, b"", b"devlxdctl: true: the values do not fit into an environment\n"
    )


def test_values_of_megabytes_come_back_to_the_byte(simulator: Simulator) -> None:
    value = "".join(chr(32 + number % 95) for number in range(3_000_000)) + "ü☃\r\n\n"
    simulator.set({"user.large": value})
    assert run("config", "get", "user.large", socket=simulator.path) == ok(value)
