"""The volumes and devices that a trusted guest may manage."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devlxdctl.simulator import Simulator
from tests.simulator.simhost import RawConnection, Response, make_guest, request

VOLUMES = "/1.0/storage-pools/default/volumes/custom"
SELF = "/1.0/instances/web1"
GUEST = {
    "config": {"security.devlxd.management.volumes": "true"},
    "devices": {"root": {"type": "disk", "path": "/", "pool": "default"}},
    "simulator": {"name": "web1", "location": "h1", "tokens": {"good": "trusted"}, "pools": {"fast": "zfs"}},
}
DATA = {"type": "disk", "pool": "default", "source": "data", "path": "/srv"}
Ask = Callable[..., Response]


@pytest.fixture
def simulator(short: Path) -> Iterator[Simulator]:
    with Simulator(short / "sock", make_guest(GUEST)) as simulator:
        yield simulator


@pytest.fixture
def trusted(simulator: Simulator) -> Ask:
    """Asks with the token; a body is sent as JSON."""

    def send(method: str, target: str, body: object = None) -> Response:
        headers = (("Host", "x"), ("Authorization", "Bearer good"))
        return request(
            simulator.path, target, method, headers=headers, body=None if body is None else json.dumps(body)
        )

    return send


def said(response: Response) -> tuple[int, Any]:
    """Status, and the body as JSON or the text of an error."""
    body = response.body.decode()
    known = dict(response.headers)
    return int(response.status.split()[1]), json.loads(body) if "json" in known["Content-Type"] else body


def done(response: Response, trusted: Ask) -> None:
    """Wait for the operation that a response is of."""
    status, operation = said(response)
    assert (status, operation["status"], operation["status_code"], operation["err"]) == (
        200,
        "Running",
        103,
        "",
    )
    ended = said(trusted("GET", f"/1.0/operations/{operation['id']}/wait?timeout=10"))
    assert ended == (200, {"id": operation["id"], "status": "Success", "status_code": 200, "err": ""})


def test_a_volume_is_made_attached_detached_and_deleted(simulator: Simulator, trusted: Ask) -> None:
    with RawConnection(simulator.path) as events:
        events.open_websocket("/1.0/events?type=device")
        assert said(trusted("GET", VOLUMES)) == (200, [])
        wanted = {"name": "data", "type": "custom", "config": {"size": "1GiB"}, "description": "mine"}
        done(trusted("POST", VOLUMES, wanted), trusted)
        volume = {
            "name": "data",
            "description": "mine",
            "pool": "default",
            "type": "custom",
            "content_type": "filesystem",
            "config": {"size": "1GiB"},
            "location": "h1",
        }
        assert said(trusted("GET", VOLUMES)) == (200, [volume])
        assert said(trusted("GET", f"{VOLUMES}/data")) == (200, volume)
        assert said(trusted("PATCH", SELF, {"devices": {"data": DATA}})) == (200, "")
        assert events.read_event()["metadata"] == {
            "action": "added",
            "config": dict(sorted(DATA.items())),
            "name": "data",
        }
        assert said(trusted("GET", SELF)) == (200, {"name": "web1", "devices": {"data": DATA}})
        assert json.loads(request(simulator.path, "/1.0/devices").body)["data"] == DATA
        in_use = (400, "The storage volume is still in use\n")
        assert said(trusted("DELETE", f"{VOLUMES}/data")) == in_use
        assert said(trusted("PATCH", SELF, {"devices": {"data": None}})) == (200, "")
        assert events.read_event()["metadata"]["action"] == "removed"
        done(trusted("PATCH", f"{VOLUMES}/data", {"description": "yours"}), trusted)
        assert said(trusted("GET", f"{VOLUMES}/data"))[1] == {**volume, "description": "yours"}
        done(trusted("DELETE", f"{VOLUMES}/data"), trusted)
        assert said(trusted("GET", f"{VOLUMES}/data")) == (404, "Storage volume not found\n")


def test_pools_are_those_of_the_devices_and_of_the_file(trusted: Ask) -> None:
    for name, driver in {"default": "dir", "fast": "zfs"}.items():
        pool = {"name": name, "driver": driver, "status": "Created"}
        assert said(trusted("GET", f"/1.0/storage-pools/{name}")) == (200, pool)


@pytest.mark.parametrize(
    ("method", "target", "body", "expected"),
    [
        ("GET", "/1.0/storage-pools/none", None, (404, "Storage pool not found\n")),
        (
            "GET",
            "/1.0/storage-pools/default/volumes/image",
            None,
            (400, "Only custom storage volumes can be managed\n"),
        ),
        ("POST", VOLUMES, {"type": "custom"}, (400, "No name provided\n")),
        ("POST", VOLUMES, {"name": "a", "type": "vm"}, (400, "Only custom storage volumes can be managed\n")),
        ("POST", VOLUMES, [1], (400, "Failed to parse request: the body is no JSON object\n")),
        ("DELETE", f"{VOLUMES}/none", None, (404, "Storage volume not found\n")),
        ("GET", "/1.0/instances/web2", None, (404, "Instance not found\n")),
        ("PATCH", SELF, {"devices": {"root": None}}, (403, 'Not authorized to manage device "root"\n')),
        ("PATCH", SELF, {"devices": {"d": DATA}}, (403, 'Not authorized to manage device "d"\n')),
        ("GET", "/1.0/operations/none/wait", None, (404, "Operation not found\n")),
        ("GET", "/1.0/operations/none", None, (501, "Not Implemented\n")),
        ("DELETE", "/1.0/operations/none", None, (404, "Operation not found\n")),
        ("PUT", SELF, {}, (501, "Not Implemented\n")),
    ],
)
def test_what_is_not_there_or_not_allowed(
    method: str, target: str, body: object, expected: tuple[int, str], trusted: Ask
) -> None:
    assert said(trusted(method, target, body)) == expected


def test_a_name_is_given_once(trusted: Ask) -> None:
    done(trusted("POST", VOLUMES, {"name": "data"}), trusted)
    assert said(trusted("POST", VOLUMES, {"name": "data"})) == (409, "Volume by that name already exists\n")


@pytest.mark.parametrize("target", [SELF, VOLUMES, "/1.0/storage-pools/x", "/1.0/operations/x/wait"])
def test_without_a_token_it_is_forbidden(target: str, simulator: Simulator) -> None:
    assert said(request(simulator.path, target)) == (403, "You must be authenticated\n")


def test_it_is_switched_off_unless_the_instance_may(simulator: Simulator, trusted: Ask) -> None:
    simulator.unset("security.devlxd.management.volumes")
    assert said(trusted("GET", VOLUMES)) == (403, "Forbidden\n")
