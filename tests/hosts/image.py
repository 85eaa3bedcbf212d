"""Small images for the hosts. A guest of them runs the programs in /usr of this machine."""

import io
import platform
import tarfile
from typing import BinaryIO

METADATA = f"""architecture: {platform.machine()}
creation_date: 1700000000
properties:
  os: tiny
  release: "1"
""".encode()

_DIRECTORIES = ("dev", "etc", "mnt", "proc", "root", "run", "sbin", "sys", "usr", "var")

INIT = b"""#!/bin/sh
trap "exit 0" TERM PWR INT
while :; do sleep 3600 & wait $!; done
"""

_PASSWD = b"""root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/usr/sbin/nologin
"""

_GROUP = b"""root:x:0:
nogroup:x:65534:
"""


Entry = tuple[tarfile.TarInfo, bytes]


def _entry(name: str, kind: bytes, mode: int, data: bytes = b"", target: str = "") -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size = kind, mode, target, len(data)
    info.mtime = 1700000000
    return info, data


def _directory(name: str, mode: int = 0o755) -> Entry:
    return _entry(name, tarfile.DIRTYPE, mode)


def _link(name: str, target: str) -> Entry:
    return _entry(name, tarfile.SYMTYPE, 0o777, target=target)


def _file(name: str, data: bytes, mode: int = 0o644) -> Entry:
    return _entry(name, tarfile.REGTYPE, mode, data)


def _tar(*entries: Entry) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return output.getvalue()


def bootable() -> bytes:
    """Return a unified image, a plain tar, for a guest whose programs are mounted at /usr."""
    return _tar(
        _file("metadata.yaml", METADATA),
        _directory("rootfs"),
        *(_directory(f"rootfs/{name}") for name in _DIRECTORIES),
        _directory("rootfs/tmp", 0o1777),
        *(_link(f"rootfs/{name}", f"usr/{name}") for name in ("bin", "lib", "lib64")),
        _file("rootfs/sbin/init", INIT, 0o755),
        _file("rootfs/etc/passwd", _PASSWD),
        _file("rootfs/etc/group", _GROUP),
        _file("rootfs/etc/hostname", b""),
    )


def unified(payload: bytes) -> bytes:
    """Return an image of one file, a plain tar that contains `payload`. No guest can start from it."""
    return _tar(_file("metadata.yaml", METADATA), _directory("rootfs"), _file("rootfs/payload", payload))


def split(payload: bytes) -> tuple[bytes, bytes]:
    """Return an image of two files, plain tars: the metadata, and a root file system with `payload`."""
    return _tar(_file("metadata.yaml", METADATA)), _tar(_file("payload", payload))


def sparse(file: BinaryIO, size: int) -> None:
    """Write a unified image of about `size` bytes to `file`, most of which is a hole."""
    payload, _ = _file("rootfs/payload", b"")
    payload.size = size
    head = io.BytesIO()
    with tarfile.open(fileobj=head, mode="w") as archive:
        for info, data in (_file("metadata.yaml", METADATA), _directory("rootfs")):
            archive.addfile(info, io.BytesIO(data))
        archive.addfile(payload)  # the header only: its content is the hole
        used = archive.offset
    file.write(head.getvalue()[:used])
    end = used + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE
    file.truncate(end)
    file.seek(0)
