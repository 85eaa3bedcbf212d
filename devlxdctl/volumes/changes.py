"""Creating, changing and deleting volumes and snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from devlxdctl.errors import Conflict, InvalidRequest, NotFound, UnexpectedResponse
from devlxdctl.http import endpoints
from devlxdctl.models import StorageVolume, VolumeSnapshot
from devlxdctl.volumes.names import VolumeSource, check_config, check_name, check_text, parse_source
from devlxdctl.volumes.operation import Operation
from devlxdctl.volumes.storage import Storage

_MEANWHILE = "another program changed it at the same time"


def read_volumes(storage: Storage, pool: str) -> list[StorageVolume]:
    """Return the volumes of `pool` without the snapshots that hosts list among them."""
    entries, _ = storage.read(endpoints.VOLUMES, list, pool=pool)
    volumes = cast("list[StorageVolume]", _objects(entries, pool))
    return [volume for volume in volumes if "/" not in volume.get("name", "")]


def read_volume(storage: Storage, pool: str, name: str) -> tuple[StorageVolume, str]:
    """Return a volume and its ETag."""
    volume, etag = storage.read(endpoints.VOLUME, dict, pool=pool, volume=name)
    return cast(StorageVolume, volume), etag


def read_snapshots(storage: Storage, pool: str, volume: str) -> list[VolumeSnapshot]:
    """Return the snapshots of a volume, as the host lists them."""
    entries, _ = storage.read(endpoints.SNAPSHOTS, list, pool=pool, volume=volume)
    return cast("list[VolumeSnapshot]", _objects(entries, volume))


def read_snapshot(storage: Storage, pool: str, volume: str, name: str) -> VolumeSnapshot:
    """Return a snapshot."""
    snapshot, _ = storage.read(endpoints.SNAPSHOT, dict, pool=pool, volume=volume, snapshot=name)
    return cast(VolumeSnapshot, snapshot)


def create_volume(
    storage: Storage,
    pool: str,
    name: str,
    config: Mapping[str, str],
    description: str,
    block: bool,
    source: str | None,
    if_missing: bool,
) -> Operation[StorageVolume]:
    """See `VolumeMethods.create_volume`."""
    body: dict[str, object] = {
        "name": check_name("volume", name),
        "type": "custom",
        "config": check_config(config),
        "description": check_text("description", description),
    }
    if block:
        body["content_type"] = "block"

    def exists() -> bool:
        return storage.find(endpoints.VOLUME, pool=pool, volume=name) is not None

    def result() -> StorageVolume:
        return read_volume(storage, pool, name)[0]

    # Read before the request, so that a lost response can be told from a volume that existed before.
    if exists():
        if if_missing:
            return storage.finished(name, result)
        raise Conflict(name, "volume exists already")
    if source is not None:
        found = _find_source(storage, pool, source)
        body["source"] = {"type": "copy", "pool": found.pool, "name": found.name}
    try:
        return storage.start(
            *("POST", endpoints.VOLUME_CREATE, body), subject=name, effect=exists, result=result, pool=pool
        )
    except Conflict as error:
        # Another program creates it at this moment: the volume can show a little later.
        if error.http_status != 409 or not if_missing:
            raise
        storage.await_effect(exists, error)
        return storage.finished(name, result)


def set_volume(
    storage: Storage, pool: str, name: str, config: Mapping[str, str], description: str | None
) -> Operation[StorageVolume]:
    """See `VolumeMethods.set_volume`."""
    wanted = check_config(config)
    check_text("description", description or "")
    before, etag = read_volume(storage, pool, name)
    try:
        return _patch(storage, pool, name, wanted, description, before, etag)
    except Conflict as error:
        if error.http_status != 412:
            raise
    now, etag = read_volume(storage, pool, name)
    for key, value in wanted.items():
        # The change of the other program can be merged, unless it is about the same key.
        if _value(now, key) not in (_value(before, key), value):
            raise Conflict(name, f"{_MEANWHILE}: {key}", http_status=412)
    try:
        return _patch(storage, pool, name, wanted, description, now, etag)
    except Conflict as error:
        raise Conflict(name, _MEANWHILE, http_status=error.http_status) from error


def _patch(
    storage: Storage,
    pool: str,
    name: str,
    config: Mapping[str, str],
    description: str | None,
    before: StorageVolume,
    etag: str,
) -> Operation[StorageVolume]:
    # A PATCH without a description empties it.
    text = before.get("description", "") if description is None else description

    def result() -> StorageVolume:
        return read_volume(storage, pool, name)[0]

    def is_visible() -> bool:
        now = result()
        return now.get("description") == text and all(_value(now, key) == config[key] for key in config)

    def is_lost() -> bool:
        # A host merges a change into what it has when the request arrives, but writes it later: of two
        # changes at the same time, the second can undo the first. A value that the host writes in another
        # form is no loss.
        now = result()
        return any(_value(now, key) == _value(before, key) != config[key] for key in config)

    return storage.start(
        *("PATCH", endpoints.VOLUME_EDIT, {"config": dict(config), "description": text}),
        subject=name,
        effect=is_visible,
        result=result,
        is_lost=is_lost,
        etag=etag,
        pool=pool,
        volume=name,
    )


def delete_volume(storage: Storage, pool: str, name: str, if_exists: bool) -> Operation[None]:
    """See `VolumeMethods.delete_volume`."""

    def is_gone() -> bool:
        return storage.find(endpoints.VOLUME, pool=pool, volume=name) is None

    if if_exists and is_gone():
        return storage.finished(name, _nothing)
    try:
        return storage.start(
            *("DELETE", endpoints.VOLUME_DELETE, None),
            subject=name,
            effect=is_gone,
            result=_nothing,
            pool=pool,
            volume=name,
        )
    except NotFound:
        if if_exists and is_gone():
            return storage.finished(name, _nothing)
        raise


def create_snapshot(
    storage: Storage, pool: str, volume: str, name: str | None, description: str
) -> Operation[VolumeSnapshot]:
    """See `VolumeMethods.create_snapshot`."""
    body = {"description": check_text("description", description)}
    if name is not None:
        body["name"] = check_name("snapshot", name)

    def names() -> list[str]:
        prefix = f"{volume}/"
        return [each.get("name", "").removeprefix(prefix) for each in read_snapshots(storage, pool, volume)]

    def added() -> list[str]:
        return [each for each in names() if each not in before and name in (None, each)]

    def result() -> VolumeSnapshot:
        found = [name] if name is not None else added()
        if not found:
            raise NotFound(volume, "the new snapshot is not in the list of the host")
        return read_snapshot(storage, pool, volume, found[-1])

    # Read before the request: the host chooses the name, or the response can be lost.
    before = set(names())
    if name in before:
        raise Conflict(name, "snapshot exists already")
    return storage.start(
        *("POST", endpoints.SNAPSHOT_CREATE, body),
        subject=name or volume,
        effect=lambda: bool(added()),
        result=result,
        pool=pool,
        volume=volume,
    )


def delete_snapshot(storage: Storage, pool: str, volume: str, name: str, if_exists: bool) -> Operation[None]:
    """See `VolumeMethods.delete_snapshot`."""

    def is_gone() -> bool:
        return storage.find(endpoints.SNAPSHOT, pool=pool, volume=volume, snapshot=name) is None

    if if_exists and is_gone():
        return storage.finished(name, _nothing)
    return storage.start(
        *("DELETE", endpoints.SNAPSHOT_DELETE, None),
        subject=name,
        effect=is_gone,
        result=_nothing,
        pool=pool,
        volume=volume,
        snapshot=name,
    )


def _objects(entries: list[Any], subject: str) -> list[dict[str, Any]]:
    if not all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in entries):
        raise UnexpectedResponse(subject, "response is not a list of objects with names", http_status=200)
    return entries


def _find_source(storage: Storage, pool: str, text: str) -> VolumeSource:
    """Return the source that `text` means. Where it can mean two, the one that exists."""
    sources = parse_source(text, pool)
    if len(sources) == 1:
        return sources[0]
    found = [source for source in sources if _source_exists(storage, source)]
    if len(found) > 1:
        hint = f"/{text} is a snapshot, {text}/ is a volume"
        raise InvalidRequest(text, "is the name of a snapshot and of a volume", hint=hint)
    if not found:
        raise NotFound(text, "no such volume or snapshot")
    return found[0]


def _source_exists(storage: Storage, source: VolumeSource) -> bool:
    names = {"pool": source.pool, "volume": source.volume}
    try:
        if source.snapshot:
            return storage.find(endpoints.SNAPSHOT, **names, snapshot=source.snapshot) is not None
        return storage.find(endpoints.VOLUME, **names) is not None
    except NotFound:  # what is above it does not exist
        return False


def _value(volume: StorageVolume, key: str) -> str:
    """The value of a config key, "" where it is not set: setting it to "" unsets it."""
    config: Any = volume.get("config")
    return str(config.get(key, "")) if isinstance(config, dict) else ""


def _nothing() -> None:
    return None
