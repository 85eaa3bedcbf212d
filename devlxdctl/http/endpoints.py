"""Every endpoint as data: its path, what its statuses mean, and what to do about each error.

A new endpoint is one more row here. `error_mapping` turns statuses into errors by these rows, in one place
for all endpoints.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from devlxdctl.guest import find_product

Cause = Literal[
    "agent-down",
    "api-off",
    "daemon-down",
    "edit-config",
    "entitlement",
    "lost-socket",
    "nested-container",
    "object-missing",
    "no-entitlement",
    "no-socket",
    "no-token",
    "not-a-guest",
    "not-root",
    "partial-fingerprint",
    "private-image",
    "ready-ignored",
    "reset-credentials",
    "timeout",
    "token-rejected",
    "unlike-names",
    "untrusted-token",
    "volumes-off",
    "wrong-socket",
]
"""What went wrong, where no HTTP status says it. Each HTTP status is a cause, too."""


class Endpoint(NamedTuple):
    """One endpoint of the API.

    * `path`: with the names of its parameters in braces.
    * `content_type`: the media type of a successful response.
    * `object`: what the path names, such as "config key"; "" where it names nothing that can be missing.
    * `missing`: the problem to report when that object does not exist.
    * `not_found`: what status 404 means. "endpoint": this host does not have the endpoint. "object": every
      host has the endpoint, so the object does not exist. "json": the object does not exist if the body is
      JSON, else the endpoint. Any other text is a field of `GET /1.0`: hosts that send it have the endpoint.
    * `retry_500`: whether status 500 can mean that the daemon of the host is starting or stopping.
    * `hints`: what to do about a cause; causes that are not listed have the hint of `DEFAULT_HINTS`.
    * `needs_token`: whether the host accepts only requests with a bearer token that it trusts.
    * `entitlement`: the entitlement that the identity of that token needs.
    * `switch_probe`: a path that the host forbids, for such a request, only while a switch is off.
    """

    path: str
    content_type: str = "application/json"
    object: str = ""
    missing: str = ""
    not_found: str = "endpoint"
    retry_500: bool = True
    hints: Mapping[Cause | int, str] = {}
    needs_token: bool = False
    entitlement: str = ""
    switch_probe: str = ""


DEFAULT_HINTS: Final[Mapping[Cause | int, str]] = {
    "agent-down": "the agent of this virtual machine is not running: systemctl status {agent}",
    "api-off": "on the host: {client} config set INSTANCE {switch}=true",
    "daemon-down": "the daemon of the host is stopped or starting; on the host: {client} info",
    "entitlement": "on the host: lxc config set INSTANCE security.devlxd.management.volumes=true, and give "
    "the identity of the token the permission: lxc auth group permission add --help",
    "lost-socket": "on the host: {client} info. If that works, the socket was lost in an upgrade of the "
    "host: {client} restart INSTANCE, or set {switch}=false on it and unset that again",
    "nested-container": "run it in the guest itself: the host cannot identify processes of a container "
    "inside the guest",
    "no-token": "give the token with --token-file or DEVLXD_BEARER_TOKEN; on the host: "
    "lxc auth identity token issue devlxd/NAME",
    "no-socket": "is this a guest of LXD or Incus? If it is, on the host: "
    "{client} config set INSTANCE {switch}=true",
    "not-a-guest": "run it in an instance, or in a simulated one: devlxd-simulator run -- devlxdctl doctor",
    "not-root": "only root can use it: sudo devlxdctl …",
    "reset-credentials": "put LoadCredential= into a drop-in of the unit that sorts later: "
    "/etc/systemd/system/UNIT.d/zzzz-credentials.conf",
    "timeout": "the daemon of the host does not respond; on the host: {client} info",
    "token-rejected": "the bearer token has expired or was revoked; on the host: "
    "lxc auth identity token issue devlxd/NAME",
    "unlike-names": "on the host, choose names without % and /",
    "untrusted-token": "on the host: lxc auth identity token issue devlxd/NAME",
    "volumes-off": "on the host: lxc config set INSTANCE security.devlxd.management.volumes=true",
    "wrong-socket": "set the path of the socket with --socket or DEVLXD_SOCKET",
    401: "only root can use it: sudo devlxdctl …",
    403: "on the host: {client} config set INSTANCE {switch}=true",
    404: "upgrade {product} on the host: this version does not support it",
    500: "look at the daemon of the host; on the host: {client} info",
}

VERSIONS: Final = Endpoint("/")
STATE: Final = Endpoint("/1.0")
READY: Final = Endpoint(
    "/1.0",
    hints={"ready-ignored": "upgrade {product} on the host: this version does not support readiness"},
)
CONFIG: Final = Endpoint("/1.0/config")
CONFIG_KEY: Final = Endpoint(
    "/1.0/config/{key}",
    content_type="application/octet-stream",
    object="config key",
    missing="not set on this instance",
    not_found="object",
    hints={
        403: "guests can read user.* and cloud-init.* keys only",
        404: "on the host: {client} config set INSTANCE {object} VALUE",
        "edit-config": "on the host: {client} config edit INSTANCE",
    },
)
DEVICES: Final = Endpoint("/1.0/devices")
EVENTS: Final = Endpoint("/1.0/events")
METADATA: Final = Endpoint("/1.0/meta-data", content_type="application/octet-stream")
IMAGE: Final = Endpoint(
    "/1.0/images/{fingerprint}/export",
    content_type="application/octet-stream",
    object="image",
    missing="no such image, or it is private",
    not_found="json",
    hints={
        403: "on the host: {client} config set INSTANCE {switch}.images=true",
        404: "upgrade the host; in a virtual machine of Incus, run it in a container instead",
        "partial-fingerprint": "on the host, list whole fingerprints: {client} image list --columns lF",
        "private-image": "guests can export public and cached images; on the host: "
        "{client} image show {object}",
    },
)
_PRO_HINT: Final = "use a host with LXD 5.21 or later: Incus and older LXD do not offer Ubuntu Pro"
PRO: Final = Endpoint("/1.0/ubuntu-pro", hints={404: _PRO_HINT})
PRO_TOKEN: Final = Endpoint(
    "/1.0/ubuntu-pro/token",
    hints={
        403: "on the host: pro config set lxd_guest_attach=available, and: "
        "{client} config set INSTANCE ubuntu_pro.guest_attach=available",
        404: _PRO_HINT,
        500: "the host could not get a token; on the host: pro status",
    },
)
RAW: Final = Endpoint(
    "{path}",
    object="path",
    missing="HTTP status 404",
    not_found="object",
    hints={
        403: "give a bearer token that the host trusts: devlxdctl query --token-file FILE …",
        404: "",
    },
)

_API_OF_VOLUMES: Final = "supported_storage_drivers"
_GRANT: Final = "on the host: lxc auth group permission add GROUP "
_GRANT_VOLUMES: Final = _GRANT + "project default storage_volume_manager"
_NO_STORAGE_HINT: Final = (
    "use a host with LXD 6.6 or later: Incus and older LXD do not offer volumes to guests"
)
_LIST_VOLUMES: Final = "list the volumes: devlxdctl volume ls POOL"


def _storage(path: str, object: str, missing: str, hint: str, entitlement: str = "") -> Endpoint:
    """An endpoint of the storage API. `hint` is for a missing object; `entitlement` begins with an entity."""
    entity, _, name = entitlement.partition(" ")
    grant = _GRANT + f"instance INSTANCE {name} project=default" if entity == "instance" else _GRANT_VOLUMES
    return Endpoint(
        path,
        object=object,
        missing=missing,
        not_found=_API_OF_VOLUMES,
        hints={"no-entitlement": grant, "object-missing": hint, 404: _NO_STORAGE_HINT},
        needs_token=True,
        entitlement=entitlement,
        # Any trusted token can read a pool. Whether there is one of this name does not matter.
        switch_probe="/1.0/storage-pools/default",
    )


POOL: Final = _storage(
    "/1.0/storage-pools/{pool}", "storage pool", "no such storage pool", "on the host: lxc storage list"
)
_VOLUMES: Final = (
    "/1.0/storage-pools/{pool}/volumes/custom",
    *("cluster member", "no such cluster member", "on the host: lxc cluster list"),
)
VOLUMES: Final = _storage(*_VOLUMES)
VOLUME_CREATE: Final = _storage(*_VOLUMES, "project can_create_storage_volumes")
_VOLUME: Final = (
    "/1.0/storage-pools/{pool}/volumes/custom/{volume}",
    *("volume", "no such volume, or it has another owner", _LIST_VOLUMES),
)
VOLUME: Final = _storage(*_VOLUME, "storage_volume can_view")
VOLUME_EDIT: Final = _storage(*_VOLUME, "storage_volume can_edit")
VOLUME_DELETE: Final = _storage(*_VOLUME, "storage_volume can_delete")
_SNAPSHOTS: Final = ("/1.0/storage-pools/{pool}/volumes/custom/{volume}/snapshots", *_VOLUME[1:])
SNAPSHOTS: Final = _storage(*_SNAPSHOTS, "storage_volume can_view")
SNAPSHOT_CREATE: Final = _storage(*_SNAPSHOTS, "storage_volume can_manage_snapshots")
_SNAPSHOT: Final = (
    "/1.0/storage-pools/{pool}/volumes/custom/{volume}/snapshots/{snapshot}",
    *("snapshot", "no such snapshot", "list the snapshots: devlxdctl volume snapshot ls POOL VOLUME"),
)
SNAPSHOT: Final = _storage(*_SNAPSHOT, "storage_volume can_view")
SNAPSHOT_DELETE: Final = _storage(*_SNAPSHOT, "storage_volume can_delete")
_INSTANCE: Final = (
    "/1.0/instances/{instance}",
    *(
        "instance",
        "no such instance, or no such volume",
        "give the name with --instance; on the host: lxc list",
    ),
)
INSTANCE: Final = _storage(*_INSTANCE, "instance can_view")
INSTANCE_EDIT: Final = _storage(*_INSTANCE, "instance can_edit")
OPERATION_WAIT: Final = _storage("/1.0/operations/{id}/wait", "operation", "no such operation", "")._replace(
    retry_500=False, switch_probe=""
)

CAUSE_TEXTS: Final[Mapping[Cause | int, str]] = {
    "no-entitlement": "the identity of the token needs {entitlement}",
    "no-token": "no bearer token",
    "untrusted-token": "the host does not trust the bearer token",
    "volumes-off": "volumes are switched off for this instance",
}
"""Problems that say more than the text of the host."""

_WORDS: Final = {
    "LXD": {"product": "LXD", "client": "lxc", "switch": "security.devlxd", "agent": "lxd-agent"},
    "Incus": {
        "product": "Incus",
        "client": "incus",
        "switch": "security.guestapi",
        "agent": "incus-agent",
    },
}
_SAME_HINT: Final = {405: 404, 501: 404, 502: 500, 503: 500, 504: 500}


def hint(socket: str, endpoint: Endpoint, cause: Cause | int, *, object: str = "") -> str | None:
    """Return what to do about `cause` at `endpoint`, None without advice.

    It is in the words of the product behind `socket`. `object` is quoted for a shell.
    """
    if isinstance(cause, int):
        cause = _SAME_HINT.get(cause, cause)
    text = endpoint.hints.get(cause, DEFAULT_HINTS.get(cause))
    return text.format(**_WORDS[find_product(socket)], object=shlex.quote(object)) if text else None
