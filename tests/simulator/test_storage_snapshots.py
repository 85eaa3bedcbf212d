"""Tests of the endpoints of snapshots."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator.storage_client import CI_ID, VOLUMES, StorageClient, make_storage_simulator

SNAPSHOTS = f"{VOLUMES}/data/snapshots"
POOLS = {
    "default": {
        "volumes": {
            "data": {"owner": "ci", "config": {"size": "1GiB"}},
            "foreign": {"owner": "somebody", "snapshots": {"snap0": {}}},
        }
    }
}


@pytest.fixture
def client(short: Path) -> Iterator[StorageClient]:
    with make_storage_simulator(short, pools=POOLS) as simulator:
        yield StorageClient(simulator.path)


def names(client: StorageClient) -> list[str]:
    return [snapshot["name"] for snapshot in client.send("GET", f"{SNAPSHOTS}?recursion=1").body]


def test_snapshots_without_a_name_are_numbered(client: StorageClient) -> None:
    client.run("POST", SNAPSHOTS, {})
    client.run("POST", SNAPSHOTS, {"name": ""})
    assert names(client) == ["data/snap0", "data/snap1"]


def test_snapshot_has_the_config_of_its_volume_and_its_own_uuid(client: StorageClient) -> None:
    client.run("POST", SNAPSHOTS, {"name": "s1", "description": "first"})
    snapshot = client.send("GET", f"{SNAPSHOTS}/s1").body
    uuid = snapshot["config"].pop("volatile.uuid")
    assert uuid != client.send("GET", f"{VOLUMES}/data").body["config"]["volatile.uuid"]
    config = {"size": "1GiB", "volatile.devlxd.owner": CI_ID}
    expected = {"name": "s1", "description": "first", "content_type": "filesystem", "config": config}
    assert snapshot == expected
    (entry,) = client.send("GET", f"{SNAPSHOTS}?recursion=1").body
    assert entry["config"].pop("volatile.uuid") == uuid
    assert entry == {**expected, "name": "data/s1", "content_type": ""}


def test_snapshots_are_listed_in_order_of_creation(client: StorageClient) -> None:
    for name in ("b", "c", "a"):
        client.run("POST", SNAPSHOTS, {"name": name})
    assert names(client) == ["data/b", "data/c", "data/a"]


def test_snapshot_name_in_use_is_a_conflict(client: StorageClient) -> None:
    client.run("POST", SNAPSHOTS, {"name": "s1"})
    assert client.send("POST", SNAPSHOTS, {"name": "s1"}) == (409, 'Snapshot "s1" already in use\n')


def test_snapshot_name_with_a_slash_is_invalid(client: StorageClient) -> None:
    error = 'Invalid volume snapshot name "a/b": Cannot contain slashes\n'
    assert client.send("POST", SNAPSHOTS, {"name": "a/b"}) == (400, error)


def test_deleted_snapshot_is_not_found(client: StorageClient) -> None:
    client.run("POST", SNAPSHOTS, {"name": "s1"})
    client.run("DELETE", f"{SNAPSHOTS}/s1")
    assert names(client) == []
    for method in ("GET", "DELETE"):
        missing = (404, "Storage volume snapshot not found\n")
        assert client.send(method, f"{SNAPSHOTS}/s1") == missing


@pytest.mark.parametrize("method", ["PATCH", "PUT", "POST"])
def test_snapshot_cannot_be_changed(method: str, client: StorageClient) -> None:
    client.run("POST", SNAPSHOTS, {"name": "s1"})
    assert client.send(method, f"{SNAPSHOTS}/s1", {}) == (501, "Not Implemented\n")


def test_snapshots_of_foreign_and_missing_volumes_are_not_found(client: StorageClient) -> None:
    for volume, error in {"foreign": "Not Found\n", "none": "Storage volume not found\n"}.items():
        target = f"{VOLUMES}/{volume}/snapshots"
        assert client.send("GET", f"{target}?recursion=1") == (404, error)
        assert client.send("POST", target, {}) == (404, error)
        assert client.send("GET", f"{target}/snap0") == (404, error)
        assert client.send("DELETE", f"{target}/snap0") == (404, error)
