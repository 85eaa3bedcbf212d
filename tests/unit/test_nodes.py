"""Tests of what devices are in a guest: made-up guests, a directory each."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from devlxdctl.guest import find_node

DISK = {"type": "disk", "pool": "default", "source": "volume"}
LONG = "a-device-with-a-name-that-is-longer-than-36-characters"
ENCODED = LONG.replace("-", "--")
HASH = urlsafe_b64encode(hashlib.sha256(ENCODED.encode()).digest()).decode().rstrip("=")


def add_link(root: Path, link: str, node: str) -> None:
    """Add a link in /dev/disk/by-id, and the node that it leads to, as udev does."""
    directory = root / "dev/disk/by-id"
    directory.mkdir(parents=True, exist_ok=True)
    (root / "dev" / node).touch()
    (directory / link).symlink_to(f"../../{node}")


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("root", "scsi-0QEMU_QEMU_HARDDISK_lxd_root"),
        ("root", "scsi-SQEMU_QEMU_HARDDISK_lxd_root"),
        ("root", "scsi-0QEMU_QEMU_HARDDISK_incus_root"),
        ("iso", "scsi-0QEMU_QEMU_CD-ROM_incus_iso"),
        ("my-data", "scsi-0QEMU_QEMU_HARDDISK_lxd_my--data"),
        ("a/b", "scsi-0QEMU_QEMU_HARDDISK_lxd_a-b"),
        ("data", "virtio-lxd_data"),
        ("data", "virtio-incus_data"),
        ("data", "nvme-QEMU_NVMe_Ctrl_lxd_data"),
        ("data", "nvme-QEMU_NVMe_Ctrl_incus_data_1"),
        pytest.param(LONG, f"scsi-0QEMU_QEMU_HARDDISK_lxd_{ENCODED}", id="LXD 6.4: whole device ID"),
        pytest.param(LONG, f"scsi-SQEMU_QEMU_HARDDISK_lxd_{ENCODED[:32]}", id="LXD: serial of 36"),
        pytest.param(LONG, f"scsi-0QEMU_QEMU_HARDDISK_lxd_{ENCODED[:16]}", id="LXD 5.21: device ID of 20"),
        pytest.param(LONG, f"scsi-SQEMU_QEMU_HARDDISK_incus_{ENCODED[:30]}", id="Incus: serial of 36"),
        pytest.param(LONG, f"scsi-SQEMU_QEMU_HARDDISK_incus_{HASH[:30]}", id="Incus 2026: hashed serial"),
        pytest.param(LONG, f"scsi-0QEMU_QEMU_HARDDISK_incus_{HASH[:25]}", id="Incus 6.9: hashed device ID"),
        pytest.param(LONG, f"virtio-lxd_{ENCODED[:16]}", id="LXD: virtio-blk of 20"),
        pytest.param(LONG, f"virtio-incus_{HASH[:14]}", id="Incus 2026: hashed, virtio-blk"),
        pytest.param(LONG, f"nvme-QEMU_NVMe_Ctrl_incus_{HASH[:14]}", id="Incus 2026: hashed, NVMe"),
    ],
)
def test_disk_of_a_virtual_machine_is_found_by_its_link(name: str, link: str, tmp_path: Path) -> None:
    add_link(tmp_path, link, "sdb")
    assert find_node(name, DISK, str(tmp_path), names=[name, "another"]) == "/dev/sdb"


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("dat", "scsi-0QEMU_QEMU_HARDDISK_lxd_data"),
        ("data", "scsi-0QEMU_QEMU_HARDDISK_lxd_dat"),
        ("data", "scsi-0QEMU_QEMU_HARDDISK_lxd_data-part1"),
        ("data", "scsi-0QEMU_QEMU_HARDDISK_other_data"),
        ("data", "scsi-0QEMU_QEMU_HARDDISK_lxd_DATA"),
        ("data", "virtio-data"),
        ("a-b", "scsi-0QEMU_QEMU_HARDDISK_lxd_a-b"),
    ],
)
def test_disk_with_a_similar_name_is_not_taken(name: str, link: str, tmp_path: Path) -> None:
    add_link(tmp_path, link, "sdb")
    assert find_node(name, DISK, str(tmp_path)) is None


def test_short_form_that_two_disks_have_is_not_used(tmp_path: Path) -> None:
    other = f"{LONG}-2"
    add_link(tmp_path, f"scsi-SQEMU_QEMU_HARDDISK_lxd_{ENCODED[:32]}", "sdb")
    assert find_node(LONG, DISK, str(tmp_path), names=[LONG]) == "/dev/sdb"
    assert find_node(LONG, DISK, str(tmp_path), names=[LONG, other]) is None
    add_link(tmp_path, f"scsi-0QEMU_QEMU_HARDDISK_lxd_{ENCODED}", "sdc")
    assert find_node(LONG, DISK, str(tmp_path), names=[LONG, other]) == "/dev/sdc"
    # `a-/b` and `a/-b` are encoded in the same way.
    add_link(tmp_path, "scsi-0QEMU_QEMU_HARDDISK_lxd_a---b", "sdd")
    assert find_node("a-/b", DISK, str(tmp_path), names=["a-/b", "a/-b"]) is None


def test_link_without_its_node_is_not_used(tmp_path: Path) -> None:
    add_link(tmp_path, "scsi-0QEMU_QEMU_HARDDISK_lxd_data", "sdb")
    (tmp_path / "dev/sdb").unlink()
    assert find_node("data", DISK, str(tmp_path)) is None
    (tmp_path / "dev/disk/by-id/virtio-lxd_data").write_text("not a link")
    assert find_node("data", DISK, str(tmp_path)) is None


@pytest.mark.parametrize("kind", ["unix-char", "unix-block"])
def test_unix_device_is_its_path_once_it_exists(kind: str, tmp_path: Path) -> None:
    device = {"type": kind, "source": "/dev/null", "path": "/dev/mynull"}
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/null").touch()
    assert find_node("x", device, str(tmp_path)) is None
    assert find_node("x", {"type": kind, "source": "/dev/null"}, str(tmp_path)) == "/dev/null"
    (tmp_path / "dev/mynull").touch()
    assert find_node("x", device, str(tmp_path)) == "/dev/mynull"
    assert find_node("x", {"type": kind}, str(tmp_path)) is None


def test_nic_is_the_interface_with_its_address(tmp_path: Path) -> None:
    interface = tmp_path / "sys/class/net/enp5s0"
    interface.mkdir(parents=True)
    (interface / "address").write_text("00:16:3e:00:00:01\n")
    nic = {"type": "nic", "hwaddr": "00:16:3E:00:00:01"}
    assert find_node("eth0", nic, str(tmp_path)) == "enp5s0"
    assert find_node("eth0", {"type": "nic"}, str(tmp_path)) is None


@pytest.mark.parametrize("kind", ["none", "proxy", "gpu", "usb", "tpm", "unix-hotplug", "", None])
def test_other_types_have_no_node(kind: str | None, tmp_path: Path) -> None:
    add_link(tmp_path, "scsi-0QEMU_QEMU_HARDDISK_lxd_x", "sda")
    assert find_node("x", {"type": kind, "path": "/dev", "source": "/dev"}, str(tmp_path)) is None
