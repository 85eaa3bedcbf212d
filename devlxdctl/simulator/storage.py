"""What LXD 6 lets a trusted guest do to volumes: those of its pools, and which of them are its own devices.

Modelled on the shapes of LXD's client library, not recorded: the answers of a real host may differ in detail.
"""

import json
import uuid
from collections.abc import Mapping
from urllib.parse import unquote

from devlxdctl.simulator.instance import Instance
from devlxdctl.simulator.messages import RAW, Response, json_response, text_error

VOLUMES_KEY = "security.devlxd.management.volumes"
"""The instance's key that permits all of it."""


class Storage:
    """The pools of a host, the custom volumes in them, and what was started there."""

    def __init__(self, instance: Instance, pools: Mapping[str, str]) -> None:
        self._instance = instance
        self._pools = dict(pools)
        self._volumes: dict[tuple[str, str], dict[str, object]] = {}
        self._attached: set[str] = set()
        """The devices that the guest made, which it may change."""
        self._operations: set[str] = set()

    def respond(
        self, endpoint: str, method: str, parameters: Mapping[str, str], body: bytes, trusted: bool
    ) -> Response:
        """The answer to a method that the endpoint has."""
        if not trusted:
            return text_error(403, "You must be authenticated")
        named = {name: unquote(value) for name, value in parameters.items()}
        operation = named.get("operation")
        if operation is not None:
            return self._operation(method, operation)
        if self._instance.config.get(VOLUMES_KEY) != "true":
            return text_error(403, "Forbidden")
        document: object = None
        if method in ("POST", "PUT", "PATCH"):
            try:
                document = json.loads(body)
            except ValueError:
                document = None
            if not isinstance(document, dict):
                return text_error(400, "Failed to parse request: the body is no JSON object")
        if "instance" in named:
            return self._of_instance(named["instance"], document)
        if named["pool"] not in self._pools:
            return text_error(404, "Storage pool not found")
        if named.get("type", "custom") != "custom":
            return text_error(400, "Only custom storage volumes can be managed")
        if "volume" in named:
            return self._of_volume(named["pool"], named["volume"], method, document)
        if not endpoint.endswith("{pool}"):
            return self._of_volumes(named["pool"], document)
        pool = {"name": named["pool"], "driver": self._pools[named["pool"]], "status": "Created"}
        return json_response(pool)

    def _operation(self, method: str, operation: str) -> Response:
        if operation not in self._operations:
            return text_error(404, "Operation not found")
        if method == "DELETE":
            return text_error(400, "This operation can't be cancelled")
        return json_response({"id": operation, "status": "Success", "status_code": 200, "err": ""})

    def _start(self) -> Response:
        """The answer of what takes a while on a real host, and is done already here."""
        operation = str(uuid.uuid4())
        self._operations.add(operation)
        return json_response({"id": operation, "status": "Running", "status_code": 103, "err": ""})

    def _of_volumes(self, pool: str, wanted: object) -> Response:
        if wanted is None:
            return json_response([volume for (of, _), volume in sorted(self._volumes.items()) if of == pool])
        assert isinstance(wanted, dict)
        name = wanted.get("name")
        if not isinstance(name, str) or not name or "/" in name:
            return text_error(400, "No name provided")
        if wanted.get("type", "custom") != "custom":
            return text_error(400, "Only custom storage volumes can be managed")
        if (pool, name) in self._volumes:
            return text_error(409, "Volume by that name already exists")
        self._volumes[pool, name] = {
            "name": name,
            "description": wanted.get("description", ""),
            "pool": pool,
            "type": "custom",
            "content_type": wanted.get("content_type") or "filesystem",
            "config": wanted.get("config") or {},
            "location": self._instance.location,
        }
        return self._start()

    def _of_volume(self, pool: str, name: str, method: str, wanted: object) -> Response:
        volume = self._volumes.get((pool, name))
        if volume is None:
            return text_error(404, "Storage volume not found")
        if method == "GET":
            return json_response(volume)
        if method == "DELETE":
            if any(_is_of(device, pool, name) for device in self._instance.devices.values()):
                return text_error(400, "The storage volume is still in use")
            del self._volumes[pool, name]
        else:
            assert isinstance(wanted, dict)
            volume.update({key: wanted[key] for key in ("config", "description") if key in wanted})
        return self._start()

    def _of_instance(self, name: str, wanted: object) -> Response:
        if name != self._instance.name:
            return text_error(404, "Instance not found")
        if wanted is None:
            devices = self._instance.devices
            return json_response(
                {"name": name, "devices": {each: devices[each] for each in sorted(self._attached)}}
            )
        assert isinstance(wanted, dict)
        devices = wanted.get("devices") or {}
        for each, device in devices.items():
            known = each in self._attached or (device and each not in self._instance.devices)
            if not known or (device and not self._is_volume(device)):
                return text_error(403, f'Not authorized to manage device "{each}"')
        for each, device in devices.items():
            if device:
                self._instance.set_device(each, device)
                self._attached.add(each)
            else:
                self._instance.remove_device(each)
                self._attached.discard(each)
        return Response(200, RAW)

    def _is_volume(self, device: Mapping[str, str]) -> bool:
        where = (device.get("pool", ""), device.get("source", ""))
        return device.get("type") == "disk" and where in self._volumes


def _is_of(device: Mapping[str, str], pool: str, volume: str) -> bool:
    return device.get("pool") == pool and device.get("source") == volume
