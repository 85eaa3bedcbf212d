"""What says that a machine is a guest: made-up machines, a directory each."""

from __future__ import annotations

from pathlib import Path

import pytest

from devlxdctl.guest import guest_signs

MACHINES: dict[str, tuple[dict[str, str | None], list[str]]] = {
    "a plain machine": (
        {"sys/class/dmi/id/board_name": "X570\n", "proc/1/environ": "HOME=/\0TERM=linux\0", "dev/null": ""},
        [],
    ),
    "nothing at all": ({}, []),
    "a virtual machine of LXD": (
        {"dev/virtio-ports/com.canonical.lxd": "", "sys/class/dmi/id/board_name": "LXD\n"},
        ["a virtual machine of LXD: virtio port com.canonical.lxd", "a virtual machine of LXD: DMI"],
    ),
    "a virtual machine of an older LXD": (
        {"dev/virtio-ports/org.linuxcontainers.lxd": ""},
        ["a virtual machine of LXD: virtio port org.linuxcontainers.lxd"],
    ),
    "a virtual machine of Incus": (
        {"dev/virtio-ports/org.linuxcontainers.incus": "", "sys/class/dmi/id/board_name": "Incus\n"},
        [
            "a virtual machine of Incus: virtio port org.linuxcontainers.incus",
            "a virtual machine of Incus: DMI",
        ],
    ),
    "a container of LXD in a virtual machine of Incus": (
        {"dev/.lxd-mounts": None, "sys/class/dmi/id/board_name": "Incus\n"},
        ["a virtual machine of Incus: DMI", "a container of LXD: /dev/.lxd-mounts"],
    ),
    "a container of Incus": (
        {"dev/.incus-mounts": None, "proc/1/environ": "container=lxc\0"},
        ["a container of Incus: /dev/.incus-mounts"],
    ),
    "a container of LXC": ({"proc/1/environ": "A=b\0container=lxc\0"}, ["a container: container=lxc"]),
    "a container of LXC, seen by a user": ({"run/systemd/container": "lxc"}, ["a container: container=lxc"]),
    "a container of another kind": ({"proc/1/environ": "container=docker\0"}, []),
}


@pytest.mark.parametrize("name", MACHINES)
def test_the_signs(name: str, tmp_path: Path) -> None:
    files, signs = MACHINES[name]
    for path, text in files.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            file.mkdir()
        else:
            file.write_text(text)
    assert list(map(str, guest_signs(str(tmp_path)))) == signs
