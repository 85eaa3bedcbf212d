"""Signs that this is a guest, the interfaces of its nics, and nested containers: file trees made for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from devlxdctl.guest import SOCKETS, find_interface, guest_signs, is_nested_container

GUESTS: dict[str, tuple[dict[str, str | None], list[str]]] = {
    "physical machine": (
        {"sys/class/dmi/id/board_name": "X570\n", "proc/1/environ": "HOME=/\0TERM=linux\0", "dev/null": ""},
        [],
    ),
    "empty root directory": ({}, []),
    "virtual machine of LXD": (
        {"dev/virtio-ports/com.canonical.lxd": "", "sys/class/dmi/id/board_name": "LXD\n"},
        ["LXD virtual machine (virtio port com.canonical.lxd)", "LXD virtual machine (DMI)"],
    ),
    "virtual machine of LXD 4": (
        {"dev/virtio-ports/org.linuxcontainers.lxd": ""},
        ["LXD virtual machine (virtio port org.linuxcontainers.lxd)"],
    ),
    "virtual machine of Incus": (
        {"dev/virtio-ports/org.linuxcontainers.incus": "", "sys/class/dmi/id/board_name": "Incus\n"},
        ["Incus virtual machine (virtio port org.linuxcontainers.incus)", "Incus virtual machine (DMI)"],
    ),
    "container of LXD in a virtual machine of Incus": (
        {"dev/.lxd-mounts": None, "sys/class/dmi/id/board_name": "Incus\n"},
        ["Incus virtual machine (DMI)", "LXD container (/dev/.lxd-mounts)"],
    ),
    "container of Incus": (
        {"dev/.incus-mounts": None, "proc/1/environ": "container=lxc\0"},
        ["Incus container (/dev/.incus-mounts)"],
    ),
    "container of LXC": ({"proc/1/environ": "A=b\0container=lxc\0"}, ["container (container=lxc)"]),
    "container of LXC, without permission to read process 1": (
        {"run/systemd/container": "lxc"},
        ["container (container=lxc)"],
    ),
    "container of Docker": ({"proc/1/environ": "container=docker\0"}, []),
}
"""The files of a guest by their path, None for a directory; and the signs that they are."""


def create_files(root: Path, files: dict[str, str | None]) -> None:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            file.mkdir()
        else:
            file.write_text(text)


@pytest.mark.parametrize("name", GUESTS)
def test_guest_signs_are_found(name: str, tmp_path: Path) -> None:
    files, signs = GUESTS[name]
    create_files(tmp_path, files)
    assert list(map(str, guest_signs(str(tmp_path)))) == signs


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, False),
        ({".dockerenv": ""}, True),
        ({"run/.containerenv": ""}, True),
        ({"proc/self/status": "Name:\tx\nNSpid:\t71\n"}, False),
        ({"proc/self/status": "Name:\tx\nNSpid:\t71\t1\n"}, True),
    ],
)
def test_nested_container_is_found_by_its_files_or_process_id(
    files: dict[str, str | None], expected: bool, tmp_path: Path
) -> None:
    create_files(tmp_path, files)
    assert is_nested_container(SOCKETS[0], str(tmp_path)) is expected
    # With a socket that no guest has, such as that of a simulator, there is no guest.
    assert not is_nested_container("/tmp/lxd/sock", str(tmp_path))


NETWORK = "sys/class/net"
MAC = "00:16:3e:00:00:01"


@pytest.mark.parametrize(
    ("device", "interface"),
    [
        ({"hwaddr": MAC.upper()}, "enp5s0"),
        ({"hwaddr": MAC, "name": "br0"}, "br0"),
        ({"hwaddr": MAC, "name": "eth9"}, "enp5s0"),
        ({"hwaddr": "00:16:3e:00:00:02"}, "veth1"),
        ({"hwaddr": "00:16:3e:00:00:03"}, None),
        ({"name": "enp5s0"}, None),
        ({"hwaddr": 5}, None),
    ],
)
def test_interface_of_a_nic_is_found_by_its_hardware_address(
    device: dict[str, object], interface: str | None, tmp_path: Path
) -> None:
    """A bridge has the address of its hardware interface, and sorts before it here."""
    create_files(
        tmp_path,
        {
            f"{NETWORK}/br0/address": f"{MAC}\n",
            f"{NETWORK}/enp5s0/address": f"{MAC}\n",
            f"{NETWORK}/enp5s0/device": None,
            f"{NETWORK}/veth1/address": "00:16:3e:00:00:02\n",
        },
    )
    assert find_interface(device, str(tmp_path)) == interface


def test_guest_without_sys_has_no_interfaces(tmp_path: Path) -> None:
    assert find_interface({"hwaddr": MAC}, str(tmp_path)) is None
