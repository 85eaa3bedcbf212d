"""A client of the storage API for the tests of the simulator."""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.profiles import LXD_6, Profile
from tests.simulator.simhost import Response, make_guest, request

VOLUMES = "/1.0/storage-pools/default/volumes/custom"
INSTANCE = "/1.0/instances/web1"
CI_ID = "11111111-1111-4111-8111-111111111111"
LASTING = dataclasses.replace(LXD_6, operation_lifetime=600.0)
"""The profile lxd-6, but finished operations stay: a slow machine must not lose them."""
GUEST: dict[str, Any] = {
    "config": {"security.devlxd.management.volumes": "true"},
    "devices": {"root": {"type": "disk", "path": "/", "pool": "default"}},
    "simulator": {
        "name": "web1",
        "identities": {
            "ci": {
                "token": "ci-token",
                "id": CI_ID,
                "project": ["can_create_storage_volumes"],
                "volume": ["can_view", "can_edit", "can_delete", "can_manage_snapshots"],
                "instance": ["can_view", "can_edit"],
            }
        },
        "tokens": {"other-token": "trusted"},
    },
}


def make_storage_simulator(
    directory: Path, *faults: str, profile: str | Profile = LASTING, **extra: Any
) -> Simulator:
    """Make a simulator for the guest web1; `extra` are more keys of its section `simulator`."""
    guest = {**GUEST, "simulator": {**GUEST["simulator"], **extra}}
    return Simulator(directory / "sock", make_guest(guest), profile, faults)


class Result(NamedTuple):
    """A response: the status, and the body as JSON or as the text of an error."""

    status: int
    body: Any


class StorageClient:
    """Sends requests with a bearer token, each on its own connection."""

    def __init__(self, path: Path, token: str = "ci-token") -> None:
        self.path = path
        self.token = token

    def raw(self, method: str, target: str, body: str | None = None, if_match: str = "") -> Response:
        """Send a request with a body as given."""
        headers = [("Host", "x"), ("Authorization", f"Bearer {self.token}")]
        if if_match:
            headers.append(("If-Match", if_match))
        return request(self.path, target, method, headers=headers, body=body)

    def send(self, method: str, target: str, body: object = None, if_match: str = "") -> Result:
        """Send a request with a JSON body."""
        return result(self.raw(method, target, None if body is None else json.dumps(body), if_match))

    def etag(self, target: str) -> str:
        """Return the ETag of a target, without quotes."""
        value = dict(self.raw("GET", target).headers)["Etag"]
        assert value[0] == value[-1] == '"'
        return value[1:-1]

    def start(self, method: str, target: str, body: object = None, if_match: str = "") -> str:
        """Send a request that starts an operation and return the operation's id."""
        response = self.send(method, target, body, if_match)
        assert response.status == 200, response
        operation = dict(response.body)
        operation_id = operation.pop("id")
        assert operation == {"status": "Running", "status_code": 103, "err": ""}
        return str(operation_id)

    def wait(self, operation_id: str, timeout: str = "10") -> Result:
        """Wait for an operation."""
        return self.send("GET", f"/1.0/operations/{operation_id}/wait?timeout={timeout}")

    def run(self, method: str, target: str, body: object = None, if_match: str = "") -> None:
        """Start an operation and wait until it has succeeded."""
        operation_id = self.start(method, target, body, if_match)
        assert self.wait(operation_id) == succeeded(operation_id)


def succeeded(operation_id: str) -> Result:
    """Return the response of `wait` for an operation that succeeded."""
    return Result(200, {"id": operation_id, "status": "Success", "status_code": 200, "err": ""})


def result(response: Response) -> Result:
    """Return status and decoded body of a raw response."""
    status, body = int(response.status.split()[1]), response.body.decode()
    return Result(
        status, json.loads(body) if "json" in dict(response.headers).get("Content-Type", "") else body
    )
