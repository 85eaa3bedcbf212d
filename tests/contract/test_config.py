"""Config keys on every host: listed, read, and refused."""

from __future__ import annotations

import json

import pytest

from tests.contract.commands import devlxdctl, failure, stdout_of
from tests.contract.expected import EXPECTED
from tests.hosts import Host
from tests.support.program import PROGRAM, Result

KEYS = {
    "user.foo": "bar",
    "user.Foo": "Upper",
    "user.with space": "v1",
    "user.a/b": "slash",
    "user.a%2Fb": "literal-percent",
    "user.50%": "pct",
    "user.ünï☃": "uni-ключ😀",
    "user.q?x=1": "qm",
    "user.h#frag": "hash",
    "user.a+b": "plus",
    'user.a"b\\c': "quote",
    "user.<&>": "html",
    "user.tab\tkey": "t",
    "user.a..b": "dots",
    "user.a/../b": "dotdot",
    "user./lead": "lead",
    "user.tail/": "tailslash",
    "user.a//b": "dbl",
    "user.;x": "semi",
    "user.a=b": "eq",
    "user.-dash": "dash",
    "user.multi": "l1\nl2\nl3",
    "user.trail": "x\n\n",
    "user.crlf": "a\r\nb\r\n",
    "user.space": "  x  ",
    "user.json": '{"a":1}',
    "cloud-init.user-data": "#cloud-config\n{}\n",
}


def test_every_allowed_key_is_listed_and_read_as_it_was_set(any_host: Host) -> None:
    any_host.set(KEYS)
    keys = sorted(KEYS)
    assert json.loads(stdout_of(any_host, "config", "ls", "-f", "json")) == keys
    values = json.loads(stdout_of(any_host, "config", "ls", "-l", "-f", "json"))
    assert list(values.items()) == [(key, KEYS[key]) for key in keys]
    assert json.loads(stdout_of(any_host, "config", "get", "-f", "json", "--", *KEYS)) == KEYS
    for key in ("user.a%2Fb", "user.trail", "user.crlf", "user.ünï☃"):
        assert stdout_of(any_host, "config", "get", "-n", key) == KEYS[key].encode()


def test_instance_without_keys_gives_empty_lists(any_host: Host) -> None:
    assert stdout_of(any_host, "config", "ls") == b""
    assert stdout_of(any_host, "config", "ls", "-l", "-f", "json") == b"{}\n"
    assert stdout_of(any_host, "config", "env") == b""


def test_values_of_every_size_are_read_exactly(any_host: Host) -> None:
    sizes = (2048, 2049, 4096, 500_000)
    values = {f"user.of-{size}": ("0123456789abcde\n" * (size // 16 + 1))[:size] for size in sizes}
    any_host.set(values)
    for key, value in values.items():
        assert stdout_of(any_host, "config", "get", "-n", key) == value.encode()


def test_three_hundred_keys_are_listed_with_their_values(any_host: Host) -> None:
    values = {f"user.k{number:03}": f"value {number}" for number in range(300)}
    any_host.set(values)
    lines = "".join(f"{key}\t{value}\n" for key, value in values.items())
    assert stdout_of(any_host, "config", "ls", "-l") == lines.encode()


def test_unset_keys_are_all_named_with_the_command_that_sets_one(any_host: Host) -> None:
    client = EXPECTED[any_host.name].client
    problem, hint = "not set on this instance", f"on the host: {client} config set INSTANCE user.a VALUE"
    result = devlxdctl(any_host, "config", "get", "user.a", "cloud-init.b")
    assert result == failure(6, "user.a, cloud-init.b", problem, hint)
    assert stdout_of(any_host, "config", "get", "user.a", "--default", "d") == b"d\n"


@pytest.mark.parametrize(
    "argv",
    [
        ("get", "user.rol"),
        ("ls", "user.rol"),
        ("env", "user.rol"),
        ("run", "user.rol", "--", "echo", "must not run"),
    ],
    ids=lambda argv: argv[0],
)
def test_unset_key_fails_and_a_similar_key_is_suggested(argv: tuple[str, ...], any_host: Host) -> None:
    any_host.set({"user.role": "web", "user.port": "80"})
    expected = failure(6, "user.rol", "not set on this instance", "did you mean user.role?")
    assert devlxdctl(any_host, "config", *argv) == expected


def test_optional_accepts_an_unset_key(any_host: Host) -> None:
    any_host.set({"user.role": "web"})
    assert stdout_of(any_host, "config", "ls", "--optional", "user.rol", "user.role") == b"user.role\n"
    assert stdout_of(any_host, "config", "run", "--optional", "user.rol", "--", "echo", "runs") == b"runs\n"


@pytest.mark.parametrize("key", ["limits.cpu", "volatile.uuid", "port", "User.foo"])
def test_forbidden_key_fails_in_spite_of_a_default(key: str, any_host: Host) -> None:
    any_host.set({"user.role": "web"})
    expected = failure(4, key, "permission denied", "guests can read user.* and cloud-init.* keys only")
    assert devlxdctl(any_host, "config", "get", key, "--default", "d") == expected


def test_key_without_its_namespace_suggests_the_key_that_is_set(any_host: Host) -> None:
    any_host.set({"user.role": "web"})
    expected = failure(4, "role", "permission denied", "did you mean user.role?")
    assert devlxdctl(any_host, "config", "get", "role") == expected


def test_ssh_keys_can_be_read_where_the_host_accepts_them(any_host: Host) -> None:
    if not EXPECTED[any_host.name].accepts_ssh_keys:
        assert devlxdctl(any_host, "config", "get", "cloud-init.ssh-keys.k1").status == 6
        return
    any_host.set({"cloud-init.ssh-keys.k1": "root:gh:someone"})
    assert stdout_of(any_host, "config", "get", "cloud-init.ssh-keys.k1") == b"root:gh:someone\n"


def test_env_and_run_pass_values_to_a_shell_unchanged(any_host: Host) -> None:
    any_host.set({"user.role": "web", "user.motd": "it's\n"})
    assert stdout_of(any_host, "config", "env") == b"USER_MOTD='it'\"'\"'s\n'\nUSER_ROLE='web'\n"
    script = 'e=$("$0" config env) && eval "$e" && printf %s "$USER_MOTD$USER_ROLE"'
    assert any_host.run("sh", "-c", script, PROGRAM) == Result(0, b"it's\nweb", b"")
    shell = ("sh", "-c", 'printf %s "$ROLE"')
    assert stdout_of(any_host, "config", "run", "--prefix", "", "--", *shell) == b"web"


@pytest.mark.parametrize("environment", [{}, {"LC_ALL": "C"}], ids=["empty", "LC_ALL=C"])
def test_keys_are_utf_8_whatever_the_environment_is(environment: dict[str, str], any_host: Host) -> None:
    any_host.set({"user.ünï": "ключ"})
    result = any_host.run(PROGRAM, "config", "ls", "-l", env=environment)
    assert result == Result(0, "user.ünï\tключ\n".encode(), b"")
