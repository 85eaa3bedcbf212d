"""Tests of the endpoint of the instance: attach and detach volumes."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.profiles import LXD_6
from tests.simulator.simhost import RawConnection, request
from tests.simulator.storage_client import INSTANCE, StorageClient, make_storage_simulator

POOLS = {
    "default": {
        "volumes": {
            "data": {"owner": "ci"},
            "disk": {"owner": "ci", "content_type": "block"},
            "foreign": {"owner": "somebody"},
        }
    }
}
DATA = {"path": "/srv", "pool": "default", "source": "data", "type": "disk"}


@pytest.fixture
def simulator(short: Path) -> Iterator[Simulator]:
    with make_storage_simulator(short, pools=POOLS) as simulator:
        yield simulator


@pytest.fixture
def client(simulator: Simulator) -> StorageClient:
    return StorageClient(simulator.path)


def test_attach_and_detach_are_synchronous_and_cause_events(
    simulator: Simulator, client: StorageClient
) -> None:
    assert client.send("GET", INSTANCE) == (200, {"name": "web1", "devices": {}})
    with RawConnection(simulator.path) as events:
        events.open_websocket("/1.0/events?type=device")
        assert client.send("PATCH", INSTANCE, {"devices": {"d": DATA}}) == (200, "")
        assert events.read_event()["metadata"] == {"action": "added", "config": DATA, "name": "d"}
        assert client.send("GET", INSTANCE) == (200, {"name": "web1", "devices": {"d": DATA}})
        assert json.loads(request(simulator.path, "/1.0/devices").body)["d"] == DATA
        assert client.send("PATCH", INSTANCE, {"devices": {"d": None}}) == (200, "")
        assert events.read_event()["metadata"] == {"action": "removed", "config": DATA, "name": "d"}
        assert client.send("GET", INSTANCE) == (200, {"name": "web1", "devices": {}})


def test_own_device_can_be_replaced(client: StorageClient) -> None:
    client.send("PATCH", INSTANCE, {"devices": {"d": DATA}})
    moved = {**DATA, "path": "/mnt"}
    assert client.send("PATCH", INSTANCE, {"devices": {"d": moved}}) == (200, "")
    assert client.send("GET", INSTANCE).body["devices"] == {"d": moved}


def test_devices_of_others_are_not_shown_or_changed(simulator: Simulator, client: StorageClient) -> None:
    other = StorageClient(simulator.path, "other-token")
    assert other.send("PATCH", INSTANCE, {"devices": {"d": DATA}}) == (200, "")
    assert client.send("GET", INSTANCE).body["devices"] == {}
    denied = (403, 'Not authorized to manage device "d"\n')
    assert client.send("PATCH", INSTANCE, {"devices": {"d": DATA}}) == denied
    for name in ("d", "root", "none"):
        assert client.send("PATCH", INSTANCE, {"devices": {name: None}}) == (200, "")
    assert sorted(simulator.show()["devices"]) == ["d", "root"]


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("root", {**DATA, "path": "/"}),
        ("root", DATA),
        ("n", {"type": "nic", "nictype": "p2p"}),
        ("h", {"type": "disk", "source": "/etc", "path": "/mnt/h"}),
        ("h", {"type": "disk", "pool": "default", "path": "/mnt/h"}),
        ("h", {}),
    ],
)
def test_only_custom_volumes_can_be_attached(
    name: str, device: dict[str, str], client: StorageClient
) -> None:
    response = client.send("PATCH", INSTANCE, {"devices": {name: device}})
    assert response == (403, f'Not authorized to manage device "{name}"\n')


@pytest.mark.parametrize(
    ("device", "status", "error"),
    [
        (
            {**DATA, "source": "zz"},
            404,
            'Failed loading "custom/zz" from project "default": Storage volume not found',
        ),
        ({**DATA, "pool": "p"}, 404, 'Failed to get storage pool "p": Storage pool not found'),
        ({**DATA, "path": ""}, 400, 'Disk entry is missing the required "path" property'),
        ({**DATA, "source": "disk"}, 400, "Custom block volumes cannot have a path defined"),
        (
            {**DATA, "source": "disk", "path": ""},
            400,
            "Custom block volumes cannot be used on containers",
        ),
    ],
)
def test_invalid_device_is_an_error_and_changes_nothing(
    device: dict[str, str], status: int, error: str, client: StorageClient
) -> None:
    response = client.send("PATCH", INSTANCE, {"devices": {"a": DATA, "z": device}})
    assert response == (status, f'Failed add validation for device "z": {error}\n')
    assert client.send("GET", INSTANCE).body["devices"] == {}


def test_virtual_machine_attaches_block_volume_without_path(short: Path) -> None:
    device = {"type": "disk", "pool": "default", "source": "disk"}
    with make_storage_simulator(short, pools=POOLS, type="virtual-machine") as simulator:
        client = StorageClient(simulator.path)
        assert client.send("PATCH", INSTANCE, {"devices": {"d": device}}) == (200, "")
        assert client.send("GET", INSTANCE).body["devices"]["d"] == device


@pytest.mark.parametrize(("checks_owner", "expected"), [(False, (200, "")), (True, (404, "Not Found\n"))])
def test_volume_of_others_is_attached_as_the_profile_allows(
    checks_owner: bool, expected: tuple[int, str], short: Path
) -> None:
    assert not LXD_6.attach_checks_owner
    profile = dataclasses.replace(LXD_6, attach_checks_owner=checks_owner)
    with make_storage_simulator(short, pools=POOLS, profile=profile) as simulator:
        devices = {"f": {**DATA, "source": "foreign"}}
        response = StorageClient(simulator.path).send("PATCH", INSTANCE, {"devices": devices})
    assert response == expected


def test_change_with_old_etag_is_refused(client: StorageClient) -> None:
    old = client.etag(INSTANCE)
    assert client.send("PATCH", INSTANCE, {"devices": {"a": DATA}}, old) == (200, "")
    new = client.etag(INSTANCE)
    response = client.send("PATCH", INSTANCE, {"devices": {"a": None}}, f'"{old}"')
    assert (response.status, response.body.partition(". ")[0]) == (
        412,
        f"ETag does not match: {new} vs {old}",
    )
    assert client.send("PATCH", INSTANCE, {"devices": {"a": None}}, f'"{new}"') == (200, "")


def test_ownership_ends_when_the_host_removes_the_device(simulator: Simulator, client: StorageClient) -> None:
    client.send("PATCH", INSTANCE, {"devices": {"a": DATA}})
    simulator.remove_device("a")
    simulator.device("a", DATA)
    assert client.send("GET", INSTANCE).body["devices"] == {}


def test_body_that_is_not_json_is_an_error(client: StorageClient) -> None:
    prefix = "Failed decoding request body: "
    for body, error in {
        "{bad": "invalid character 'b' looking for beginning of object key string",
        "": "EOF",
        '{"devices":{"a":1}}': "json: cannot unmarshal number into Go struct field "
        "DevLXDInstancePut.devices of type map[string]string",
    }.items():
        response = client.raw("PATCH", INSTANCE, body)
        assert response.status == "HTTP/1.1 500 Internal Server Error"
        assert response.body.decode() == f"{prefix}{error}\n"


def test_slow_body_is_an_error(short: Path) -> None:
    profile = dataclasses.replace(LXD_6, body_timeout=0.2)
    with (
        make_storage_simulator(short, profile=profile) as simulator,
        RawConnection(simulator.path) as connection,
    ):
        headers = "Host: x\r\nAuthorization: Bearer ci-token\r\nContent-Length: 17\r\n"
        connection.socket.sendall(f'PATCH {INSTANCE} HTTP/1.1\r\n{headers}\r\n{{"devi'.encode())
        response = connection.read_response()
        assert response.status == "HTTP/1.1 400 Bad Request"
        assert response.body == b"Invalid request body: i/o timeout\n"


def test_put_is_not_implemented_and_other_instances_are_not_found(client: StorageClient) -> None:
    assert client.send("PUT", INSTANCE, {"devices": {}}) == (501, "Not Implemented\n")
    assert client.send("GET", "/1.0/instances/web2") == (404, "Instance not found\n")
