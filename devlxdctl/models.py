"""The shapes of what hosts send.

Hosts add fields over time. Methods return every field of the response, not only those declared here.
"""

from __future__ import annotations

from typing import Final, Literal, TypedDict

__all__ = [
    "DUMP_PARTS",
    "EVENT_TYPES",
    "Device",
    "Dump",
    "InstanceDevices",
    "ProStatus",
    "ProToken",
    "State",
    "StoragePool",
    "StorageVolume",
    "VolumeSnapshot",
]


EVENT_TYPES: Final = ("config", "device")
"""The types of events that hosts send to guests. Hosts accept any other, and then send nothing."""


class State(TypedDict, total=False):
    """`GET /1.0`: the instance as its host sees it."""

    state: Literal["Started", "Ready", ""]
    """Empty on hosts without readiness (LXD 5.0)."""
    api_version: str
    instance_type: Literal["container", "virtual-machine"]
    location: str
    """Name of the host or cluster member; "none" on LXD 5.0."""
    auth: Literal["trusted", "untrusted"]
    """Whether the host trusts the bearer token of this request. LXD 6 only."""
    supported_storage_drivers: list[object]
    """LXD 6 only."""


class ProStatus(TypedDict, total=False):
    """`GET /1.0/ubuntu-pro`: whether this guest may attach to the Ubuntu Pro of its host. LXD 6 only."""

    guest_attach: Literal["off", "on", "available"]
    """"on": the Ubuntu Pro client of the guest attaches by itself; "available": on request; "off": never."""


class ProToken(TypedDict, total=False):
    """`POST /1.0/ubuntu-pro/token`: a token to attach with. LXD 6 only."""

    expires: str
    """The time after which it is invalid, in the form of RFC 3339."""
    guest_token: str
    """The token, which is a secret."""
    id: str


Device = dict[str, str]
"""A device of `GET /1.0/devices`: its options as configured on the host, `type` among them."""


class StoragePool(TypedDict, total=False):
    """`GET /1.0/storage-pools/{pool}`. LXD 6.6 and later only, as the whole storage API."""

    name: str
    driver: str
    status: str


class StorageVolume(TypedDict, total=False):
    """`GET /1.0/storage-pools/{pool}/volumes/custom/{volume}`: a custom storage volume."""

    name: str
    description: str
    pool: str
    type: str
    content_type: str
    """"filesystem" or "block"; empty in lists."""
    config: dict[str, str]
    location: str
    """Name of the cluster member that stores it; "none" without a cluster."""


class VolumeSnapshot(TypedDict, total=False):
    """`GET /1.0/storage-pools/{pool}/volumes/custom/{volume}/snapshots/{snapshot}`."""

    name: str
    """In lists, the name of the volume and a slash come before it."""
    description: str
    content_type: str
    config: dict[str, str]


class InstanceDevices(TypedDict, total=False):
    """`GET /1.0/instances/{instance}`: the devices that the identity of the token attached."""

    name: str
    devices: dict[str, Device]


class Dump(TypedDict, total=False):
    """What `Client.dump` reads: everything or some parts. None for what the host does not support."""

    versions: list[str] | None
    state: State | None
    config: dict[str, str] | None
    devices: dict[str, Device] | None
    metadata: str | None


DUMP_PARTS: Final = ("versions", "state", "config", "devices", "metadata")
"""The parts of a `Dump`, in their order."""
