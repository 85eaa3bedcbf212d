"""The guest itself: where the socket of its host is, and what shows that it is a guest of LXD or Incus."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from devlxdctl.errors import InvalidRequest

__all__ = [
    "SOCKETS",
    "GuestSign",
    "find_interface",
    "find_node",
    "find_product",
    "find_socket",
    "guest_signs",
]

Product = Literal["LXD", "Incus"]

SOCKETS: Final = ("/dev/lxd/sock", "/dev/incus/sock")
"""Where LXD and Incus put their sockets in a guest."""

NODE_TYPES: Final = ("disk", "nic", "unix-block", "unix-char")
"""The types of devices that can have a node in a guest."""

MAX_SOCKET_PATH: Final = 107
"""Bytes of the path of a Unix socket, without the NUL at its end."""

_VIRTIO_PORTS: Final[dict[str, Product]] = {
    "com.canonical.lxd": "LXD",
    "org.linuxcontainers.lxd": "LXD",
    "org.linuxcontainers.incus": "Incus",
}
"""The virtio ports that hosts give to their virtual machines, in /dev/virtio-ports."""
_DMI_BOARDS: Final[tuple[Product, ...]] = ("LXD", "Incus")
"""The board names in the DMI data of their virtual machines."""
_MOUNT_DIRECTORIES: Final[dict[str, Product]] = {".lxd-mounts": "LXD", ".incus-mounts": "Incus"}
"""The directories in /dev of containers through which hosts mount devices that are added later."""
_CONTAINER_FILES: Final = (".dockerenv", "run/.containerenv")
"""Files that Docker and Podman create in their containers."""


class GuestSign(NamedTuple):
    """A sign that this is a guest.

    * `product`: "LXD" or "Incus", or "" where it can be either of them, or plain LXC.
    * `evidence`: what shows it, for people: `/dev/.lxd-mounts`.
    """

    kind: Literal["virtual machine", "container"]
    product: Product | Literal[""]
    evidence: str

    def __str__(self) -> str:
        return f"{self.product} {self.kind} ({self.evidence})".strip()


def guest_signs(root: str = "/") -> list[GuestSign]:
    """Return the signs that this is a guest, the most reliable first; empty without any.

    `root` is the directory that is taken for `/`.
    """
    signs: list[GuestSign] = []
    for port, product in _VIRTIO_PORTS.items():
        if os.path.exists(f"{root}/dev/virtio-ports/{port}"):
            signs.append(GuestSign("virtual machine", product, f"virtio port {port}"))
    board = _read(f"{root}/sys/class/dmi/id/board_name")
    signs += [GuestSign("virtual machine", product, "DMI") for product in _DMI_BOARDS if product == board]
    for directory, product in _MOUNT_DIRECTORIES.items():
        if os.path.isdir(f"{root}/dev/{directory}"):
            signs.append(GuestSign("container", product, f"/dev/{directory}"))
    if not signs and _is_lxc(root):
        signs.append(GuestSign("container", "", "container=lxc"))
    return signs


def find_socket(path: str | os.PathLike[str] | None = None) -> str:
    """Return the path of the socket to use.

    It is `path` if that is given, else `$DEVLXD_SOCKET` if that is set, else the first of `SOCKETS` that
    exists, else the first whose directory exists. Otherwise, it is the socket of the product that this guest
    shows signs of, or that of LXD. Raises `InvalidRequest` for a path that is too long or contains NUL.
    """
    given = os.fspath(path) if path else os.environ.get("DEVLXD_SOCKET", "")
    if not given:
        for candidate in SOCKETS:
            if os.path.lexists(candidate):
                return candidate
        for candidate in SOCKETS:
            if os.path.isdir(os.path.dirname(candidate)):
                return candidate
        return SOCKETS[1 if _signed_product() == "Incus" else 0]
    length = len(os.fsencode(given))
    if length > MAX_SOCKET_PATH:
        problem = f"socket paths have at most {MAX_SOCKET_PATH} bytes, this one has {length}"
        raise InvalidRequest(given, problem)
    if "\0" in given:
        raise InvalidRequest(given, "socket paths cannot contain NUL")
    return given


def find_product(socket: str) -> Product:
    """Return the product of the host behind `socket`, as far as this guest shows it; LXD without a sign.

    The real directory of the socket decides: Incus virtual machines have `/dev/lxd` as a link to
    `/dev/incus`.
    """
    directory = os.path.basename(os.path.dirname(os.path.realpath(socket)))
    if directory in ("lxd", "incus"):
        return "Incus" if directory == "incus" else "LXD"
    return _signed_product() or "LXD"


def find_interface(device: Mapping[str, Any], root: str = "/") -> str | None:
    """Return the network interface of a nic device in this guest, None without one.

    It is found by the hardware address. A bridge or VLAN on top has the same address: the name that the host
    gave is preferred, then an interface with hardware. `root` is the directory that is taken for `/`.
    """
    directory = f"{root}/sys/class/net"
    wanted = str(device.get("hwaddr", "")).lower()
    try:
        interfaces = sorted(os.listdir(directory)) if wanted else []
    except OSError:  # a guest without /sys
        return None
    candidates = [each for each in interfaces if _read(f"{directory}/{each}/address").lower() == wanted]
    name = device.get("name")
    if isinstance(name, str) and name in candidates:
        return name
    with_hardware = [each for each in candidates if os.path.exists(f"{directory}/{each}/device")]
    return next(iter(with_hardware + candidates), None)


def find_node(
    name: str, device: Mapping[str, Any], root: str = "/", *, names: Collection[str] = ()
) -> str | None:
    """Return the node of the device `name` in this guest, None if it has none.

    That is the network interface of a nic, the block device of a disk in a virtual machine, the path of a
    unix-char or unix-block device.

    * `root`: the directory that is taken for `/`.
    * `names`: the names of all devices of the instance. The host shortens long names of disks: a short form
      that two of them have is not used.
    """
    kind = device.get("type")
    if kind == "nic":
        return find_interface(device, root)
    if kind in ("unix-char", "unix-block"):
        path = device.get("path") or device.get("source")
        return path if isinstance(path, str) and os.path.lexists(f"{root}/{path}") else None
    if kind != "disk":
        return None
    others = {link for other in names if other != name for link in _disk_links(other)}
    for link in _disk_links(name):
        if link not in others and (node := _link_target(f"/dev/disk/by-id/{link}", root)):
            return node
    return None


def _disk_links(name: str) -> Iterator[str]:
    """The names in /dev/disk/by-id that udev can give to the disk device `name` of a virtual machine.

    A disk has a serial and, on the SCSI bus, a device ID: a prefix and the encoded name. Where that is too
    long, it depends on the version of the host what they are:

    * Serial: LXD, and Incus before 2026, cut it after 36 characters; newer Incus replaces a name of more than
      30, or 14 for virtio-blk and NVMe, by its hash.
    * Device ID: LXD 6.4 and later do not limit it. Incus since 6.9 replaces a name of more than 25 by its
      hash. Before, it is the serial, of which QEMU takes 20 characters.
    * Disks on virtio-blk and NVMe show 20 characters of the serial.
    """
    encoded = name.replace("-", "--").replace("/", "-")
    for prefix in ("lxd_", "incus_"):
        full = prefix + encoded
        hashed = {size: prefix + _hash_if_longer(encoded, size) for size in (30, 25, 14)}
        for model in ("HARDDISK", "CD-ROM"):
            for serial in dict.fromkeys((full[:36], hashed[30])):
                yield f"scsi-SQEMU_QEMU_{model}_{serial}"
            for device_id in dict.fromkeys((full, hashed[25], full[:20])):
                yield f"scsi-0QEMU_QEMU_{model}_{device_id}"
        for serial in dict.fromkeys((hashed[14], full[:20])):
            yield f"virtio-{serial}"
            yield f"nvme-QEMU_NVMe_Ctrl_{serial}"
            yield f"nvme-QEMU_NVMe_Ctrl_{serial}_1"  # with the namespace, since systemd 252


def _hash_if_longer(text: str, size: int) -> str:
    """Return `text`, or the first `size` characters of its hash if it is longer."""
    if len(text.encode()) <= size:
        return text
    from base64 import urlsafe_b64encode
    from hashlib import sha256

    return urlsafe_b64encode(sha256(text.encode()).digest()).decode()[:size]


def _link_target(link: str, root: str) -> str | None:
    """Return the file in `root` that the symbolic link `link` leads to, None without it."""
    try:
        target = os.readlink(root + link)
    except OSError:
        return None
    path = os.path.normpath(os.path.join(os.path.dirname(link), target))
    return path if os.path.exists(root + path) else None


def has_virtio_port(root: str = "/") -> bool:
    """Whether this is a virtual machine whose agent can create the socket later."""
    return any(os.path.exists(f"{root}/dev/virtio-ports/{port}") for port in _VIRTIO_PORTS)


def is_nested_container(socket: str, root: str = "/") -> bool:
    """Whether this process runs in a container inside the guest, which hosts cannot identify.

    `socket` is the socket in use. With another than a guest has, such as that of the simulator in a Docker
    container, there is no guest.

    LXD, and Incus before 7, find the instance by the process ID, and answer with status 500 to processes of
    a PID namespace inside the guest.
    """
    if socket not in SOCKETS:
        return False
    if any(os.path.exists(f"{root}/{file}") for file in _CONTAINER_FILES):
        return True
    for line in _read(f"{root}/proc/self/status").splitlines():
        if line.startswith("NSpid:"):
            return len(line.split()) > 2  # the process ID in each namespace from that of /proc inwards
    return False


def _signed_product() -> Product | None:
    return next((sign.product for sign in guest_signs() if sign.product), None)


def _is_lxc(root: str) -> bool:
    # Only root can read the environment of process 1; systemd writes a copy for all.
    if _read(f"{root}/run/systemd/container") == "lxc":
        return True
    return "container=lxc" in _read(f"{root}/proc/1/environ").split("\0")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
