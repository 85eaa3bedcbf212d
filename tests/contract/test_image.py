"""Images of real hosts: exported in the guest, imported again on the host, and interrupted."""

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

from tests.contract.commands import failure
from tests.contract.expected import EXPECTED
from tests.hosts import DaemonHost, image
from tests.hosts.jobs import poll
from tests.support.program import PROGRAM, Result

DIRECTORY = "/mnt/images"
LARGE = 192 << 20
"""Bytes of an image whose export takes long enough to be interrupted."""


@pytest.fixture
def directory(real_host: DaemonHost) -> Iterator[Path]:
    """A directory outside that is DIRECTORY in the guest. All users can write to it."""
    path = Path(tempfile.mkdtemp(prefix="dx", dir="/tmp"))
    path.chmod(0o777)
    real_host.add_device("images", {"type": "disk", "source": str(path), "path": DIRECTORY})
    real_host.switch_images(True)
    yield path
    real_host.remove_device("images")
    shutil.rmtree(path)


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def export(host: DaemonHost, *argv: str) -> Result:
    return host.run(PROGRAM, "image", "export", *argv, cwd=DIRECTORY)


def import_again(host: DaemonHost, fingerprint: str, *files: Path) -> None:
    """Delete the image, and import the exported files with the client of the host."""
    assert host.client("image", "delete", fingerprint) == Result(0, b"", b"")
    imported = host.client("image", "import", *map(str, files), "--public")
    assert imported.status == 0, imported
    assert f"fingerprint: {fingerprint}" in imported.stdout.decode()


def test_exported_unified_image_can_be_imported_again(real_host: DaemonHost, directory: Path) -> None:
    data = image.unified(os.urandom(3_000_000))
    fingerprint = real_host.add_image(data)
    assert fingerprint == hashlib.sha256(data).hexdigest()
    result = export(real_host, fingerprint)
    (name,) = names(directory)
    assert name.startswith(f"{fingerprint}.")
    assert result == Result(0, f"{name}\t{len(data)}\n".encode(), b"")
    assert (directory / name).read_bytes() == data
    import_again(real_host, fingerprint, directory / name)


def test_exported_split_image_can_be_imported_again(real_host: DaemonHost, directory: Path) -> None:
    metadata, rootfs = image.split(os.urandom(3_000_000))
    fingerprint = real_host.add_image(metadata, rootfs)
    result = export(real_host, fingerprint, "-f", "json")
    files = json.loads(result.stdout)["files"]
    assert (result.status, result.stderr) == (0, b"")
    assert sorted(file["name"] for file in files) == names(directory)
    assert files[0]["name"].startswith(f"meta-{fingerprint}.")
    assert files[1]["name"].startswith(f"{fingerprint}.")
    paths = [directory / file["path"] for file in files]
    assert [path.read_bytes() for path in paths] == [metadata, rootfs]
    import_again(real_host, fingerprint, *paths)


@pytest.mark.parametrize("kind", ["private", "unknown"])
def test_private_and_unknown_images_are_not_found(kind: str, real_host: DaemonHost, directory: Path) -> None:
    private = real_host.add_image(image.unified(b"x"), public=False)
    fingerprint = private if kind == "private" else "0" * 64
    client = EXPECTED[real_host.name].client
    hint = f"guests can export public and cached images; on the host: {client} image show {fingerprint}"
    expected = failure(6, fingerprint, "no such image, or it is private", hint)
    assert export(real_host, fingerprint) == expected
    assert names(directory) == []


def test_export_is_forbidden_while_it_is_switched_off(real_host: DaemonHost, directory: Path) -> None:
    expected = EXPECTED[real_host.name]
    fingerprint = real_host.add_image(image.unified(b"x"))
    real_host.switch_images(False)
    hint = f"on the host: {expected.client} config set INSTANCE {expected.api_key}.images=true"
    assert export(real_host, fingerprint) == failure(4, fingerprint, "permission denied", hint)
    assert names(directory) == []


@pytest.mark.parametrize("kind", ["unified", "split"])
def test_export_resumes_a_unified_image_but_no_split_one_when_the_daemon_is_killed(
    kind: str, real_host: DaemonHost, directory: Path
) -> None:
    payload = os.urandom(1 << 20) * (LARGE >> 20)
    if kind == "unified":
        fingerprint = real_host.add_image(image.unified(payload))
    else:
        fingerprint = real_host.add_image(*image.split(payload))
    job = real_host.start(PROGRAM, "-v", "image", "export", fingerprint, cwd=DIRECTORY)

    def size() -> int:
        return max((file.stat().st_size for file in os.scandir(directory)), default=0)

    poll("an export that has begun", lambda: size() >> 20 or None, 60, interval=0.001)
    job.kill(signal.SIGSTOP)
    assert size() < LARGE, "the export ended before it was stopped"
    assert all(name.startswith(".devlxdctl-") for name in names(directory))
    real_host.stop_daemon("KILL")
    with contextlib.suppress(ProcessLookupError):  # it has continued and ended already
        job.kill(signal.SIGCONT)
    if kind == "unified":
        job.wait_for(b"; retry in ", stderr=True)
        real_host.start_daemon()
        assert (job.wait(), names(directory)) == (0, [job.stdout().decode().partition("\t")[0]])
        assert b"; resuming after " in job.stderr()
    else:
        assert (job.wait(), names(directory)) == (7, [])
        problem = b" bytes: truncated response; a split image cannot be resumed\nhint: "
        assert problem in job.stderr()
        real_host.start_daemon()  # for the fixture


def test_export_to_a_full_disk_leaves_no_file(real_host: DaemonHost, directory: Path) -> None:
    fingerprint = real_host.add_image(image.unified(os.urandom(3_000_000)))
    script = 'mount -t tmpfs -o size=1m tmpfs /mnt && cd /mnt && "$@"; s=$?; ls -A; exit $s'
    argv = ["unshare", "-m", "sh", "-c", script, "-", PROGRAM, "image", "export", fingerprint, "-o", "a"]
    assert real_host.run(*argv) == failure(8, "a", f"no space left on device, after {1 << 20} bytes")
