"""Tests of the guest file, valid and invalid."""

import textwrap
from pathlib import Path

import pytest

from devlxdctl.simulator.guest import GuestFileError, default_guest, parse_guest, read_guest
from devlxdctl.simulator.storage import guest_file
from devlxdctl.simulator.storage.model import (
    PROJECT_ENTITLEMENTS,
    Identity,
    OperationPlan,
    Pool,
    identity_id,
)

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
            "identities, images, instance_id, location, name, operations, pools, pro, tokens, type",
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
    assert guest.pools == {"default": Pool("default", "dir"), "fast": Pool("fast", "zfs")}


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


def test_documented_storage_section_is_read() -> None:
    assert guest_file.__doc__ is not None
    section = textwrap.dedent(guest_file.__doc__.partition("\n\n")[2].partition("\n\n")[0])
    guest = parse_guest(section, "f")
    backup = Identity("backup", "f26cf0e4-...")
    assert guest.tokens == {"secret-of-ci": "trusted", "secret-of-backup": "trusted"}
    assert guest.identities == {
        "secret-of-ci": Identity("secret-of-ci", identity_id("secret-of-ci")),
        "secret-of-backup": backup,
    }
    assert guest.pools["default"] == Pool("default", "dir")
    fast = guest.pools["fast"]
    (volume,) = fast.volumes.values()
    assert (fast.driver, volume.name, volume.owner, volume.description, volume.content_type) == (
        *("zfs", "data", backup.id, "database", "block"),
    )
    (snapshot,) = volume.snapshots.values()
    assert (snapshot.name, snapshot.description) == ("snap0", "before the upgrade")
    assert snapshot.config["volatile.uuid"] != volume.config["volatile.uuid"]
    for config in (volume.config, snapshot.config):
        assert {**config, "volatile.uuid": ""} == {
            "size": "10GiB",
            "volatile.devlxd.owner": backup.id,
            "volatile.uuid": "",
        }
    assert guest.operations == {
        "copy": OperationPlan(3.0),
        "delete": OperationPlan(0.0, "The volume is locked", 423),
    }


def test_entitlements_that_are_not_listed_are_not_granted() -> None:
    guest = parse_guest(
        "simulator: {identities: {a: {token: t, project: [can_create_storage_volumes]}}}", "f"
    )
    nothing: frozenset[str] = frozenset()
    expected = Identity("a", identity_id("a"), frozenset(PROJECT_ENTITLEMENTS), nothing, nothing)
    assert guest.identities == {"t": expected}


def test_owner_without_identity_is_somebody_else() -> None:
    text = "simulator: {tokens: {t: trusted}, pools: {p: {volumes: {a: {owner: x}, b: {}, c: {owner: t}}}}}"
    volumes = parse_guest(text, "f").pools["p"].volumes.values()
    assert [volume.owner for volume in volumes] == [identity_id("x"), None, identity_id("t")]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("identities: {a: {}}", "identities: a: token is missing"),
        (
            "identities: {a: {tokn: x}}",
            "identities: a: unknown key 'tokn'; known keys: id, instance, project, token, volume",
        ),
        (
            "identities: {a: {token: t, instance: [can_delete]}}",
            "identities: a: instance: must be one of can_view, can_edit, not 'can_delete'",
        ),
        (
            "identities: {a: {token: t, volume: can_view}}",
            "identities: a: volume: expected a list, got a string",
        ),
        ("pools: {p: {size: 1}}", "pools: p: unknown key 'size'; known keys: driver, volumes"),
        (
            "pools: {p: {volumes: {v: {content_type: iso}}}}",
            "pools: p: v: content_type: must be one of filesystem, block, not 'iso'",
        ),
        (
            "pools: {p: {volumes: {v: {snapshots: {s: {size: 1}}}}}}",
            "pools: p: v: snapshots: s: unknown key 'size'; known keys: config, description",
        ),
        (
            "operations: {move: {}}",
            "operations: must be one of create, copy, update, delete, create-snapshot, delete-snapshot, "
            "not 'move'",
        ),
        ("operations: {copy: {seconds: soon}}", "operations: copy: seconds: not a number of seconds: 'soon'"),
        (
            "operations: {copy: {status: 200}}",
            "operations: copy: status: must be from 400 to 599, not '200'",
        ),
    ],
)
def test_invalid_storage_section_error_names_the_place(section: str, message: str) -> None:
    with pytest.raises(GuestFileError) as caught:
        parse_guest(f"simulator: {{{section}}}", "f")
    assert str(caught.value) == f"f: simulator: {message}"
