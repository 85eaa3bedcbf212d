"""The parts of a guest file's section `simulator:` that describe storage and identities.

    simulator:
      tokens:
        secret-of-ci: trusted       # an identity of this name with all entitlements
      identities:
        backup:                     # an identity with only the listed entitlements
          token: secret-of-backup   # this bearer token is trusted
          id: f26cf0e4-...          # optional: value of volatile.devlxd.owner
          project: [can_create_storage_volumes]
          volume: [can_view, can_edit, can_delete, can_manage_snapshots]
          instance: [can_view, can_edit]
      pools:
        default: dir                # a pool and its driver
        fast:
          driver: zfs
          volumes:
            data:
              owner: backup         # identity; without it the volume was created on the host
              description: database
              content_type: block   # default: filesystem
              config: {size: 10GiB}
              snapshots:
                snap0: {description: before the upgrade}
      operations:                   # kinds: create, copy, update, delete, create-snapshot, delete-snapshot
        copy: {seconds: 3}
        delete: {error: The volume is locked, status: 423}

An owner that is not an identity of this file is somebody else: the guest has no token for it.
"""

from collections.abc import Mapping

from devlxdctl.simulator import yaml_values
from devlxdctl.simulator.storage.model import (
    CONTENT_TYPES,
    INSTANCE_ENTITLEMENTS,
    OPERATION_KINDS,
    OWNER_KEY,
    PROJECT_ENTITLEMENTS,
    UUID_KEY,
    VOLUME_ENTITLEMENTS,
    Identity,
    OperationPlan,
    Pool,
    Snapshot,
    Volume,
    identity_id,
    new_uuid,
)

_IDENTITY_KEYS = ("id", "instance", "project", "token", "volume")
_POOL_KEYS = ("driver", "volumes")
_VOLUME_KEYS = ("config", "content_type", "description", "owner", "snapshots")
_SNAPSHOT_KEYS = ("config", "description")
_OPERATION_KEYS = ("error", "seconds", "status")


def parse_identities(value: object, place: str) -> dict[str, Identity]:
    """Return identities by their bearer tokens; raises ValueError."""
    identities: dict[str, Identity] = {}
    for name, entry in yaml_values.mapping(value, place).items():
        where = f"{place}: {name}"
        fields = yaml_values.mapping(entry, where)
        yaml_values.check_keys(fields, _IDENTITY_KEYS, where)
        token = yaml_values.text(fields.get("token", ""), f"{where}: token")
        if not token:
            raise ValueError(f"{where}: token is missing")
        identities[token] = Identity(
            name,
            yaml_values.text(fields.get("id", identity_id(name)), f"{where}: id"),
            _entitlements(fields, "project", PROJECT_ENTITLEMENTS, where),
            _entitlements(fields, "volume", VOLUME_ENTITLEMENTS, where),
            _entitlements(fields, "instance", INSTANCE_ENTITLEMENTS, where),
        )
    return identities


def parse_pools(value: object, identities: Mapping[str, Identity], place: str) -> dict[str, Pool]:
    """Return pools by name; raises ValueError."""
    owners = {identity.name: identity.id for identity in identities.values()}
    pools = {}
    for name, entry in yaml_values.mapping(value, place).items():
        where = f"{place}: {name}"
        fields: dict[str, object] = {"driver": entry} if isinstance(entry, str) and entry else {}
        fields = fields or yaml_values.mapping(entry, where)
        yaml_values.check_keys(fields, _POOL_KEYS, where)
        driver = yaml_values.text(fields.get("driver", "dir"), f"{where}: driver")
        volumes = {
            volume: _volume(name, volume, item, owners, f"{where}: {volume}")
            for volume, item in yaml_values.mapping(fields.get("volumes", ""), where).items()
        }
        pools[name] = Pool(name, driver, volumes)
    return pools


def parse_operations(value: object, place: str) -> dict[str, OperationPlan]:
    """Return plans by the kind of operation; raises ValueError."""
    plans = {}
    for kind, entry in yaml_values.mapping(value, place).items():
        yaml_values.check_choice(kind, OPERATION_KINDS, place)
        where = f"{place}: {kind}"
        fields = yaml_values.strings(entry, where)
        yaml_values.check_keys(dict(fields), _OPERATION_KEYS, where)
        status = fields.get("status", "500")
        if not status.isdecimal() or not 400 <= int(status) <= 599:
            raise ValueError(f"{where}: status: must be from 400 to 599, not {status!r}")
        seconds = yaml_values.seconds(fields.get("seconds", "0"), f"{where}: seconds")
        plans[kind] = OperationPlan(seconds, fields.get("error"), int(status))
    return plans


def _entitlements(
    fields: Mapping[str, object], key: str, known: tuple[str, ...], place: str
) -> frozenset[str]:
    where = f"{place}: {key}"
    names = [yaml_values.text(item, where) for item in yaml_values.items(fields.get(key, ""), where)]
    for name in names:
        yaml_values.check_choice(name, known, where)
    return frozenset(names)


def _volume(pool: str, name: str, entry: object, owners: Mapping[str, str], place: str) -> Volume:
    fields = yaml_values.mapping(entry, place)
    yaml_values.check_keys(fields, _VOLUME_KEYS, place)
    content_type = yaml_values.text(fields.get("content_type", "filesystem"), f"{place}: content_type")
    yaml_values.check_choice(content_type, CONTENT_TYPES, f"{place}: content_type")
    config = {UUID_KEY: new_uuid(), **yaml_values.strings(fields.get("config", ""), f"{place}: config")}
    if owner := yaml_values.text(fields.get("owner", ""), f"{place}: owner"):
        config[OWNER_KEY] = owners.get(owner, identity_id(owner))
    description = yaml_values.text(fields.get("description", ""), f"{place}: description")
    snapshots = {}
    for snapshot, item in yaml_values.mapping(fields.get("snapshots", ""), f"{place}: snapshots").items():
        where = f"{place}: snapshots: {snapshot}"
        extra = yaml_values.mapping(item, where)
        yaml_values.check_keys(extra, _SNAPSHOT_KEYS, where)
        snapshots[snapshot] = Snapshot(
            snapshot,
            yaml_values.text(extra.get("description", ""), f"{where}: description"),
            {
                **config,
                UUID_KEY: new_uuid(),
                **yaml_values.strings(extra.get("config", ""), f"{where}: config"),
            },
        )
    return Volume(name, pool, description, content_type, config, snapshots)
