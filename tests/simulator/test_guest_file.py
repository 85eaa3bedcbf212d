"""Tests of the guest file, valid and invalid."""

from pathlib import Path

import pytest

from devlxdctl.simulator.guest import GuestFileError, default_guest, parse_guest, read_guest

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_yaml_scalars_are_kept_as_written() -> None:
    guest = parse_guest("config: {user.a: 8080, user.b: yes, user.c: 1.10, user.d: '007', user.e: 0x1f}", "f")
    assert guest.config == {
        "user.a": "8080",
        "user.b": "yes",
        "user.c": "1.10",
        "user.d": "007",
        "user.e": "0x1f",
    }


def test_example_guest_file_is_read_completely() -> None:
    guest = read_guest(EXAMPLES / "guest.yaml")
    assert (guest.name, guest.type, guest.location) == ("web1", "container", "rack-7-node-2")
    assert guest.config["cloud-init.user-data"] == (
        "#cloud-config\npackages:\n- nginx\nruncmd:\n- [devlxdctl, ready]\n"
    )
    assert sorted(guest.devices) == ["eth0", "eth1", "root", "site"]


def test_default_guest_is_a_web_server() -> None:
    guest = default_guest()
    assert guest.config["user.role"] == "web"
    assert guest.devices["eth0"]["type"] == "nic"


def test_keys_without_values_are_empty() -> None:
    guest = parse_guest("config:\ndevices:\n", "f")
    assert (guest.config, guest.devices, guest.name) == ({}, {}, "guest")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config: {user.a: [1]}", "f: config: user.a: expected a string, got a list"),
        ("config: [user.a]", "f: config: expected keys and values, got a list"),
        ("devices: {eth0: {name: eth0}}", "f: devices: eth0: type is missing"),
        ("devices: {eth0: nic}", "f: devices: eth0: expected keys and values, got a string"),
        ("- a\n- b", "f: the file: expected keys and values, got a list"),
        (
            "name: web1",
            "f: no config and no devices; expected the output of `lxc config show --expanded`",
        ),
        ("", "f: no config and no devices; expected the output of `lxc config show --expanded`"),
        (
            "simulator: {nmae: web1}",
            "f: simulator: unknown key 'nmae'; known keys: "
            "images, instance_id, location, name, pools, pro, tokens, type",
        ),
        (
            "simulator: {type: vm}",
            "f: simulator: type: must be one of container, virtual-machine, not 'vm'",
        ),
        (
            "config:\n  user.a: 1\n user.b: 2\n",
            "f, line 3: expected <block end>, but found '<block mapping start>'",
        ),
        ('config: {user.a: "\\ud83d"}', "f: config: user.a: contains an unpaired surrogate"),
    ],
)
def test_invalid_guest_file_error_names_the_place(text: str, message: str) -> None:
    with pytest.raises(GuestFileError) as caught:
        parse_guest(text, "f")
    assert str(caught.value) == message


def test_unreadable_guest_file_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(GuestFileError) as caught:
        read_guest(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path}/none.yaml: no such file or directory"
    (tmp_path / "binary.yaml").write_bytes(b"config: \xff")
    with pytest.raises(GuestFileError) as caught:
        read_guest(tmp_path / "binary.yaml")
    assert str(caught.value) == f"{tmp_path}/binary.yaml: not valid UTF-8 at byte 8"


def test_pools_tokens_and_pro_are_read() -> None:
    guest = read_guest(EXAMPLES / "guest.yaml")
    assert guest.pro == "on"
    assert guest.tokens == {"devlxd-token-of-web1": "trusted", "last-years-token": "expired"}
    assert guest.pools == {"default": "dir", "fast": "zfs"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("simulator: {pro: maybe}", "f: simulator: pro: must be one of off, available, on, not 'maybe'"),
        (
            "simulator: {tokens: {a: b}}",
            "f: simulator: tokens: must be one of trusted, expired, wrong, not 'b'",
        ),
        ("simulator: {tokens: a}", "f: simulator: tokens: expected keys and values, got a string"),
        ("simulator: {pools: [a]}", "f: simulator: pools: expected keys and values, got a list"),
    ],
)
def test_invalid_pools_tokens_and_pro_are_errors(text: str, message: str) -> None:
    with pytest.raises(GuestFileError) as caught:
        parse_guest(text, "f")
    assert str(caught.value) == message
