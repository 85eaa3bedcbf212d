"""`image export` to files: its output, its exit status, and which files it leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.images.export import PIECE_SIZE
from devlxdctl.simulator import Simulator
from tests.cli.background import poll
from tests.support.exports import FINGERPRINT, IMAGE, part, split, unified
from tests.support.faulty_hosts import HoldingHost
from tests.support.program import PROGRAM, Result, failure, run
from tests.support.raw_host import RawHost

GUEST = """
config: {security.devlxd.images: "true", security.guestapi.images: "true"}
simulator:
  images:
  - size: 3MB
  - {size: 3MB, type: split}
  - {size: 1, public: "false"}
"""


@pytest.fixture
def simulator(socket_directory: Path) -> Iterator[Simulator]:
    """LXD 6 with a unified, a split and a private image."""
    (socket_directory / "guest.yaml").write_text(GUEST)
    (socket_directory / "lxd").mkdir()
    with Simulator(socket_directory / "lxd" / "sock", socket_directory / "guest.yaml") as simulator:
        yield simulator


@pytest.fixture
def fingerprints(simulator: Simulator) -> list[str]:
    """The fingerprints of the three images."""
    return [image["fingerprint"] for image in simulator.show()["images"]]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def export(simulator: Simulator | RawHost, directory: Path, *argv: str) -> Result:
    """Run `image export` in a directory."""
    return run("image", "export", *argv, socket=simulator.path, cwd=directory)


def test_unified_image_is_exported_to_one_file_in_the_current_directory(
    simulator: Simulator, fingerprints: list[str], image_directory: Path
) -> None:
    fingerprint = fingerprints[0]
    name = f"{fingerprint}.tar"
    expected = Result(0, f"{name}\t3000000\n".encode(), b"")
    assert export(simulator, image_directory, fingerprint) == expected
    assert names(image_directory) == [name]
    assert hashlib.sha256((image_directory / name).read_bytes()).hexdigest() == fingerprint


def test_split_image_is_exported_to_two_files_in_a_directory(
    simulator: Simulator, fingerprints: list[str], image_directory: Path
) -> None:
    fingerprint = fingerprints[1]
    meta, rootfs = image_directory / f"meta-{fingerprint}.tar", image_directory / f"{fingerprint}.squashfs"
    result = run("image", "export", fingerprint.upper(), "-o", image_directory, socket=simulator.path)
    assert result == Result(0, f"{meta}\t512\n{rootfs}\t3000000\n".encode(), b"")
    assert hashlib.sha256(meta.read_bytes() + rootfs.read_bytes()).hexdigest() == fingerprint


def test_existing_file_is_replaced_with_force_only(
    simulator: Simulator, fingerprints: list[str], image_directory: Path
) -> None:
    fingerprint = fingerprints[1]
    meta, rootfs = f"meta-{fingerprint}.tar", f"{fingerprint}.squashfs"
    (image_directory / meta).write_text("mine")
    argv = ["image", "export", fingerprint, "-o", str(image_directory)]
    assert run(*argv, socket=simulator.path) == failure(
        8, f"{image_directory}/{meta}: exists already", "replace it with --force"
    )
    assert names(image_directory) == [meta]
    result = run("-f", "json", *argv, "--force", socket=simulator.path)
    assert (result.status, result.stderr) == (0, b"")
    assert json.loads(result.stdout) == {
        "fingerprint": fingerprint,
        "type": "split",
        "files": [
            {"name": meta, "path": f"{image_directory}/{meta}", "size": 512},
            {"name": rootfs, "path": f"{image_directory}/{rootfs}", "size": 3000000},
        ],
    }
    assert names(image_directory) == sorted([meta, rootfs])


def test_only_a_unified_image_can_be_exported_to_a_named_file(
    simulator: Simulator, fingerprints: list[str], image_directory: Path
) -> None:
    one, two, _ = fingerprints
    result = export(simulator, image_directory, one, "-o", "image")
    assert result == Result(0, b"image\t3000000\n", b"")
    (image_directory / "image").unlink()
    for output in ("image", "-"):
        assert export(simulator, image_directory, two, "-o", output) == failure(
            2, f"{two}: is a split image of two files, which need an existing directory"
        )
    assert export(simulator, image_directory, one, "-o", "") == failure(
        2, "image export: -o: the file name is empty", "see the help: devlxdctl image export --help"
    )
    assert names(image_directory) == []


def test_private_image_is_reported_as_not_found(
    simulator: Simulator, fingerprints: list[str], image_directory: Path
) -> None:
    for fingerprint in (fingerprints[2], "0" * 64):
        assert export(simulator, image_directory, fingerprint) == failure(
            6,
            f"{fingerprint}: no such image, or it is private",
            f"guests can export public and cached images; on the host: lxc image show {fingerprint}",
        )


@pytest.mark.parametrize("product", ["lxd", "incus"])
def test_incomplete_fingerprint_is_rejected_before_any_request(product: str, socket_directory: Path) -> None:
    client = "lxc" if product == "lxd" else "incus"
    (socket_directory / product).mkdir()
    with RawHost(socket_directory / product / "sock", None) as raw_host:
        assert export(raw_host, socket_directory, "0123456789ab") == failure(
            2,
            "0123456789ab: incomplete fingerprint, expected 64 hexadecimal digits",
            f"on the host, list whole fingerprints: {client} image list --columns lF",
        )
    assert raw_host.connections == 0


@pytest.mark.parametrize(
    ("profile", "command"),
    [
        ("lxd-6", "lxc config set INSTANCE security.devlxd.images=true"),
        ("lxd-5.0", "lxc config set INSTANCE security.devlxd.images=true"),
        ("incus", "incus config set INSTANCE security.guestapi.images=true"),
    ],
)
def test_export_that_is_switched_off_exits_4_with_the_command_for_the_host(
    profile: str, command: str, socket_directory: Path, image_directory: Path
) -> None:
    directory = socket_directory / profile.partition("-")[0]
    directory.mkdir()
    with Simulator(directory / "sock", None, profile) as simulator:
        assert export(simulator, image_directory, FINGERPRINT) == failure(
            4, f"{FINGERPRINT}: permission denied", f"on the host: {command}"
        )
    assert names(image_directory) == []


@pytest.mark.parametrize("kind", ["unified", "split"])
def test_image_that_is_always_truncated_exits_7_after_five_resumes(
    kind: str, socket_directory: Path, image_directory: Path
) -> None:
    """A split image cannot be resumed."""
    (socket_directory / "guest.yaml").write_text(GUEST)
    (socket_directory / "lxd").mkdir()
    socket, guest = socket_directory / "lxd" / "sock", socket_directory / "guest.yaml"
    with Simulator(socket, guest, faults=["short-image"]) as simulator:
        fingerprint = simulator.show()["images"][kind == "split"]["fingerprint"]
        result = export(simulator, image_directory, fingerprint)
        exports = [path for _, path, _ in simulator.requests if path.startswith("/1.0/images/")]
    of_total = " of 3000000" if kind == "unified" else ""
    not_resumed = "" if kind == "unified" else "; a split image cannot be resumed"
    assert (result.status, result.stdout) == (7, b"")
    assert re.fullmatch(
        rf"devlxdctl: {fingerprint}: connection lost after \d+{of_total} bytes: truncated response"
        rf"{not_resumed}\nhint: the daemon of the host is stopped or starting; on the host: lxc info\n",
        result.stderr.decode(),
    )
    assert len(exports) == (6 if kind == "unified" else 1)
    assert names(image_directory) == []


def test_checksum_mismatch_exits_8_and_leaves_no_file(socket_directory: Path, image_directory: Path) -> None:
    wanted = "0" * 64
    with RawHost(socket_directory / "sock", unified()) as raw_host:
        result = export(raw_host, image_directory, wanted)
    problem = f"checksum mismatch: the SHA-256 of the {len(IMAGE)} bytes received is {FINGERPRINT}"
    assert result == failure(8, f"{wanted}: {problem}")
    assert names(image_directory) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("kind", ["unified", "split"])
def test_signal_during_export_ends_it_without_files(
    kind: str, number: int, socket_directory: Path, image_directory: Path
) -> None:
    image = os.urandom(3 * PIECE_SIZE)
    parts = (part("metadata", "m", b"m"), part("rootfs", "r", image))
    given = unified(image)[:-9] if kind == "unified" else split(*parts)[:-99]
    with HoldingHost(socket_directory / "sock", given) as host:
        argv = [PROGRAM, "--socket", str(host.path), "image", "export", "-o", str(image_directory)]
        with subprocess.Popen(
            ["env", "--default-signal", *argv, FINGERPRINT], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as program:
            temporary_files = 1 if kind == "unified" else 2
            poll("temporary files", lambda: len(names(image_directory)) == temporary_files or None, 20)
            program.send_signal(number)
            stdout, stderr = program.communicate(timeout=20)
    assert Result(program.returncode, stdout, stderr) == Result(-number, b"", b"")
    assert names(image_directory) == []


def test_ignored_signal_stays_ignored_during_export(socket_directory: Path, image_directory: Path) -> None:
    with HoldingHost(socket_directory / "sock", unified()[:-9]) as host:
        argv = [PROGRAM, "--socket", str(host.path), "image", "export", "-o", str(image_directory)]
        with subprocess.Popen(
            ["env", "--ignore-signal=HUP", *argv, FINGERPRINT], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as program:
            assert host.sent.wait(20)
            program.send_signal(signal.SIGHUP)
            program.send_signal(signal.SIGTERM)
            program.communicate(timeout=20)
    assert program.returncode == -signal.SIGTERM
    assert names(image_directory) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
@pytest.mark.parametrize("kind", ["unified", "split"])
def test_full_disk_exits_8_and_leaves_no_file(
    kind: str, simulator: Simulator, fingerprints: list[str], image_directory: Path
) -> None:
    fingerprint = fingerprints[kind == "split"]
    script = 'mount -t tmpfs -o size=1m tmpfs "$1" && cd "$1" && shift && "$@"; s=$?; ls -A; exit $s'
    command = [PROGRAM, "--socket", str(simulator.path), "image", "export", fingerprint]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", str(image_directory), *command],
        capture_output=True,
        timeout=60,
        check=False,
    )
    name, size = f"{fingerprint}.tar", 1 << 20
    if kind == "split":
        name, size = f"{fingerprint}.squashfs", (1 << 20) - 4096  # the metadata has a page
    expected = failure(8, f"{name}: no space left on device, after {size} bytes")
    assert Result(done.returncode, done.stdout, done.stderr) == expected


def test_limit_of_file_size_exits_8_and_leaves_no_file(
    simulator: Simulator, fingerprints: list[str], image_directory: Path
) -> None:
    limit = 1 << 20
    done = subprocess.run(
        [PROGRAM, "--socket", simulator.path, "image", "export", fingerprints[0]],
        cwd=image_directory,
        capture_output=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    expected = failure(8, f"{fingerprints[0]}.tar: file too large, after {limit} bytes")
    assert Result(done.returncode, done.stdout, done.stderr) == expected
    assert names(image_directory) == []


def test_directory_that_takes_no_files_exits_8(simulator: Simulator, fingerprints: list[str]) -> None:
    result = run("image", "export", fingerprints[0], "-o", "/proc/self", socket=simulator.path)
    assert result == failure(8, f"/proc/self/{fingerprints[0]}.tar: no such file or directory")


@pytest.mark.parametrize("kind", ["unified", "split"])
def test_memory_does_not_grow_with_the_size_of_the_image(
    kind: str, socket_directory: Path, image_directory: Path
) -> None:
    (socket_directory / "guest.yaml").write_text(
        "config: {security.devlxd.images: 'true'}\n"
        f"simulator: {{images: [{{size: 20MB, type: {kind}}}, {{size: 80MB, type: {kind}}}]}}\n"
    )
    # In a process in between: a child starts with the peak of its parent.
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    peaks = []  # MiB
    with Simulator(socket_directory / "sock", socket_directory / "guest.yaml") as simulator:
        for image in simulator.show()["images"]:
            argv = [PROGRAM, "--socket", str(simulator.path), "image", "export", image["fingerprint"]]
            done = subprocess.run(
                [sys.executable, "-c", code, *argv, "-o", str(image_directory)],
                env={},
                capture_output=True,
                timeout=60,
                check=True,
            )
            peaks.append(int(done.stdout) // 1024)
    assert peaks[1] <= peaks[0] + 8
    assert max(peaks) <= 48
