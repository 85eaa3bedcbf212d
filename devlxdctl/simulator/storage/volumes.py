"""Pools and custom volumes: list, show, create, copy, change, delete."""

import re
from collections.abc import Mapping

from devlxdctl.simulator import go_json
from devlxdctl.simulator.messages import Response, json_response
from devlxdctl.simulator.storage.model import CONTENT_TYPES, OWNER_KEY, UUID_KEY, Snapshot, Volume, new_uuid
from devlxdctl.simulator.storage.operations import StorageError
from devlxdctl.simulator.storage.state import StorageRequest, StorageState

_PUT_FIELDS: go_json.Fields = {"config": "map[string]string", "description": "string"}
_SOURCE_FIELDS = {"location": "string", "name": "string", "pool": "string", "type": "string"}
_POST_FIELDS: go_json.Fields = {
    **_PUT_FIELDS,
    "content_type": "string",
    "name": "string",
    "source": _SOURCE_FIELDS,
    "type": "string",
}
_CONFIG_KEYS = re.compile(
    r"size|(block|btrfs|ceph|cephfs|initial|lvm|security|snapshots|user|volatile|zfs)\..+", re.DOTALL
)
_SIZE = re.compile(r"[0-9]{1,18}(B|[kMGTPE]B|[KMGTPE]iB)?")


def show_pool(state: StorageState, request: StorageRequest) -> Response:
    """Respond with a pool."""
    pool = state.pool(request)
    return json_response(pool.as_json(), {"Etag": f'"{pool.etag()}"'})


def list_volumes(state: StorageState, request: StorageRequest) -> Response:
    """Respond with the volumes of the identity, and their snapshots."""
    request.check_recursion()
    if request.parameters.get("type", "custom") != "custom":
        raise StorageError(400, "Only custom storage volume requests are allowed")
    request.check_target()
    entries = state.pool(request).list_entries(request.identity.id)
    return json_response(entries if "can_view" in request.identity.volume else [])


def show_volume(state: StorageState, request: StorageRequest) -> Response:
    """Respond with a volume."""
    volume = state.owned_volume(request)
    return json_response(volume.as_json(), {"Etag": f'"{volume.etag()}"'})


def create_volume(state: StorageState, request: StorageRequest) -> Response:
    """Start the creation of a volume, empty or as a copy."""
    body = request.decode_body("DevLXDStorageVolumesPost", _POST_FIELDS)
    wanted_type = request.parameters.get("type", "custom")
    if wanted_type != "custom":
        raise StorageError(400, "Only custom storage volumes can be created")
    if body.get("type") not in (None, "", wanted_type):
        raise StorageError(400, "URL volume type does not match the volume type in body")
    source = _source_volume(state, request, body.get("source"))
    name = str(body.get("name", ""))
    _check_name("volume", name)
    content_type = str(body.get("content_type", "")) or "filesystem"
    pool = state.pool(request)
    request.check_target()
    key = (pool.name, name)
    if name in pool.volumes or key in state.pending:
        raise StorageError(409, "Volume by that name already exists")
    if content_type not in CONTENT_TYPES:
        raise StorageError(400, f'Invalid storage volume content type "{content_type}"')
    config = _strings(body.get("config"))
    config |= {OWNER_KEY: request.identity.id, UUID_KEY: new_uuid()}
    volume = Volume(name, pool.name, str(body.get("description", "")), content_type, config)
    if source is not None:
        original, snapshot = source
        volume.content_type = original.content_type
        volume.snapshots = original.copy_snapshots() if snapshot is None else {}
    state.pending.add(key)

    def create() -> None:
        state.pending.discard(key)
        _check_config(name, volume.config)
        pool.volumes[name] = volume

    kind = "create" if source is None else "copy"
    return json_response(state.operations.start(kind, create, lambda: state.pending.discard(key)))


def change_volume(state: StorageState, request: StorageRequest) -> Response:
    """Start a change of a volume: PUT replaces its config, PATCH merges into it.

    Both replace the description, also by an empty one if the body has none.
    """
    volume = state.owned_volume(request)
    body = request.decode_body("DevLXDStorageVolumePut", _PUT_FIELDS)
    config = _strings(body.get("config"))
    if config.get(OWNER_KEY, request.identity.id) != request.identity.id:
        raise StorageError(400, "Volume owner cannot be changed")
    config[OWNER_KEY] = request.identity.id
    request.check_if_match(volume.etag())
    if request.method == "PATCH":
        config = {**volume.config, **config}
    description = str(body.get("description", ""))

    def change() -> None:
        if config.get(UUID_KEY) != volume.config.get(UUID_KEY):
            raise StorageError(400, f'Custom volume "{UUID_KEY}" property cannot be changed')
        kept = {key: value for key, value in config.items() if value}
        _check_config(volume.name, kept)
        volume.config = kept
        volume.description = description

    return json_response(state.operations.start("update", change))


def delete_volume(state: StorageState, request: StorageRequest) -> Response:
    """Start the deletion of a volume with its snapshots."""
    volume = state.owned_volume(request)
    if state.in_use(volume):
        raise StorageError(400, "The storage volume is still in use")
    volumes = state.pool(request).volumes

    def delete() -> None:
        if volumes.pop(volume.name, None) is None:
            raise StorageError(404, "Storage volume not found")

    return json_response(state.operations.start("delete", delete))


def list_snapshots(state: StorageState, request: StorageRequest) -> Response:
    """Respond with the snapshots of a volume, the oldest first."""
    _check_snapshot_type(request, "from", "retrieved")
    request.check_recursion()
    volume = state.owned_volume(request)
    return json_response([snapshot.as_json("", volume.name) for snapshot in volume.snapshots.values()])


def show_snapshot(state: StorageState, request: StorageRequest) -> Response:
    """Respond with a snapshot."""
    _check_snapshot_type(request, "from", "retrieved")
    volume, snapshot = _snapshot(state, request)
    return json_response(snapshot.as_json(volume.content_type), {"Etag": f'"{snapshot.etag()}"'})


def create_snapshot(state: StorageState, request: StorageRequest) -> Response:
    """Start the creation of a snapshot."""
    _check_snapshot_type(request, "for", "created")
    volume = state.owned_volume(request)
    body = request.decode_body(
        "DevLXDStorageVolumeSnapshotsPost", {"description": "string", "name": "string"}
    )
    name = str(body.get("name", "")) or volume.next_snapshot_name()
    _check_name("volume snapshot", name)
    key = (volume.pool, f"{volume.name}/{name}")
    if name in volume.snapshots or key in state.pending:
        raise StorageError(409, f'Snapshot "{name}" already in use')
    state.pending.add(key)

    def create() -> None:
        state.pending.discard(key)
        config = {**volume.config, UUID_KEY: new_uuid()}
        volume.snapshots[name] = Snapshot(name, str(body.get("description", "")), config)

    started = state.operations.start("create-snapshot", create, lambda: state.pending.discard(key))
    return json_response(started)


def delete_snapshot(state: StorageState, request: StorageRequest) -> Response:
    """Start the deletion of a snapshot."""
    _check_snapshot_type(request, "from", "deleted")
    volume, snapshot = _snapshot(state, request)

    def delete() -> None:
        if volume.snapshots.pop(snapshot.name, None) is None:
            raise StorageError(404, "Storage volume snapshot not found")

    return json_response(state.operations.start("delete-snapshot", delete))


def _snapshot(state: StorageState, request: StorageRequest) -> tuple[Volume, Snapshot]:
    volume = state.owned_volume(request)
    snapshot = volume.snapshots.get(request.parameters["snapshot"])
    if snapshot is None:
        raise StorageError(404, "Storage volume snapshot not found")
    return volume, snapshot


def _source_volume(
    state: StorageState, request: StorageRequest, source: object
) -> tuple[Volume, Snapshot | None] | None:
    """Return the source of a copy: a volume, and a snapshot of it if one is named."""
    fields = _strings(source)
    if not fields.get("type"):
        return None
    if fields["type"] != "copy":
        message = f'Invalid source type "{fields["type"]}": Only source type "copy" is supported'
        raise StorageError(400, message)
    name, slash, snapshot_name = fields.get("name", "").partition("/")
    if not name:
        raise StorageError(400, "Source volume name must be provided when source is configured")
    pool = state.pools.get(fields.get("pool", ""))
    volume = pool.volumes.get(name) if pool else None
    if volume is None or volume.owner != request.identity.id:
        raise StorageError(404, "Source volume not found")
    if not slash:
        return volume, None
    if snapshot_name not in volume.snapshots:
        raise StorageError(404, "Storage volume snapshot not found")
    return volume, volume.snapshots[snapshot_name]


def _check_name(what: str, name: str) -> None:
    if not name:
        raise StorageError(400, f'Invalid {what} name "": Cannot be empty')
    if "/" in name:
        raise StorageError(400, f'Invalid {what} name "{name}": Cannot contain slashes')


def _check_snapshot_type(request: StorageRequest, preposition: str, verb: str) -> None:
    if request.parameters["type"] != "custom":
        message = f"Only snapshots {preposition} custom storage volumes can be {verb}"
        raise StorageError(400, message)


def _check_config(volume: str, config: Mapping[str, str]) -> None:
    size = config.get("size", "")
    if size and not _SIZE.fullmatch(size):
        raise StorageError(500, f'Invalid value for volume "{volume}" option "size": Invalid value: {size}')
    for key in sorted(config):
        if not _CONFIG_KEYS.fullmatch(key):
            raise StorageError(500, f'Invalid option for volume "{volume}" option "{key}"')


def _strings(value: object) -> dict[str, str]:
    """Return the content of a decoded `map[string]string`, empty for null."""
    return dict(value) if isinstance(value, dict) else {}
