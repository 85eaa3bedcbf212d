"""Tests of ETags, ids and names of volumes and snapshots."""

import uuid

import pytest

from devlxdctl.simulator.storage.model import Snapshot, Volume, new_operation_id

RECORDED = {
    "size": "8MiB",
    "volatile.devlxd.owner": "f26cf0e4-abfb-4efd-bf07-1e1b41172f2f",
    "volatile.uuid": "346d927a-07d7-4dc6-8297-c0ab98c45e6f",
}


@pytest.mark.parametrize(
    ("config", "etag"),
    [
        (RECORDED, "67f9d2450fa592f5773bd4e0b70d2ca858f66e731efa3bb32728f6187799acd4"),
        ({"user.x": "1", **RECORDED}, "68dc08525d0812fbc827df95319319b6da71f903c494960d234f58627cdf36d8"),
    ],
)
@pytest.mark.parametrize("description", ["d", "new"])
def test_volume_etag_equals_the_recording(config: dict[str, str], etag: str, description: str) -> None:
    assert Volume("a", "default", description, config=config).etag() == etag


def test_snapshot_etag_equals_the_recording() -> None:
    etag = "81f05321b493c994c32cefd377b330a281c7a6d88907d43fb77deb84bcb66a3d"
    assert Snapshot("s1", "first", {"volatile.uuid": "x"}).etag() == etag


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "snap0"),
        (["snap0"], "snap1"),
        (["snap1"], "snap2"),
        (["snap9", "snap10"], "snap11"),
        (["daily", "snapx", "snap"], "snap0"),
    ],
)
def test_default_snapshot_name_is_one_above_the_highest(names: list[str], expected: str) -> None:
    volume = Volume("a", "default", snapshots={name: Snapshot(name) for name in names})
    assert volume.next_snapshot_name() == expected


def test_operation_ids_are_sortable_uuids_of_version_7() -> None:
    ids = [uuid.UUID(new_operation_id()) for _ in range(100)]
    assert {(each.version, each.variant) for each in ids} == {(7, uuid.RFC_4122)}
    assert len(set(ids)) == len(ids)
    assert ids[0].int >> 80 <= ids[-1].int >> 80
