"""What a machine shows of being an instance of LXD or Incus, whether or not its API is there."""

from __future__ import annotations

import os
from typing import Final, Literal, NamedTuple

_PORTS: Final[dict[str, Literal["LXD", "Incus"]]] = {
    "com.canonical.lxd": "LXD",
    "org.linuxcontainers.lxd": "LXD",
    "org.linuxcontainers.incus": "Incus",
}
"""The virtio ports that hosts give their virtual machines, in /dev/virtio-ports."""
_BOARDS: Final[tuple[Literal["LXD", "Incus"], ...]] = ("LXD", "Incus")
"""The names in DMI of the boards of their virtual machines."""
_MOUNTS: Final[dict[str, Literal["LXD", "Incus"]]] = {".lxd-mounts": "LXD", ".incus-mounts": "Incus"}
"""The directories in /dev of their containers, through which hosts mount what is added to a running one."""


class Sign(NamedTuple):
    """One thing that says so. `product` is "" where it may be LXD, Incus or LXC alone."""

    kind: Literal["virtual machine", "container"]
    product: Literal["LXD", "Incus", ""]
    seen: str

    def __str__(self) -> str:
        return f"a {self.kind}{' of ' if self.product else ''}{self.product}: {self.seen}"


def guest_signs(root: str = "/") -> list[Sign]:
    """What says that this is a guest, the surest first; empty where nothing does. `root` is where to look."""
    signs: list[Sign] = []
    for port, product in _PORTS.items():
        if os.path.exists(f"{root}/dev/virtio-ports/{port}"):
            signs.append(Sign("virtual machine", product, f"virtio port {port}"))
    board = _read(f"{root}/sys/class/dmi/id/board_name")
    signs += [Sign("virtual machine", product, "DMI") for product in _BOARDS if product == board]
    for mounts, product in _MOUNTS.items():
        if os.path.isdir(f"{root}/dev/{mounts}"):
            signs.append(Sign("container", product, f"/dev/{mounts}"))
    if not signs and _is_lxc(root):
        signs.append(Sign("container", "", "container=lxc"))
    return signs


def _is_lxc(root: str) -> bool:
    # What the first process was started with only root can read; systemd writes it down for all.
    if _read(f"{root}/run/systemd/container") == "lxc":
        return True
    return "container=lxc" in _read(f"{root}/proc/1/environ").split("\0")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
