"""Debian's releases as images for real hosts, with the program and the wheel's shared files in them."""

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

from tests.hosts import PROGRAM, image

REPOSITORY = Path(__file__).resolve().parents[2]
ZIPAPP = REPOSITORY / "dist" / "devlxdctl.pyz"
KEPT = REPOSITORY / "build" / "guests"
"""Where the bare releases are kept: to be removed for newer ones."""

RELEASES = ("bookworm", "trixie", "testing")
_PACKAGES = "python3,bash-completion,man-db,iproute2"


def server() -> str:
    """The server that this machine gets its own release of Debian from."""
    release = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    suite = release[1] if release else "testing"
    for path in sorted(Path("/etc/apt").rglob("*.sources")):
        for entry in re.split(r"\n\s*\n", path.read_text()):
            fields = dict(re.findall(r"^(\w+):[ \t]*(.*)$", entry, re.MULTILINE))
            if suite in fields.get("Suites", "").split() and fields.get("Enabled") != "no":
                return str(fields["URIs"].split()[0])
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt").rglob("*.list"))]:
        found = re.search(
            rf"^deb (?:\[[^]]*\] )?(\S+) {suite} ", path.read_text() if path.exists() else "", re.M
        )
        if found:
            return found[1]
    raise LookupError(f"no entry for {suite} in /etc/apt")


def bare(release: str) -> Path:
    """The release's root file system as a tar, made where it is not kept yet."""
    result = KEPT / f"{release}.tar"
    if not result.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        new = result.with_suffix(f".{os.getpid()}")
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory) / "root"
            options = ["--variant=minbase", f"--include={_PACKAGES}"]
            subprocess.run(["debootstrap", *options, release, str(root), server()], timeout=600, check=True)
            for waste in ("usr/share/doc", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists"):
                shutil.rmtree(root / waste)
            pack = ["tar", "--create", "--file", str(new), "--directory", str(root)]
            exclude = ["--exclude=./dev/*", "--transform=s,^\\.,rootfs,S"]
            subprocess.run([*pack, *exclude, "."], timeout=120, check=True)
        new.rename(result)
    return result


def installed(release: str) -> bytes:
    """An image of the release with the one file in the program's place, and the wheel's shared files.

    Python and all else in it are the release's own.
    """
    written = io.BytesIO(bare(release).read_bytes())
    with tarfile.open(fileobj=written, mode="a") as archive:
        for name, data, mode in (
            ("metadata.yaml", image.METADATA, 0o644),
            ("rootfs/usr/sbin/init", image.INIT, 0o755),
            (f"rootfs{PROGRAM}", ZIPAPP.read_bytes(), 0o755),
            *((f"rootfs/usr/local/{path}", text, 0o644) for path, text in shared().items()),
        ):
            for parent in reversed(Path(name).parents[:-2]):
                if parent.name != "tmp":
                    entry = tarfile.TarInfo(str(parent))
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(entry)
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return written.getvalue()


def shared() -> dict[str, bytes]:
    """What pip would put under /usr/local/share from the wheel."""
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
