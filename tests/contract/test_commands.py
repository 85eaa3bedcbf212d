"""The installed program inside a guest, on every host: what it prints, and what the host then has."""

from __future__ import annotations

import json

import pytest

from tests.contract.expected import EXPECTED
from tests.hosts import PROGRAM, DaemonHost, Host, Result

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


def devlxdctl(host: Host, *argv: str, **how: object) -> Result:
    return host.run(PROGRAM, *argv, **how)  # type: ignore[arg-type]


def printed(host: Host, *argv: str) -> bytes:
    result = devlxdctl(host, *argv)
    assert (result.status, result.stderr) == (0, b"")
    return result.stdout


def test_versions(host: Host) -> None:
    assert printed(host, "versions") == b"/1.0\n"
    assert printed(host, "versions", "-f", "json") == b'["/1.0"]\n'


def test_state(host: Host) -> None:
    expected = EXPECTED[host.name]
    document = json.loads(printed(host, "-f", "json", "state"))
    fields = ("state", "api_version", "instance_type", "location", *expected.more_fields)
    assert tuple(document) == fields
    assert document["state"] == expected.state
    assert document["instance_type"] == "container"
    lines = printed(host, "state").decode().splitlines()
    assert [line.split("\t")[0] for line in lines] == list(fields)
    assert printed(host, "state", "location") == f"{document['location']}\n".encode()
    assert printed(host, "state", "state") == f"{expected.state}\n".encode()


def test_ready_is_what_the_host_then_believes(host: Host) -> None:
    expected = EXPECTED[host.name]
    if not expected.state:
        upgrade = f"hint: the {expected.product} of this host knows no readiness: upgrade the host\n"
        ignored = Result(3, b"", f"devlxdctl: ready: this host ignores it\n{upgrade}".encode())
        unknown = Result(3, b"", f"devlxdctl: ready: this host knows no readiness\n{upgrade}".encode())
        assert devlxdctl(host, "ready") == ignored
        assert devlxdctl(host, "ready", "--unset") == ignored
        assert devlxdctl(host, "ready", "--check") == unknown
        assert host.ready() is None
        return
    assert devlxdctl(host, "ready", "--check") == Result(6, b"", b"")
    assert printed(host, "ready") == b""
    assert host.ready() is True
    assert printed(host, "ready", "--check") == b""
    assert printed(host, "state", "state") == b"Ready\n"
    assert printed(host, "ready", "--unset") == b""
    assert not host.ready()
    assert devlxdctl(host, "ready", "--check") == Result(6, b"", b"")


def test_any_key_is_listed_and_read_as_it_was_set(host: Host) -> None:
    host.set(KEYS)
    keys = sorted(KEYS)
    assert json.loads(printed(host, "config", "ls", "-f", "json")) == keys
    values = json.loads(printed(host, "config", "ls", "-l", "-f", "json"))
    assert list(values.items()) == [(key, KEYS[key]) for key in keys]
    assert json.loads(printed(host, "config", "get", "-f", "json", "--", *KEYS)) == KEYS
    for key in ("user.a%2Fb", "user.trail", "user.crlf", "user.ünï☃"):
        assert printed(host, "config", "get", "-n", key) == KEYS[key].encode()


def test_no_keys(host: Host) -> None:
    assert printed(host, "config", "ls") == b""
    assert printed(host, "config", "ls", "-l", "-f", "json") == b"{}\n"
    assert printed(host, "config", "env") == b""


def test_values_of_every_size_come_back_to_the_byte(host: Host) -> None:
    sizes = (2048, 2049, 4096, 500_000)
    values = {f"user.of-{size}": ("0123456789abcde\n" * (size // 16 + 1))[:size] for size in sizes}
    host.set(values)
    for key, value in values.items():
        assert printed(host, "config", "get", "-n", key) == value.encode()


def test_three_hundred_keys(host: Host) -> None:
    values = {f"user.k{number:03}": f"value {number}" for number in range(300)}
    host.set(values)
    lines = "".join(f"{key}\t{value}\n" for key, value in values.items())
    assert printed(host, "config", "ls", "-l") == lines.encode()


def test_keys_that_are_not_there(host: Host) -> None:
    client = EXPECTED[host.name].client
    assert devlxdctl(host, "config", "get", "user.a", "cloud-init.b") == Result(
        6,
        b"",
        b"devlxdctl: user.a, cloud-init.b: not set on this instance\n"
        + f"hint: on the host: {client} config set INSTANCE user.a=VALUE\n".encode(),
    )
    assert printed(host, "config", "get", "user.a", "--default", "d") == b"d\n"


@pytest.mark.parametrize("key", ["limits.cpu", "volatile.uuid", "role", "User.foo"])
def test_keys_that_guests_may_not_read(key: str, host: Host) -> None:
    said = EXPECTED[host.name].forbidden
    assert devlxdctl(host, "config", "get", key, "--default", "d") == Result(
        4, b"", f"devlxdctl: {key}: not permitted: {said}\nhint: did you mean user.{key}?\n".encode()
    )


def test_ssh_keys_can_be_read_where_they_can_be_set(host: Host) -> None:
    if not EXPECTED[host.name].takes_ssh_keys:
        result = devlxdctl(host, "config", "get", "cloud-init.ssh-keys.k1")
        assert result.status == 6
        return
    host.set({"cloud-init.ssh-keys.k1": "root:gh:someone"})
    assert printed(host, "config", "get", "cloud-init.ssh-keys.k1") == b"root:gh:someone\n"


def test_env_and_run(host: Host) -> None:
    host.set({"user.role": "web", "user.motd": "it's\n"})
    assert printed(host, "config", "env") == b"USER_MOTD='it'\"'\"'s\n'\nUSER_ROLE='web'\n"
    script = 'e=$("$0" config env) && eval "$e" && printf %s "$USER_MOTD$USER_ROLE"'
    assert host.run("sh", "-c", script, PROGRAM).stdout == b"it's\nweb"
    assert printed(host, "config", "run", "--prefix", "", "--", "sh", "-c", 'printf %s "$ROLE"') == b"web"


def test_devices(host: Host) -> None:
    options = {"type": "disk", "source": "/usr", "path": "/mnt/with space", "readonly": "true"}
    before = json.loads(printed(host, "devices", "-f", "json"))
    assert before["root"] == {"path": "/", "pool": "default", "type": "disk"}
    host.add_device("data", options)
    after = json.loads(printed(host, "devices", "-f", "json"))
    assert after == {**before, "data": options}
    assert json.loads(printed(host, "devices", "data", "-f", "json")) == options
    assert printed(host, "devices", "data") == (
        b"data\tdisk\t\tpath=/mnt/with space\treadonly=true\tsource=/usr\n"
    )
    host.remove_device("data")
    assert json.loads(printed(host, "devices", "-f", "json")) == before
    assert devlxdctl(host, "devices", "data") == Result(
        6, b"", b"devlxdctl: data: the instance has no such device\nhint: devlxdctl devices\n"
    )


def test_the_interface_of_a_nic(real_host: DaemonHost) -> None:
    """The host names it eth0, the kernel of the guest agrees, and its address is known to both."""
    real_host.add_device("uplink", {"type": "nic", "nictype": "p2p", "name": "eth0"})
    name, kind, interface, *rest = printed(real_host, "devices", "uplink").decode().rstrip("\n").split("\t")
    assert (name, kind, interface) == ("uplink", "nic", "eth0")
    assert "name=eth0" in rest


def test_nobody_is_not_permitted(host: Host) -> None:
    expected = Result(
        4,
        b"",
        b"devlxdctl: /1.0: not permitted: Access denied for non-root user\n"
        + "hint: only root may use it: sudo devlxdctl …\n".encode(),
    )
    assert devlxdctl(host, "state", user=65534) == expected


def test_an_empty_environment(host: Host) -> None:
    host.set({"user.ünï": "ключ"})
    for env in ({}, {"LC_ALL": "C"}):
        result = devlxdctl(host, "config", "ls", "-l", env=env)
        assert result == Result(0, "user.ünï\tключ\n".encode(), b"")


def test_verbose_says_what_is_asked(host: Host) -> None:
    result = devlxdctl(host, "-v", "versions")
    assert result.stderr.startswith(b"devlxdctl: GET /: 200 application/json, 9 bytes, ")
    assert result.stdout == b"/1.0\n"


def test_the_same_through_the_hosts_own_exec(real_host: DaemonHost) -> None:
    real_host.set({"user.role": "web"})
    assert real_host.execute(PROGRAM, "config", "get", "user.role") == Result(0, b"web\n", b"")
    result = real_host.execute(PROGRAM, "state", user=65534)
    assert (result.status, result.stdout) == (4, b"")
