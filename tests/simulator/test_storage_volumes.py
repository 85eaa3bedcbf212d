"""Tests of the endpoints of pools and volumes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.simulator.storage_client import (
    CI_ID,
    INSTANCE,
    VOLUMES,
    Result,
    StorageClient,
    make_storage_simulator,
    succeeded,
)

POOLS = {
    "fast": "zfs",
    "default": {
        "driver": "btrfs",
        "volumes": {
            "foreign": {"owner": "somebody"},
            "unowned": {},
            "mine": {
                "owner": "ci",
                "description": "database",
                "content_type": "block",
                "config": {"size": "1GiB", "volatile.uuid": "u1"},
                "snapshots": {"snap0": {"description": "first", "config": {"volatile.uuid": "u2"}}},
            },
        },
    },
}
MINE = {
    "name": "mine",
    "description": "database",
    "pool": "default",
    "type": "custom",
    "content_type": "block",
    "config": {"size": "1GiB", "volatile.devlxd.owner": CI_ID, "volatile.uuid": "u1"},
    "location": "none",
}
PRECONDITION = (
    "ETag does not match: {} vs {}. The configuration has been modified since this change began. "
    "Please retrieve the updated configuration before proceeding.\n"
)
UUID_ERROR = Result(400, 'Custom volume "volatile.uuid" property cannot be changed\n')


@pytest.fixture
def simulator(short: Path) -> Iterator[Simulator]:
    with make_storage_simulator(short, pools=POOLS) as simulator:
        yield simulator


@pytest.fixture
def client(simulator: Simulator) -> StorageClient:
    return StorageClient(simulator.path)


def test_pools_of_guest_file_and_devices_exist(client: StorageClient) -> None:
    for name, driver in {"default": "btrfs", "fast": "zfs"}.items():
        pool = {"name": name, "driver": driver, "status": "Created"}
        assert client.send("GET", f"/1.0/storage-pools/{name}") == (200, pool)
    assert client.send("GET", "/1.0/storage-pools/none") == (404, "Storage pool not found\n")


def test_state_lists_storage_drivers_for_a_trusted_token(client: StorageClient) -> None:
    state = client.send("GET", "/1.0").body
    assert list(state)[4:] == ["auth", "supported_storage_drivers", "environment"]
    assert state["auth"] == "trusted"
    assert state["supported_storage_drivers"] == [
        {"name": "btrfs", "remote": False},
        {"name": "zfs", "remote": False},
    ]
    assert state["environment"] == {"server_clustered": False}


@pytest.mark.parametrize("target", ["/1.0/storage-pools", "/1.0/instances", "/1.0/operations"])
def test_lists_of_pools_instances_and_operations_do_not_exist(target: str, client: StorageClient) -> None:
    assert client.send("GET", target) == (200, ["/1.0"])


@pytest.mark.parametrize("target", [VOLUMES, VOLUMES.removesuffix("/custom"), f"{VOLUMES}/mine/snapshots"])
@pytest.mark.parametrize("query", ["", "?recursion=0", "?recursion=x", "?recursion="])
def test_lists_without_recursion_are_not_implemented(target: str, query: str, client: StorageClient) -> None:
    error = (501, "Only recursive requests are currently supported\n")
    assert client.send("GET", f"{target}{query}") == error


@pytest.mark.parametrize("query", ["recursion=1", "recursion=2", "recursion=1&project=other"])
def test_list_has_own_volumes_and_snapshots_without_content_type(query: str, client: StorageClient) -> None:
    snapshot_config = {**MINE["config"], "volatile.uuid": "u2"}  # type: ignore[dict-item]
    snapshot = {"name": "mine/snap0", "description": "first", "content_type": "", "config": snapshot_config}
    expected = [{**MINE, "content_type": ""}, {**MINE, **snapshot}]
    assert client.send("GET", f"{VOLUMES}?{query}") == (200, expected)
    assert client.send("GET", f"{VOLUMES.removesuffix('/custom')}?{query}") == (200, expected)


def test_single_volume_has_its_content_type_and_etag(client: StorageClient) -> None:
    assert client.send("GET", f"{VOLUMES}/mine") == (200, MINE)
    assert len(client.etag(f"{VOLUMES}/mine")) == 64


@pytest.mark.parametrize("name", ["foreign", "unowned"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_volumes_of_others_are_not_found(name: str, method: str, client: StorageClient) -> None:
    body: object = {} if method in ("PATCH", "PUT") else None
    assert client.send(method, f"{VOLUMES}/{name}", body) == (404, "Not Found\n")


def test_created_volume_has_owner_and_uuid(client: StorageClient) -> None:
    body = {"name": "new", "description": "d", "config": {"size": "10MB"}, "content_type": "block"}
    client.run("POST", VOLUMES, body)
    volume = client.send("GET", f"{VOLUMES}/new").body
    assert len(volume["config"].pop("volatile.uuid")) == 36
    config = {"size": "10MB", "volatile.devlxd.owner": CI_ID}
    assert volume == {**MINE, "name": "new", "description": "d", "config": config}
    other = StorageClient(client.path, "other-token")
    assert other.send("GET", f"{VOLUMES}?recursion=1") == (200, [])
    assert other.send("GET", f"{VOLUMES}/new") == (404, "Not Found\n")


@pytest.mark.parametrize(
    "name", ["a b", "ü☃", "a%2Fb", "a?b", "a#b", "a+b", "a&b=c", "-dash", "..", "a\tb", 'a"b', "x" * 200]
)
def test_volume_name_can_contain_any_character_but_a_slash(name: str, client: StorageClient) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in name.encode())
    client.run("POST", VOLUMES, {"name": name})
    assert client.send("GET", f"{VOLUMES}/{encoded}").body["name"] == name
    client.run("POST", f"{VOLUMES}/{encoded}/snapshots", {"name": name})
    assert client.send("GET", f"{VOLUMES}/{encoded}/snapshots/{encoded}").body["name"] == name
    client.run("DELETE", f"{VOLUMES}/{encoded}")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": ""}, (400, 'Invalid volume name "": Cannot be empty\n')),
        ({}, (400, 'Invalid volume name "": Cannot be empty\n')),
        ({"name": "x/y"}, (400, 'Invalid volume name "x/y": Cannot contain slashes\n')),
        ({"name": "a", "type": "image"}, (400, "URL volume type does not match the volume type in body\n")),
        ({"name": "mine"}, (409, "Volume by that name already exists\n")),
        ({"name": "foreign"}, (409, "Volume by that name already exists\n")),
        ({"name": "a", "content_type": "x"}, (400, 'Invalid storage volume content type "x"\n')),
        (
            {"name": "a", "source": {"type": "move", "name": "mine", "pool": "default"}},
            (400, 'Invalid source type "move": Only source type "copy" is supported\n'),
        ),
        (
            {"name": "a", "source": {"type": "copy", "pool": "default"}},
            (400, "Source volume name must be provided when source is configured\n"),
        ),
        (
            {"name": "a", "source": {"type": "copy", "name": "foreign", "pool": "default"}},
            (404, "Source volume not found\n"),
        ),
        (
            {"name": "a", "source": {"type": "copy", "name": "mine", "pool": "fast"}},
            (404, "Source volume not found\n"),
        ),
        (
            {"name": "a", "source": {"type": "copy", "name": "mine/none", "pool": "default"}},
            (404, "Storage volume snapshot not found\n"),
        ),
        (
            ["a"],
            (
                500,
                "Failed decoding request body: json: cannot unmarshal array into Go value of type "
                "api.DevLXDStorageVolumesPost\n",
            ),
        ),
        (
            {"name": 5},
            (
                500,
                "Failed decoding request body: json: cannot unmarshal number into Go struct field "
                "DevLXDStorageVolumesPost.name of type string\n",
            ),
        ),
        (
            {"name": "a", "config": {"size": 5}},
            (
                500,
                "Failed decoding request body: json: cannot unmarshal number into Go struct field "
                "DevLXDStorageVolumesPost.config of type string\n",
            ),
        ),
    ],
)
def test_invalid_creation_of_a_volume_is_an_error(
    body: object, expected: Result, client: StorageClient
) -> None:
    assert client.send("POST", VOLUMES, body) == expected


def test_creation_in_an_unknown_pool_is_not_found(client: StorageClient) -> None:
    target = "/1.0/storage-pools/none/volumes"
    assert client.send("POST", target, {"name": "a"}) == (404, "Storage pool not found\n")


@pytest.mark.parametrize("size", ["1GiB", "1000MB", "0", "17", "5EiB"])
def test_valid_size_of_a_volume_is_accepted(size: str, client: StorageClient) -> None:
    client.run("POST", VOLUMES, {"name": "a", "config": {"size": size}})
    assert client.send("GET", f"{VOLUMES}/a").body["config"]["size"] == size


@pytest.mark.parametrize("size", ["-1", "ten", "1 GiB", "1.5GiB", "1gb"])
def test_invalid_size_fails_in_the_operation(size: str, client: StorageClient) -> None:
    operation = client.start("POST", VOLUMES, {"name": "a", "config": {"size": size}})
    error = f'Invalid value for volume "a" option "size": Invalid value: {size}\n'
    assert client.wait(operation) == (500, error)
    assert client.send("GET", f"{VOLUMES}/a") == (404, "Storage volume not found\n")


def test_invalid_config_key_fails_in_the_operation(client: StorageClient) -> None:
    operation = client.start("POST", VOLUMES, {"name": "a", "config": {"nonsense": "1"}})
    assert client.wait(operation) == (500, 'Invalid option for volume "a" option "nonsense"\n')
    operation = client.start("PATCH", f"{VOLUMES}/mine", {"config": {"nonsense": "1"}})
    assert client.wait(operation) == (500, 'Invalid option for volume "mine" option "nonsense"\n')
    assert client.send("GET", f"{VOLUMES}/mine") == (200, MINE)


def test_copy_of_a_volume_has_its_snapshots_but_not_its_config(client: StorageClient) -> None:
    client.run("POST", VOLUMES, {"name": "cp", "source": {"type": "copy", "name": "mine", "pool": "default"}})
    copy = client.send("GET", f"{VOLUMES}/cp").body
    assert (sorted(copy["config"]), copy["content_type"], copy["description"]) == (
        ["volatile.devlxd.owner", "volatile.uuid"],
        "block",
        "",
    )
    snapshot = client.send("GET", f"{VOLUMES}/cp/snapshots/snap0").body
    assert (snapshot["config"]["size"], snapshot["description"]) == ("1GiB", "first")
    assert snapshot["config"]["volatile.uuid"] != "u2"


def test_copy_of_a_snapshot_has_no_snapshots(client: StorageClient) -> None:
    source = {"type": "copy", "name": "mine/snap0", "pool": "default"}
    client.run("POST", "/1.0/storage-pools/fast/volumes", {"name": "cp", "source": source})
    target = "/1.0/storage-pools/fast/volumes/custom/cp"
    assert client.send("GET", target).body["content_type"] == "block"
    assert client.send("GET", f"{target}/snapshots?recursion=1") == (200, [])


def test_patch_merges_config_and_replaces_the_description(client: StorageClient) -> None:
    client.run("PATCH", f"{VOLUMES}/mine", {"description": "new", "config": {"user.x": "1", "size": "2GiB"}})
    config = {**MINE["config"], "size": "2GiB", "user.x": "1"}  # type: ignore[dict-item]
    assert client.send("GET", f"{VOLUMES}/mine").body == {**MINE, "description": "new", "config": config}
    client.run("PATCH", f"{VOLUMES}/mine", {"config": {"user.x": "", "size": "1GiB"}})
    assert client.send("GET", f"{VOLUMES}/mine").body == {**MINE, "description": ""}


def test_put_without_volatile_uuid_fails_in_the_operation(client: StorageClient) -> None:
    operation = client.start("PUT", f"{VOLUMES}/mine", {"config": {"user.x": "1"}})
    assert client.wait(operation) == UUID_ERROR
    assert client.send("GET", f"{VOLUMES}/mine") == (200, MINE)


def test_put_with_volatile_uuid_replaces_the_config(client: StorageClient) -> None:
    client.run("PUT", f"{VOLUMES}/mine", {"config": {"user.x": "1", "volatile.uuid": "u1"}})
    config = {"user.x": "1", "volatile.devlxd.owner": CI_ID, "volatile.uuid": "u1"}
    assert client.send("GET", f"{VOLUMES}/mine").body == {**MINE, "description": "", "config": config}


def test_owner_of_a_volume_cannot_be_changed(client: StorageClient) -> None:
    body = {"config": {"volatile.devlxd.owner": "somebody"}}
    assert client.send("PATCH", f"{VOLUMES}/mine", body) == (400, "Volume owner cannot be changed\n")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_change_with_old_etag_is_refused(method: str, client: StorageClient) -> None:
    old = client.etag(f"{VOLUMES}/mine")
    client.run("PATCH", f"{VOLUMES}/mine", {"config": {"user.x": "1"}})
    new = client.etag(f"{VOLUMES}/mine")
    for if_match in (old, f'"{old}"'):
        response = client.send(method, f"{VOLUMES}/mine", {"config": {"user.x": "2"}}, if_match)
        assert response == (412, PRECONDITION.format(new, old))
    assert client.etag(f"{VOLUMES}/mine") == new


def test_change_with_current_etag_is_accepted_with_and_without_quotes(client: StorageClient) -> None:
    for number, form in enumerate(("{}", '"{}"')):
        etag = client.etag(f"{VOLUMES}/mine")
        client.run("PATCH", f"{VOLUMES}/mine", {"config": {"user.x": str(number)}}, form.format(etag))
        assert client.etag(f"{VOLUMES}/mine") != etag


def test_etag_does_not_depend_on_the_description(client: StorageClient) -> None:
    etag = client.etag(f"{VOLUMES}/mine")
    client.run("PATCH", f"{VOLUMES}/mine", {"description": "other"})
    assert client.etag(f"{VOLUMES}/mine") == etag


def test_delete_removes_volume_and_snapshots(client: StorageClient) -> None:
    client.run("DELETE", f"{VOLUMES}/mine")
    assert client.send("GET", f"{VOLUMES}?recursion=1") == (200, [])
    missing = (404, "Storage volume not found\n")
    assert client.send("DELETE", f"{VOLUMES}/mine") == missing
    assert client.send("GET", f"{VOLUMES}/mine/snapshots/snap0") == missing


def test_attached_volume_cannot_be_deleted(client: StorageClient) -> None:
    client.run("POST", VOLUMES, {"name": "data"})
    device = {"type": "disk", "pool": "default", "source": "data", "path": "/srv"}
    assert client.send("PATCH", INSTANCE, {"devices": {"d": device}}) == (200, "")
    assert client.send("DELETE", f"{VOLUMES}/data") == (400, "The storage volume is still in use\n")


def test_types_other_than_custom_are_refused(client: StorageClient) -> None:
    volumes = "/1.0/storage-pools/default/volumes/image"
    only_custom = (400, "Only custom storage volume requests are allowed\n")
    assert client.send("GET", f"{volumes}?recursion=1") == only_custom
    assert client.send("GET", f"{volumes}/a") == only_custom
    created = (400, "Only custom storage volumes can be created\n")
    assert client.send("POST", volumes, {"name": "a"}) == created
    snapshots = (400, "Only snapshots from custom storage volumes can be retrieved\n")
    assert client.send("GET", f"{volumes}/a/snapshots?recursion=1") == snapshots


@pytest.mark.parametrize("target", [f"{VOLUMES}?recursion=1&target=nope", f"{VOLUMES}/mine?target=nope"])
def test_unknown_cluster_member_is_not_found(target: str, client: StorageClient) -> None:
    assert client.send("GET", target) == (404, "Cluster member not found\n")


def test_lost_response_fault_closes_the_connection_after_the_creation(short: Path) -> None:
    with make_storage_simulator(short, "lost-response") as simulator:
        client = StorageClient(simulator.path)
        with pytest.raises(EOFError):
            client.send("POST", VOLUMES, {"name": "a"})
        assert client.send("GET", f"{VOLUMES}/a").status == 200
        operation = client.start("POST", VOLUMES, {"name": "b"})
        assert client.wait(operation) == succeeded(operation)
