"""Debian releases as images that boot systemd, in which apt can install Python, nginx and sshd offline."""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.guests.debian import KEPT, server
from tests.hosts import image
from tests.hosts.software import Software

_PACKAGES = "systemd-sysv,iproute2,man-db,bash-completion,zsh"  # not fish, which needs Python

# The release file of testing may have expired on a mirror. The downloaded packages stay in the image, so
# that apt needs no network. console-getty.service fails in a container without a console.
_PREPARE = """set -e
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
export DEBIAN_FRONTEND=noninteractive
chroot "$1" apt-get clean
chroot "$1" apt-get -o Acquire::Check-Valid-Until=false -q update
chroot "$1" apt-get -q install -y --download-only --no-install-recommends python3 fish \\
    nginx ca-certificates openssh-server
ln -s /dev/null "$1/etc/systemd/system/console-getty.service"
"""

# systemd 258 and later needs a pure cgroup v2: where this machine has both versions, the host and its guest
# see only the v2 tree. The guest's files are in memory, because removing a whole Debian takes minutes on some
# disks. Both mounts end with the namespaces of the host.
_DAEMON = """#!/bin/sh
set -e
if [ -d /sys/fs/cgroup/unified ]; then
    mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup
fi
if ! mountpoint -q "${directory}/storage-pools"; then
    mkdir -p -m 711 "${directory}/storage-pools" "${directory}/images"
    mount -t tmpfs -o mode=711 tmpfs "${directory}/storage-pools"
    mount -t tmpfs -o mode=700 tmpfs "${directory}/images"
fi
exec {daemon} "$@"
"""


def booting(release: str) -> bytes:
    """Return the image. It is built only when there is none in `KEPT`."""
    kept = KEPT / f"{release}-systemd.tar"
    if not kept.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(f".{os.getpid()}")
        with tempfile.TemporaryDirectory() as directory:
            root = f"{directory}/root"
            options = ["--variant=minbase", f"--include={_PACKAGES}"]
            subprocess.run(["debootstrap", *options, release, root, server()], timeout=900, check=True)
            prepare = ["unshare", "--mount", "sh", "-c", _PREPARE, "sh", root]
            subprocess.run(prepare, timeout=300, check=True)
            pack = ["tar", "--create", "--file", str(new), "--directory", root]
            exclude = ["--exclude=./dev/*", "--transform=s,^\\.,rootfs,S"]
            subprocess.run([*pack, *exclude, "."], timeout=120, check=True)
        new.rename(kept)
    written = io.BytesIO(kept.read_bytes())
    with tarfile.open(fileobj=written, mode="a") as archive:
        entry = tarfile.TarInfo("metadata.yaml")
        entry.size = len(image.METADATA)
        archive.addfile(entry, io.BytesIO(image.METADATA))
    return written.getvalue()


def for_systemd(software: Software, directory: Path) -> Software:
    """Return `software` with a daemon whose guests can run a whole Debian; `directory` gets its script."""
    script = directory / software.name
    script.write_text(_DAEMON.format(daemon=software.daemon, directory=software.state_variable))
    script.chmod(0o755)
    return dataclasses.replace(software, daemon=str(script))
