"""The guest itself: where the socket of its host is, and what shows that it is a guest of LXD or Incus."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from devlxdctl.errors import InvalidRequest

__all__ = ["SOCKETS", "GuestSign", "find_interface", "find_product", "find_socket", "guest_signs"]

Product = Literal["LXD", "Incus"]

SOCKETS: Final = ("/dev/lxd/sock", "/dev/incus/sock")
"""Where LXD and Incus put their sockets in a guest."""

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
    """One sign that this is a guest. `product` is "" where it can be LXD, Incus or plain LXC."""

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

    That is `path`, else `$DEVLXD_SOCKET`, else the first of `SOCKETS` that exists, else the one whose
    directory exists, else the one of the product that this guest shows signs of, else LXD's. Raises
    `InvalidRequest` for a path that no socket can have.
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
