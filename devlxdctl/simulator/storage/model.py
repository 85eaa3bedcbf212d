"""Identities, pools, volumes and snapshots of a simulated host."""

import hashlib
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from devlxdctl.simulator import go_json

OWNER_KEY = "volatile.devlxd.owner"
"""The key of a volume's config with the id of the identity that created it."""
UUID_KEY = "volatile.uuid"
VOLUMES_SWITCH = "security.devlxd.management.volumes"
"""The config key of the instance that allows the storage API."""

PROJECT_ENTITLEMENTS = ("can_create_storage_volumes",)
VOLUME_ENTITLEMENTS = ("can_view", "can_edit", "can_delete", "can_manage_snapshots")
INSTANCE_ENTITLEMENTS = ("can_view", "can_edit")
CONTENT_TYPES = ("filesystem", "block")
OPERATION_KINDS = ("create", "copy", "update", "delete", "create-snapshot", "delete-snapshot")

_NAMESPACE = uuid.UUID("0c5a3b0e-6d0f-4a63-8a0b-0d5a5f1a2c11")
_REMOTE_DRIVERS = frozenset({"alletra", "ceph", "cephfs", "cephobject", "powerflex", "pure"})
_NO_EXPIRY = "0001-01-01T00:00:00Z"


def identity_id(name: str) -> str:
    """Return the id of an identity for which the guest file has none; always the same for a name."""
    return str(uuid.uuid5(_NAMESPACE, name))


def new_uuid() -> str:
    """Return a new `volatile.uuid`."""
    return str(uuid.uuid4())


def new_operation_id() -> str:
    """Return a new UUID of version 7, as LXD gives to operations."""
    value = int(time.time() * 1000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


def etag(value: object) -> str:
    """Return the hash that LXD uses as ETag for a value."""
    return hashlib.sha256(go_json.encode(value, html=True)).hexdigest()


@dataclass(frozen=True)
class Identity:
    """A devLXD identity and its entitlements. A field with entitlements defaults to all of them."""

    name: str
    id: str
    project: frozenset[str] = frozenset(PROJECT_ENTITLEMENTS)
    volume: frozenset[str] = frozenset(VOLUME_ENTITLEMENTS)
    instance: frozenset[str] = frozenset(INSTANCE_ENTITLEMENTS)

    @classmethod
    def with_all_entitlements(cls, name: str) -> "Identity":
        """Return an identity that may do everything."""
        return cls(name, identity_id(name))


@dataclass(frozen=True)
class OperationPlan:
    """How operations of one kind go: how long they take, and whether they fail."""

    seconds: float = 0.0
    error: str | None = None
    """The text of the error; None: the operation succeeds."""
    status: int = 500
    """The HTTP status of the error."""


@dataclass
class Snapshot:
    """A snapshot of a custom volume. `config` is the volume's, with its own UUID."""

    name: str
    description: str = ""
    config: dict[str, str] = field(default_factory=dict)

    def etag(self) -> str:
        """Return the ETag."""
        return etag([self.description, _NO_EXPIRY])

    def as_json(self, content_type: str, volume: str = "") -> dict[str, object]:
        """Return the API's object. Lists give `volume`, their entries are named VOLUME/SNAPSHOT."""
        return {
            "name": f"{volume}/{self.name}" if volume else self.name,
            "description": self.description,
            "content_type": content_type,
            "config": dict(sorted(self.config.items())),
        }


@dataclass
class Volume:
    """A custom volume."""

    name: str
    pool: str
    description: str = ""
    content_type: str = "filesystem"
    config: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)

    @property
    def owner(self) -> str | None:
        """The id of the identity that created the volume; None if it was created on the host."""
        return self.config.get(OWNER_KEY)

    def etag(self) -> str:
        """Return the ETag, which does not depend on the description."""
        return etag([self.name, "custom", dict(sorted(self.config.items()))])

    def as_json(self) -> dict[str, object]:
        """Return the API's object."""
        return self._entry(self.name, self.description, self.content_type, self.config)

    def list_entries(self) -> list[dict[str, object]]:
        """Return the entries of a list: the volume and its snapshots, without their content type."""
        snapshots = sorted(self.snapshots.items())
        return [
            self._entry(self.name, self.description, "", self.config),
            *(
                self._entry(f"{self.name}/{name}", snapshot.description, "", snapshot.config)
                for name, snapshot in snapshots
            ),
        ]

    def next_snapshot_name(self) -> str:
        """Return the default name of the next snapshot: snap0, snap1 and so on."""
        numbers = [
            int(name[4:]) for name in self.snapshots if name.startswith("snap") and name[4:].isdecimal()
        ]
        return f"snap{max(numbers, default=-1) + 1}"

    def copy_snapshots(self) -> dict[str, Snapshot]:
        """Return copies of all snapshots with new UUIDs."""
        return {
            name: Snapshot(name, snapshot.description, {**snapshot.config, UUID_KEY: new_uuid()})
            for name, snapshot in self.snapshots.items()
        }

    def _entry(
        self, name: str, description: str, content_type: str, config: Mapping[str, str]
    ) -> dict[str, object]:
        return {
            "name": name,
            "description": description,
            "pool": self.pool,
            "type": "custom",
            "content_type": content_type,
            "config": dict(sorted(config.items())),
            "location": "none",  # this host is not a cluster
        }


@dataclass
class Pool:
    """A storage pool with its custom volumes."""

    name: str
    driver: str = "dir"
    volumes: dict[str, Volume] = field(default_factory=dict)

    @property
    def remote(self) -> bool:
        """Whether all members of a cluster share the pool."""
        return self.driver in _REMOTE_DRIVERS

    def as_json(self) -> dict[str, object]:
        """Return the API's object."""
        return {"name": self.name, "driver": self.driver, "status": "Created"}

    def list_entries(self, owner: str | None = None) -> list[dict[str, object]]:
        """Return the entries of a list, sorted by name: of all volumes, or of one owner's."""
        volumes = [volume for volume in self.volumes.values() if owner is None or volume.owner == owner]
        entries = [entry for volume in volumes for entry in volume.list_entries()]
        return sorted(entries, key=lambda entry: str(entry["name"]))

    def etag(self) -> str:
        """Return the ETag; a real host's depends on pool config that guests cannot see."""
        return etag([self.name, self.driver, {}])

    def copy(self) -> "Pool":
        """Return a deep copy, for a simulator that changes its pools."""
        volumes = {
            name: Volume(
                volume.name,
                volume.pool,
                volume.description,
                volume.content_type,
                dict(volume.config),
                {key: Snapshot(s.name, s.description, dict(s.config)) for key, s in volume.snapshots.items()},
            )
            for name, volume in self.volumes.items()
        }
        return Pool(self.name, self.driver, volumes)
