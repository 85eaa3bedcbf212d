"""Attaching volumes to an instance as disk devices, and detaching them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from devlxdctl.errors import (
    Conflict,
    HostUnavailable,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    UnexpectedResponse,
)
from devlxdctl.http import endpoints
from devlxdctl.models import Device
from devlxdctl.volumes.changes import read_volume
from devlxdctl.volumes.names import check_name, check_text
from devlxdctl.volumes.storage import Storage

_NAME_FIELD = "local-hostname: "
_FIXED_OPTIONS = ("path", "pool", "source", "type")
_MEANWHILE = "another program changed it at the same time"


class DeviceChange:
    """A change of one device of an instance.

    * `read_all`: reads all devices of this instance; None for another instance, of which a guest sees only
      the devices that it attached itself.
    """

    def __init__(
        self, storage: Storage, instance: str, read_all: Callable[[], Mapping[str, Device]] | None
    ) -> None:
        self._storage = storage
        self._instance = instance
        self._read_all = read_all

    def attach(self, name: str, device: Device) -> None:
        """Add `device` as `name`. Raises `Conflict` if another one has that name."""
        for is_last in (False, True):
            own, etag = self._read_own()
            present = (own if self._read_all is None else self._read_all()).get(name)
            if present == device:
                return
            if present is not None:
                raise Conflict(name, "device exists already, with other options")
            if self._patch(name, device, etag, is_last):
                return

    def detach(self, name: str) -> None:
        """Remove the device `name`. Raises `NotFound` if there is none."""
        for is_last in (False, True):
            own, etag = self._read_own()
            if name not in own:
                if self._read_all is not None and name in self._read_all():
                    # The host would answer with success, and do nothing.
                    raise PermissionDenied(name, "permission denied: not attached with this token")
                hint = "list the devices: devlxdctl devices --type disk"
                raise NotFound(name, "no such device", hint=hint)
            if self._patch(name, None, etag, is_last):
                return

    def _read_own(self) -> tuple[dict[str, Device], str]:
        document, etag = self._storage.read(endpoints.INSTANCE, dict, instance=self._instance)
        devices = document.get("devices")
        if not isinstance(devices, dict):
            raise UnexpectedResponse(self._instance, "response has no devices", http_status=200)
        return cast("dict[str, Device]", devices), etag

    def _patch(self, name: str, device: Device | None, etag: str, is_last: bool) -> bool:
        """Change a device. Return False if the instance changed meanwhile and this was not the last try."""
        body = {"devices": {name: device}}
        try:
            self._storage.change(
                *("PATCH", endpoints.INSTANCE_EDIT, body), etag, name, instance=self._instance
            )
        except HostUnavailable as error:
            self._storage.look_up(error, lambda: self._read_own()[0].get(name) == device)
        except Conflict as error:
            if error.http_status != 412:
                raise
            if is_last:
                raise Conflict(name, _MEANWHILE, http_status=412) from error
            return False
        return True


def disk_device(
    storage: Storage, pool: str, volume: str, path: str | None, options: Mapping[str, str]
) -> Device:
    """Return the device that attaches a volume. Raises `InvalidRequest` if `path` does not fit the volume."""
    for key, value in options.items():
        if not key or key in _FIXED_OPTIONS:
            raise InvalidRequest(f"option {key!r}", "cannot be set")
        check_text(f"option {key}", key + value)
    content_type = read_volume(storage, pool, volume)[0].get("content_type")
    device = {"type": "disk", "pool": pool, "source": volume}
    if content_type == "filesystem" and not path:
        hint = f"devlxdctl volume attach {pool} {volume} PATH"
        raise InvalidRequest(volume, "a filesystem volume needs the path of its mount point", hint=hint)
    if content_type == "block" and path:
        raise InvalidRequest(volume, "a block volume has no path")
    if path:
        device["path"] = check_text("path", path)
    return {**device, **options}


def instance_name(metadata: str) -> str:
    """Return the name of this instance, from the meta-data of the host.

    The host writes it before the meta-data of the user, which can have the same field.
    """
    for line in metadata.splitlines():
        if line.startswith(_NAME_FIELD):
            return check_name("instance", line.removeprefix(_NAME_FIELD).strip())
    raise UnexpectedResponse("/1.0/meta-data", "no local-hostname", http_status=200)
