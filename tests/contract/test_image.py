"""Images of real hosts: exported in the guest, imported again outside, and lost on the way."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.expected import EXPECTED
from tests.hosts import PROGRAM, DaemonHost, Result, image
from tests.hosts.jobs import poll

ROOM = "/mnt/room"
LARGE = 192 << 20
"""Bytes: so large that an export is seen in its middle."""


@pytest.fixture
def room(real_host: DaemonHost) -> Iterator[Path]:
    """A directory outside that is ROOM in the guest, where anybody can write."""
    path = Path(tempfile.mkdtemp(prefix="dx", dir="/tmp"))
    path.chmod(0o777)
    real_host.add_device("room", {"type": "disk", "source": str(path), "path": ROOM})
    real_host.offer_images(True)
    yield path
    real_host.remove_device("room")
    shutil.rmtree(path)


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def export(host: DaemonHost, *argv: str) -> Result:
    return host.run(PROGRAM, "image", "export", *argv, cwd=ROOM)


def import_again(host: DaemonHost, fingerprint: str, *files: Path) -> None:
    """Imports what was exported with the host's own client, in place of the image."""
    assert host.client("image", "delete", fingerprint) == Result(0, b"", b"")
    imported = host.client("image", "import", *map(str, files), "--public")
    assert imported.status == 0, imported
    assert f"fingerprint: {fingerprint}" in imported.stdout.decode()


def test_a_unified_image(real_host: DaemonHost, room: Path) -> None:
    data = image.unified(os.urandom(3_000_000))
    fingerprint = real_host.add_image(data)
    assert fingerprint == hashlib.sha256(data).hexdigest()
    result = export(real_host, fingerprint)
    (name,) = names(room)
    assert name.startswith(f"{fingerprint}.")
    assert result == Result(0, f"{name}\t{len(data)}\n".encode(), b"")
    assert (room / name).read_bytes() == data
    import_again(real_host, fingerprint, room / name)


def test_a_split_image(real_host: DaemonHost, room: Path) -> None:
    metadata, rootfs = image.split(os.urandom(3_000_000))
    fingerprint = real_host.add_image(metadata, rootfs)
    result = export(real_host, fingerprint, "-f", "json")
    files = json.loads(result.stdout)["files"]
    assert (result.status, result.stderr) == (0, b"")
    assert sorted(file["name"] for file in files) == names(room)
    assert files[0]["name"].startswith(f"meta-{fingerprint}.")
    assert files[1]["name"].startswith(f"{fingerprint}.")
    paths = [room / file["path"] for file in files]
    assert [path.read_bytes() for path in paths] == [metadata, rootfs]
    import_again(real_host, fingerprint, *paths)


def test_what_is_forbidden_private_or_absent(real_host: DaemonHost, room: Path) -> None:
    expected = EXPECTED[real_host.name]
    private = real_host.add_image(image.unified(b"x"), public=False)
    for fingerprint in (private, "0" * 64):
        lines = (
            f"devlxdctl: {fingerprint}: no such image, or it is private: both look the same from here\n"
            "hint: guests get public images only; on the host, this says whether it is one: "
            f"{expected.client} image show {fingerprint}\n"
        )
        assert export(real_host, fingerprint) == Result(6, b"", lines.encode())
    real_host.offer_images(False)
    lines = (
        f"devlxdctl: {private}: not permitted: {expected.forbidden}\n"
        f"hint: on the host: {expected.client} config set INSTANCE {expected.switch}.images=true\n"
    )
    assert export(real_host, private) == Result(4, b"", lines.encode())
    assert names(room) == []


@pytest.mark.parametrize("kind", ["unified", "split"])
def test_the_daemon_is_killed_in_the_middle(kind: str, real_host: DaemonHost, room: Path) -> None:
    payload = os.urandom(1 << 20) * (LARGE >> 20)
    if kind == "unified":
        fingerprint = real_host.add_image(image.unified(payload))
    else:
        fingerprint = real_host.add_image(*image.split(payload))
    job = real_host.start(PROGRAM, "-v", "image", "export", fingerprint, cwd=ROOM)

    def begun() -> int | None:
        return max((file.stat().st_size for file in os.scandir(room)), default=0) >> 20 or None

    poll("an export that has begun", begun, 20, interval=0.001)
    job.kill(signal.SIGSTOP)
    assert max(file.stat().st_size for file in os.scandir(room)) < LARGE, "it was too fast"
    assert all(name.startswith(".devlxdctl-") for name in names(room))
    real_host.stop("KILL")
    with contextlib.suppress(ProcessLookupError):  # it has woken, and ended already
        job.kill(signal.SIGCONT)
    if kind == "unified":
        job.wait_for(b"again in", stderr=True)
        real_host.resume()
        assert (job.wait(), names(room)) == (0, [job.stdout().decode().partition("\t")[0]])
        assert b"it is continued after " in job.stderr()
    else:
        assert (job.wait(), names(room)) == (7, [])
        why = b" bytes: the answer was cut short; a split image cannot be continued\nhint: "
        assert why in job.stderr()
        real_host.resume()


def test_a_full_disk(real_host: DaemonHost, room: Path) -> None:
    fingerprint = real_host.add_image(image.unified(os.urandom(3_000_000)))
    script = 'mount -t tmpfs -o size=1m tmpfs /mnt && cd /mnt && "$@"; s=$?; ls -A; exit $s'
    argv = ["unshare", "-m", "sh", "-c", script, "-", PROGRAM, "image", "export", fingerprint, "-o", "a"]
    line = f"devlxdctl: a: no space left on device, after {1 << 20} bytes\n"
    assert real_host.run(*argv) == Result(8, b"", line.encode())
