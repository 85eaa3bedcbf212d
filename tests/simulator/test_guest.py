"""The guest file: the output of `lxc config show --expanded`, and mistakes in it."""

from pathlib import Path

import pytest

from devlxdctl.simulator.guest import GuestFileError, default_guest, parse_guest, read_guest

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_values_stay_as_they_are_written() -> None:
    guest = parse_guest("config: {user.a: 8080, user.b: yes, user.c: 1.10, user.d: '007', user.e: 0x1f}", "f")
    assert guest.config == {
        "user.a": "8080",
        "user.b": "yes",
        "user.c": "1.10",
        "user.d": "007",
        "user.e": "0x1f",
    }


def test_the_example_is_read_wholly() -> None:
    guest = read_guest(EXAMPLES / "guest.yaml")
    assert (guest.name, guest.type, guest.location) == ("web1", "container", "rack-7-node-2")
    assert guest.config["cloud-init.user-data"] == (
        "#cloud-config\npackages:\n- nginx\nruncmd:\n- [devlxdctl, ready]\n"
    )
    assert sorted(guest.devices) == ["eth0", "eth1", "root", "site"]


def test_the_guest_that_comes_along_is_a_web_server() -> None:
    guest = default_guest()
    assert guest.config["user.role"] == "web"
    assert guest.devices["eth0"]["type"] == "nic"


def test_headings_with_nothing_below_them_are_empty() -> None:
    guest = parse_guest("config:\ndevices:\n", "f")
    assert (guest.config, guest.devices, guest.name) == ({}, {}, "guest")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("config: {user.a: [1]}", "f: config: user.a: a string is expected, not a list"),
        ("config: [user.a]", "f: config: keys and values are expected, not a list"),
        ("devices: {eth0: {name: eth0}}", "f: devices: eth0: it has no type"),
        ("devices: {eth0: nic}", "f: devices: eth0: keys and values are expected, not a string"),
        ("- a\n- b", "f: the file: keys and values are expected, not a list"),
        (
            "name: web1",
            "f: neither config nor devices: is it the output of `lxc config show --expanded`?",
        ),
        ("", "f: neither config nor devices: is it the output of `lxc config show --expanded`?"),
        (
            "simulator: {nmae: web1}",
            "f: simulator: unknown key 'nmae', it knows "
            "images, instance_id, location, name, pools, pro, tokens, type",
        ),
        (
            "simulator: {type: vm}",
            "f: simulator: type: 'vm' is none of container, virtual-machine",
        ),
        (
            "config:\n  user.a: 1\n user.b: 2\n",
            "f, line 3: expected <block end>, but found '<block mapping start>'",
        ),
        ('config: {user.a: "\\ud83d"}', "f: config: user.a: half of a surrogate pair is no character"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(GuestFileError) as caught:
        parse_guest(text, "f")
    assert str(caught.value) == complaint


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(GuestFileError) as caught:
        read_guest(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path}/none.yaml: No such file or directory"
    (tmp_path / "binary.yaml").write_bytes(b"config: \xff")
    with pytest.raises(GuestFileError) as caught:
        read_guest(tmp_path / "binary.yaml")
    assert str(caught.value) == f"{tmp_path}/binary.yaml: not UTF-8 text: byte 8"


def test_pools_tokens_and_pro() -> None:
    guest = read_guest(EXAMPLES / "guest.yaml")
    assert guest.pro == "on"
    assert guest.tokens == {"devlxd-token-of-web1": "trusted", "last-years-token": "expired"}
    assert guest.pools == {"default": "dir", "fast": "zfs"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("simulator: {pro: maybe}", "f: simulator: pro: 'maybe' is none of off, available, on"),
        ("simulator: {tokens: {a: b}}", "f: simulator: tokens: 'b' is none of trusted, expired, wrong"),
        ("simulator: {tokens: a}", "f: simulator: tokens: keys and values are expected, not a string"),
        ("simulator: {pools: [a]}", "f: simulator: pools: keys and values are expected, not a list"),
    ],
)
def test_mistakes_in_them(text: str, complaint: str) -> None:
    with pytest.raises(GuestFileError) as caught:
        parse_guest(text, "f")
    assert str(caught.value) == complaint
