"""The instance's devices: an identity sees and changes only those that it attached."""

from collections.abc import Mapping

from devlxdctl.simulator.instance import Instance
from devlxdctl.simulator.messages import RAW, Response, json_response
from devlxdctl.simulator.storage.model import etag
from devlxdctl.simulator.storage.operations import StorageError
from devlxdctl.simulator.storage.state import StorageRequest, StorageState


def show_instance(state: StorageState, request: StorageRequest) -> Response:
    """Respond with the instance and the devices of the identity."""
    instance = _instance(state, request)
    devices = {
        name: dict(sorted(device.items()))
        for name, device in sorted(instance.devices.items())
        if _owns(state, request, name) and _is_custom_volume(device)
    }
    return json_response({"name": instance.name, "devices": devices}, {"Etag": f'"{_etag(instance)}"'})


def change_instance(state: StorageState, request: StorageRequest) -> Response:
    """Attach, change and detach devices. Unlike volumes this is synchronous."""
    instance = _instance(state, request)
    body = request.decode_body("DevLXDInstancePut", {"devices": "map[string]map[string]string"})
    given = body.get("devices")
    devices: dict[str, dict[str, str] | None] = given if isinstance(given, dict) else {}
    for name, device in sorted(devices.items()):
        if device is not None:
            _check_permission(state, request, name, device)
    request.check_if_match(_etag(instance))
    for name, device in sorted(devices.items()):
        if device is not None:
            _check_device(state, name, device)
    for name, device in devices.items():
        if device is not None:
            instance.config[_owner_key(name)] = request.identity.id
            instance.set_device(name, device)
        elif name in instance.devices and _owns(state, request, name):
            instance.remove_device(name)
    return Response(200, RAW)


def _instance(state: StorageState, request: StorageRequest) -> Instance:
    if request.parameters["instance"] != state.instance.name:
        raise StorageError(404, "Instance not found")
    return state.instance


def _owner_key(device: str) -> str:
    return f"volatile.{device}.devlxd.owner"


def _owns(state: StorageState, request: StorageRequest, device: str) -> bool:
    return state.instance.config.get(_owner_key(device)) == request.identity.id


def _is_custom_volume(device: Mapping[str, str]) -> bool:
    return bool(
        device.get("type") == "disk"
        and device.get("path") != "/"
        and device.get("pool")
        and device.get("source")
    )


def _check_permission(
    state: StorageState, request: StorageRequest, name: str, device: Mapping[str, str]
) -> None:
    exists = name in state.instance.devices
    if not _is_custom_volume(device) or (exists and not _owns(state, request, name)):
        raise StorageError(403, f'Not authorized to manage device "{name}"')
    if state.instance.profile.attach_checks_owner:
        pool = state.pools.get(device["pool"])
        volume = pool.volumes.get(device["source"]) if pool else None
        if volume is None or volume.owner != request.identity.id:
            raise StorageError(404, "Not Found")


def _check_device(state: StorageState, name: str, device: Mapping[str, str]) -> None:
    prefix = f'Failed add validation for device "{name}"'
    if not name:
        raise StorageError(400, f"{prefix}: Name cannot be empty")
    pool = state.pools.get(device["pool"])
    if pool is None:
        where = f'Failed to get storage pool "{device["pool"]}"'
        raise StorageError(404, f"{prefix}: {where}: Storage pool not found")
    volume = pool.volumes.get(device["source"])
    if volume is None:
        where = f'Failed loading "custom/{device["source"]}" from project "default"'
        raise StorageError(404, f"{prefix}: {where}: Storage volume not found")
    if volume.content_type == "filesystem" and not device.get("path"):
        raise StorageError(400, f'{prefix}: Disk entry is missing the required "path" property')
    if volume.content_type == "block" and device.get("path"):
        raise StorageError(400, f"{prefix}: Custom block volumes cannot have a path defined")
    if volume.content_type == "block" and state.instance.type == "container":
        raise StorageError(400, f"{prefix}: Custom block volumes cannot be used on containers")


def _etag(instance: Instance) -> str:
    # A real host also includes the architecture, the profiles and the devices of the instance without
    # those of its profiles. The guest file has them merged.
    return etag([instance.name, dict(sorted(instance.config.items())), instance.guest_devices()])
