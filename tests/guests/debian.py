"""Debian releases as images for real hosts, with the zipapp and the shared files of the wheel."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.hosts import image
from tests.support.program import PROGRAM, REPOSITORY

ZIPAPP = REPOSITORY / "dist" / "devlxdctl.pyz"
KEPT = REPOSITORY / "build" / "guests"
"""Where root file systems of releases are kept. Delete them to get newer ones."""

RELEASES = ("bookworm", "trixie", "testing")
_PACKAGES = "python3,bash-completion,man-db,iproute2"


def server() -> str:
    """Return the address of the Debian mirror that this machine uses."""
    found = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    suite = found[1] if found else "testing"
    for path in sorted(Path("/etc/apt").rglob("*.sources")):
        for entry in re.split(r"\n\s*\n", path.read_text()):
            fields = dict(re.findall(r"^(\w+):[ \t]*(.*)$", entry, re.MULTILINE))
            if suite in fields.get("Suites", "").split() and fields.get("Enabled") != "no":
                return str(fields["URIs"].split()[0])
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt").rglob("*.list"))]:
        text = path.read_text() if path.exists() else ""
        if line := re.search(rf"^deb (?:\[[^]]*\] )?(\S+) {suite} ", text, re.MULTILINE):
            return line[1]
    raise LookupError(f"no entry for {suite} in /etc/apt")


def root_file_system(release: str) -> Path:
    """Return the root file system of a release as a tar archive. It is built only if none is kept."""
    result = KEPT / f"{release}.tar"
    if not result.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        new = result.with_suffix(f".{os.getpid()}")
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory) / "root"
            options = ["--variant=minbase", f"--include={_PACKAGES}"]
            subprocess.run(["debootstrap", *options, release, str(root), server()], timeout=600, check=True)
            for unneeded in ("usr/share/doc", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists"):
                shutil.rmtree(root / unneeded)
            pack = ["tar", "--create", "--file", str(new), "--directory", str(root)]
            exclude = ["--exclude=./dev/*", "--transform=s,^\\.,rootfs,S"]
            subprocess.run([*pack, *exclude, "."], timeout=120, check=True)
        new.rename(result)
    return result


def image_with_program(release: str) -> bytes:
    """Return an image of a release that has the zipapp at PROGRAM, and the shared files of the wheel.

    Everything else is from the release, including Python.
    """
    output = io.BytesIO(root_file_system(release).read_bytes())
    with tarfile.open(fileobj=output, mode="a") as archive:
        for name, data, mode in (
            ("metadata.yaml", image.METADATA, 0o644),
            ("rootfs/usr/sbin/init", image.INIT, 0o755),
            (f"rootfs{PROGRAM}", ZIPAPP.read_bytes(), 0o755),
            *((f"rootfs/usr/local/{path}", data, 0o644) for path, data in shared_files().items()),
        ):
            for parent in reversed(Path(name).parents[:-2]):
                if parent.name != "tmp":
                    entry = tarfile.TarInfo(str(parent))
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(entry)
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return output.getvalue()


def shared_files() -> dict[str, bytes]:
    """Return the files that pip installs below /usr/local from the wheel, by their path there."""
    with tempfile.TemporaryDirectory() as directory:
        build = [f"{Path(PROGRAM).parent}/python", "-m", "build", "--wheel", "--no-isolation"]
        subprocess.run(
            [*build, "--outdir", directory, REPOSITORY], capture_output=True, timeout=120, check=True
        )
        (wheel,) = Path(directory).iterdir()
        with zipfile.ZipFile(wheel) as file:
            return {
                name.partition(".data/data/")[2]: file.read(name)
                for name in file.namelist()
                if ".data/data/" in name
            }
