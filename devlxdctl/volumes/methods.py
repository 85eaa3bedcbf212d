"""The methods of the client for storage pools and volumes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from devlxdctl.http import endpoints
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session
from devlxdctl.models import Device, StoragePool, StorageVolume, VolumeSnapshot

if TYPE_CHECKING:
    from devlxdctl.volumes.operation import Operation
    from devlxdctl.volumes.storage import Storage


class VolumeMethods:
    """Storage pools and custom volumes. LXD 6.6 and later offer them to guests with a bearer token.

    All methods raise `NotSupported` on other hosts, and `PermissionDenied` where the token, the switch
    `security.devlxd.management.volumes` or an entitlement is missing. Changes are sent once. Where the
    response to one is lost, its effect is looked up.

    `target` is the cluster member that has a volume which is local to it.
    """

    _session: Session

    def _retry(self) -> RetryPolicy:
        raise NotImplementedError

    def _devices(self, retry: RetryPolicy) -> dict[str, Device]:
        raise NotImplementedError

    def metadata(self) -> str:
        raise NotImplementedError

    def pool(self, name: str) -> StoragePool:
        """Return a storage pool. Hosts do not list the pools for guests."""
        return cast(StoragePool, self._storage().read(endpoints.POOL, dict, pool=name)[0])

    def volumes(self, pool: str, *, target: str = "") -> list[StorageVolume]:
        """Return the custom volumes of `pool` that the identity of the token owns, without snapshots.

        Hosts leave `content_type` empty here: see `volume_content_types`.
        """
        from devlxdctl.volumes.changes import read_volumes

        return read_volumes(self._storage(target), pool)

    def volume(self, pool: str, name: str, *, target: str = "") -> StorageVolume:
        """Return a volume. Raises `NotFound` where it does not exist or has another owner."""
        from devlxdctl.volumes.changes import read_volume

        return read_volume(self._storage(target), pool, name)[0]

    def volume_content_types(self, pool: str, names: Iterable[str], *, target: str = "") -> dict[str, str]:
        """Return the content types of these volumes, without those that do not exist any more."""
        from devlxdctl.http.parallel import map_parallel

        storage = self._storage(target)
        wanted = list(dict.fromkeys(names))
        found = map_parallel(lambda name: storage.find(endpoints.VOLUME, pool=pool, volume=name), wanted)
        return {
            name: str(volume.get("content_type", ""))
            for name, volume in zip(wanted, found, strict=True)
            if volume is not None
        }

    def create_volume(
        self,
        pool: str,
        name: str,
        *,
        size: str | None = None,
        block: bool = False,
        description: str = "",
        config: Mapping[str, str] | None = None,
        source: str | None = None,
        if_missing: bool = False,
        target: str = "",
    ) -> Operation[StorageVolume]:
        """Create a volume.

        * `size`: in the form of LXD, such as "10GiB"; the same as `config={"size": …}`.
        * `block`: create a block device instead of a file system. A copy is what its source is.
        * `source`: copy this: `[POOL/]VOLUME[/SNAPSHOT]`. Of `A/B`, what exists is taken: the snapshot B of
          the volume A in `pool`, or the volume B in the pool A.
        * `if_missing`: accept a volume that exists already, as it is. Without it, that raises `Conflict`.
        """
        from devlxdctl.volumes.changes import create_volume

        merged = _with_size(config, size)
        storage = self._storage(target)
        return create_volume(storage, pool, name, merged, description, block, source, if_missing)

    def set_volume(
        self,
        pool: str,
        name: str,
        *,
        size: str | None = None,
        description: str | None = None,
        config: Mapping[str, str] | None = None,
        target: str = "",
    ) -> Operation[StorageVolume]:
        """Change the config of a volume, its description, or both.

        An empty value unsets a key. A change by another program at the same time is kept if it is about other
        keys; otherwise this raises `Conflict`. Hosts do not notice two changes of the description.
        """
        from devlxdctl.volumes.changes import set_volume

        return set_volume(self._storage(target), pool, name, _with_size(config, size), description)

    def delete_volume(
        self, pool: str, name: str, *, if_exists: bool = False, target: str = ""
    ) -> Operation[None]:
        """Delete a volume with its snapshots. With `if_exists`, accept that it does not exist."""
        from devlxdctl.volumes.changes import delete_volume

        return delete_volume(self._storage(target), pool, name, if_exists)

    def volume_snapshots(self, pool: str, volume: str, *, target: str = "") -> list[VolumeSnapshot]:
        """Return the snapshots of a volume, the oldest first, with names such as `data/snap0`."""
        from devlxdctl.volumes.changes import read_snapshots

        return read_snapshots(self._storage(target), pool, volume)

    def volume_snapshot(self, pool: str, volume: str, name: str, *, target: str = "") -> VolumeSnapshot:
        """Return a snapshot of a volume."""
        from devlxdctl.volumes.changes import read_snapshot

        return read_snapshot(self._storage(target), pool, volume, name)

    def create_volume_snapshot(
        self,
        pool: str,
        volume: str,
        name: str | None = None,
        *,
        description: str = "",
        target: str = "",
    ) -> Operation[VolumeSnapshot]:
        """Create a snapshot of a volume. Without a name the host chooses one: snap0, snap1 and so on."""
        from devlxdctl.volumes.changes import create_snapshot

        return create_snapshot(self._storage(target), pool, volume, name, description)

    def delete_volume_snapshot(
        self, pool: str, volume: str, name: str, *, if_exists: bool = False, target: str = ""
    ) -> Operation[None]:
        """Delete a snapshot of a volume. With `if_exists`, accept that it does not exist."""
        from devlxdctl.volumes.changes import delete_snapshot

        return delete_snapshot(self._storage(target), pool, volume, name, if_exists)

    def attach_volume(
        self,
        pool: str,
        volume: str,
        path: str | None = None,
        *,
        device: str | None = None,
        options: Mapping[str, str] | None = None,
        instance: str | None = None,
        timeout: float | None = None,
    ) -> Device:
        """Attach a volume to this instance as a disk device, and return the device.

        Does nothing if it is attached in the same way already. Raises `Conflict` if there is a device of that
        name with other options.

        * `path`: where a file system is mounted; a block volume has none.
        * `device`: the name of the device; the name of the volume by default.
        * `options`: more options of the device, such as `{"readonly": "true"}`.
        * `instance`: another instance, which the token must be allowed to edit.
        * `timeout`: seconds to wait until the host lists the device; None waits for ever.
        """
        from devlxdctl.volumes.attach import disk_device
        from devlxdctl.volumes.names import check_name

        name = check_name("device", volume if device is None else device)
        storage = self._storage()
        wanted = disk_device(storage, pool, volume, path, options or {})
        is_other = self._change_device(storage, instance, name, wanted)
        return wanted if is_other else self._await_device(storage, name, False, timeout) or wanted

    def detach_volume(
        self, device: str, *, instance: str | None = None, timeout: float | None = None
    ) -> None:
        """Remove a device that `attach_volume` added. Raises `NotFound` if there is no such device.

        `instance` and `timeout` as for `attach_volume`.
        """
        storage = self._storage()
        if not self._change_device(storage, instance, device, None):
            self._await_device(storage, device, True, timeout)

    def _storage(self, target: str = "") -> Storage:
        from devlxdctl.volumes.storage import Storage

        return Storage(self._session, self._retry(), target)

    def _change_device(
        self, storage: Storage, instance: str | None, name: str, device: Device | None
    ) -> bool:
        """Attach or detach a device. Return whether that was on another instance than this one."""
        from devlxdctl.volumes.attach import DeviceChange, instance_name

        own_name = instance_name(self.metadata())
        is_other = instance not in (None, own_name)
        read_all = None if is_other else lambda: self._devices(storage.retry)
        change = DeviceChange(storage, own_name if instance is None else instance, read_all)
        if device is None:
            change.detach(name)
        else:
            change.attach(name, device)
        return is_other

    def _await_device(self, storage: Storage, name: str, gone: bool, timeout: float | None) -> Device | None:
        found = self._devices(storage.retry).get(name)
        if (found is None) is gone:
            return found
        from devlxdctl.events.watch import wait_for_device

        return wait_for_device(self._session, self._devices, name, gone, timeout)


def _with_size(config: Mapping[str, str] | None, size: str | None) -> dict[str, str]:
    return {**(config or {}), **({} if size is None else {"size": size})}
