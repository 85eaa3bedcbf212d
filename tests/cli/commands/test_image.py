"""`image export` as users run it: what it prints, its status, and what is in the directory after it."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.images.export import PIECE_SIZE
from devlxdctl.simulator import Simulator
from tests.support.exports import FINGERPRINT, IMAGE, Holding, part, rest, split, unified
from tests.support.program import PROGRAM, Result, run
from tests.support.raw_host import RawHost

GUEST = """
config: {security.devlxd.images: "true", security.guestapi.images: "true"}
simulator:
  images:
  - size: 3MB
  - {size: 3MB, type: split}
  - {size: 1, public: "false"}
"""
NO_ROOM = "no space left on device"


@pytest.fixture
def to(short: Path) -> Path:
    path = short / "to"
    path.mkdir()
    return path


@pytest.fixture
def simulator(short: Path) -> Iterator[Simulator]:
    (short / "guest.yaml").write_text(GUEST)
    (short / "lxd").mkdir()
    with Simulator(short / "lxd" / "sock", short / "guest.yaml") as host:
        yield host


def fingerprints(simulator: Simulator) -> list[str]:
    return [image["fingerprint"] for image in simulator.show()["images"]]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def in_directory(directory: Path, socket: Path, *argv: str) -> Result:
    done = subprocess.run(
        [PROGRAM, "--socket", socket, "image", "export", *argv],
        cwd=directory,
        env={},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


class TestOutput:
    def test_a_unified_image(self, simulator: Simulator, to: Path) -> None:
        fingerprint, *_ = fingerprints(simulator)
        name = f"{fingerprint}.tar"
        assert in_directory(to, simulator.path, fingerprint) == Result(0, f"{name}\t3000000\n".encode(), b"")
        assert names(to) == [name]
        assert hashlib.sha256((to / name).read_bytes()).hexdigest() == fingerprint

    def test_a_split_image(self, simulator: Simulator, to: Path) -> None:
        _, fingerprint, _ = fingerprints(simulator)
        meta, rootfs = f"meta-{fingerprint}.tar", f"{fingerprint}.squashfs"
        lines = f"{to}/{meta}\t512\n{to}/{rootfs}\t3000000\n"
        assert run("image", "export", fingerprint.upper(), "-o", to, socket=simulator.path) == Result(
            0, lines.encode(), b""
        )
        content = (to / meta).read_bytes() + (to / rootfs).read_bytes()
        assert hashlib.sha256(content).hexdigest() == fingerprint
        again = run("image", "export", fingerprint, "-o", to, socket=simulator.path)
        assert again == Result(
            8, b"", f"devlxdctl: {to}/{meta}: it exists already\nhint: --force replaces it\n".encode()
        )
        forced = run("-f", "json", "image", "export", "--force", fingerprint, "-o", to, socket=simulator.path)
        assert (forced.status, forced.stderr) == (0, b"")
        assert json.loads(forced.stdout) == {
            "fingerprint": fingerprint,
            "type": "split",
            "files": [
                {"name": meta, "path": f"{to}/{meta}", "size": 512},
                {"name": rootfs, "path": f"{to}/{rootfs}", "size": 3000000},
            ],
        }
        assert names(to) == sorted([meta, rootfs])

    def test_to_a_file(self, simulator: Simulator, to: Path) -> None:
        one, two, _ = fingerprints(simulator)
        assert in_directory(to, simulator.path, one, "-o", "image") == Result(0, b"image\t3000000\n", b"")
        (to / "image").unlink()
        lines = (
            f"devlxdctl: {two}: it is a split image, which is two files: they need a directory that exists\n"
        )
        for output in ("image", "-"):
            assert in_directory(to, simulator.path, two, "-o", output) == Result(2, b"", lines.encode())
        assert in_directory(to, simulator.path, one, "-o", "").status == 2
        assert names(to) == []

    def test_what_others_may_not_see_looks_absent(self, simulator: Simulator, to: Path) -> None:
        *_, private = fingerprints(simulator)
        for fingerprint in (private, "0" * 64):
            lines = (
                f"devlxdctl: {fingerprint}: no such image, or it is private: both look the same from here\n"
                "hint: guests get public images only; on the simulator, this says whether it is one: "
                f"lxc image show {fingerprint}\n"
            )
            assert in_directory(to, simulator.path, fingerprint) == Result(6, b"", lines.encode())

    def test_half_a_fingerprint(self, simulator: Simulator, to: Path) -> None:
        lines = (
            "devlxdctl: 0123456789ab: a whole fingerprint is 64 hexadecimal digits\n"
            "hint: on the simulator, this shows the whole of it: lxc image list --columns lF\n"
        )
        assert in_directory(to, simulator.path, "0123456789ab") == Result(2, b"", lines.encode())
        assert simulator.requests == []

    @pytest.mark.parametrize(
        ("profile", "said", "command"),
        [
            ("lxd-6", "Forbidden", "lxc config set INSTANCE security.devlxd.images=true"),
            ("lxd-5.0", "not authorized", "lxc config set INSTANCE security.devlxd.images=true"),
            ("incus", "not authorized", "incus config set INSTANCE security.guestapi.images=true"),
        ],
    )
    def test_not_permitted(self, profile: str, said: str, command: str, short: Path, to: Path) -> None:
        directory = short / command.partition(" ")[0].replace("lxc", "lxd")
        directory.mkdir()
        lines = f"devlxdctl: {FINGERPRINT}: not permitted: {said}\nhint: on the host: {command}\n"
        with Simulator(directory / "sock", None, profile) as host:
            assert in_directory(to, simulator.path, FINGERPRINT) == Result(4, b"", lines.encode())
        assert names(to) == []


class TestLoss:
    @pytest.mark.parametrize("number", [0, 1])
    def test_an_image_that_breaks_off_again_and_again(self, number: int, short: Path, to: Path) -> None:
        (short / "guest.yaml").write_text(GUEST)
        (short / "lxd").mkdir()
        with Simulator(short / "lxd" / "sock", short / "guest.yaml", faults=["short-image"]) as host:
            fingerprint = fingerprints(host)[number]
            result = in_directory(to, host.path, fingerprint)
            exports = [path for _, path, _ in host.requests if path.startswith("/1.0/images/")]
        pattern = (
            rf"devlxdctl: {fingerprint}: the connection was lost after \d+( of 3000000)? bytes: "
            r"the answer was cut short(; a split image cannot be continued)?\n"
            r"hint: the daemon of the host is down or starting; on the host: "
            r"lxc info\n"
        )
        assert (result.status, result.stdout) == (7, b"")
        assert re.fullmatch(pattern, result.stderr.decode())
        assert len(exports) == (6, 1)[number]
        assert names(to) == []

    def test_a_digest_that_is_another(self, short: Path, to: Path) -> None:
        other = "0" * 64
        with RawHost(short / "sock", unified()) as host:
            result = in_directory(to, host.path, other)
        size = len(IMAGE)
        line = f"devlxdctl: {other}: the {size} bytes that came have another SHA-256, {FINGERPRINT}\n"
        assert result == Result(8, b"", line.encode())
        assert names(to) == []

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    @pytest.mark.parametrize("kind", ["unified", "split"])
    def test_a_signal_cleans_up_and_ends_it(self, kind: str, number: int, short: Path, to: Path) -> None:
        image = os.urandom(3 * PIECE_SIZE)
        parts = (part("metadata", "m", b"m"), part("rootfs", "r", image))
        given = unified(image)[:-9] if kind == "unified" else split(*parts)[:-99]
        with Holding(short / "sock", given) as host:
            argv = [PROGRAM, "--socket", str(host.path), "image", "export", "-o", str(to), FINGERPRINT]
            with subprocess.Popen(
                ["env", "--default-signal", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as program:
                deadline = time.monotonic() + 20
                while len(names(to)) < (1 if kind == "unified" else 2):
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                program.send_signal(number)
                stdout, stderr = program.communicate(timeout=20)
        assert Result(program.returncode, stdout, stderr) == Result(-number, b"", b"")
        assert names(to) == []

    def test_a_signal_that_is_ignored_stays_so(self, short: Path, to: Path) -> None:
        with Holding(short / "sock", unified()[:-9]) as host:
            argv = [PROGRAM, "--socket", str(host.path), "image", "export", "-o", str(to), FINGERPRINT]
            with subprocess.Popen(
                ["env", "--ignore-signal=HUP", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as program:
                assert host.sent.wait(20)
                program.send_signal(signal.SIGHUP)
                program.send_signal(signal.SIGTERM)
                program.communicate(timeout=20)
        assert program.returncode == -signal.SIGTERM
        assert names(to) == []


class TestNoRoom:
    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
    @pytest.mark.parametrize("number", [0, 1])
    def test_on_the_file_system(self, number: int, simulator: Simulator, to: Path) -> None:
        fingerprint = fingerprints(simulator)[number]
        script = 'mount -t tmpfs -o size=1m tmpfs "$1" && cd "$1" && shift && "$@"; s=$?; ls -A; exit $s'
        command = [PROGRAM, "--socket", str(simulator.path), "image", "export", fingerprint]
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "-", str(to), *command],
            capture_output=True,
            timeout=60,
            check=False,
        )
        name, size = ((f"{fingerprint}.tar", 1 << 20), (f"{fingerprint}.squashfs", (1 << 20) - 4096))[number]
        line = f"devlxdctl: {name}: {NO_ROOM}, after {size} bytes\n"
        assert Result(done.returncode, done.stdout, done.stderr) == Result(8, b"", line.encode())

    def test_for_a_file_so_large(self, simulator: Simulator, to: Path) -> None:
        fingerprint, *_ = fingerprints(simulator)
        done = subprocess.run(
            [PROGRAM, "--socket", simulator.path, "image", "export", fingerprint],
            cwd=to,
            capture_output=True,
            timeout=60,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
        )
        line = f"devlxdctl: {fingerprint}.tar: file too large, after {1 << 20} bytes\n"
        assert Result(done.returncode, done.stdout, done.stderr) == Result(8, b"", line.encode())
        assert names(to) == []

    def test_in_a_directory_that_is_read_only(self, simulator: Simulator) -> None:
        fingerprint, *_ = fingerprints(simulator)
        result = run("image", "export", fingerprint, "-o", "/proc/self", socket=simulator.path)
        line = f"devlxdctl: /proc/self/{fingerprint}.tar: no such file or directory\n"
        assert result == Result(8, b"", line.encode())


class TestStandardOutput:
    def test_the_bytes(self, simulator: Simulator) -> None:
        fingerprint, *_ = fingerprints(simulator)
        result = run("image", "export", fingerprint, "-o", "-", socket=simulator.path)
        assert (result.status, result.stderr) == (0, b"")
        assert hashlib.sha256(result.stdout).hexdigest() == fingerprint

    def test_they_are_out_before_they_are_verified(self, short: Path) -> None:
        with RawHost(short / "sock", unified()) as host:
            result = run("image", "export", "0" * 64, "-o", "-", socket=simulator.path)
        assert (result.status, result.stdout) == (8, IMAGE)

    def test_a_lost_connection_is_continued(self, short: Path) -> None:
        def script(request: bytes) -> bytes:
            return rest(request) if b"\r\nRange: " in request else unified()[:-500]

        with RawHost(short / "sock", script) as host:
            assert run("image", "export", FINGERPRINT, "-o", "-", socket=simulator.path) == Result(
                0, IMAGE, b""
            )

    @pytest.mark.parametrize(
        ("redirection", "status", "line"),
        [
            (">/dev/full", 8, f"devlxdctl: stdout: {NO_ROOM}\n"),
            (">&-", 8, "devlxdctl: stdout: it is closed\n"),
            ("| head -c 1 >/dev/null; exit ${PIPESTATUS[0]}", 128 + signal.SIGPIPE, ""),
        ],
    )
    def test_that_cannot_be_written(
        self, redirection: str, status: int, line: str, simulator: Simulator
    ) -> None:
        fingerprint, *_ = fingerprints(simulator)
        command = f"{PROGRAM} --socket {simulator.path} image export {fingerprint} -o - {redirection}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=False)
        assert Result(done.returncode, done.stdout, done.stderr) == Result(status, b"", line.encode())


class TestTerminal:
    """The program with a terminal as its stderr, or its stdout."""

    def run(self, host: Path, *argv: str, stdout: bool = False) -> tuple[int, bytes, str]:
        """Its status, its stdout (nothing where that is the terminal), and what the terminal got."""
        terminal, other = pty.openpty()
        with subprocess.Popen(
            [PROGRAM, "--socket", simulator, "image", "export", *argv],
            env={"TERM": "xterm", "COLUMNS": "80"},
            stdout=other if stdout else subprocess.PIPE,
            stderr=other,
        ) as program:
            os.close(other)
            shown = b""
            while chunk := self._read(terminal):
                shown += chunk
            os.close(terminal)
            written = program.stdout.read() if program.stdout is not None else b""
        return program.returncode, written, shown.decode()

    @staticmethod
    def _read(terminal: int) -> bytes:
        try:
            return os.read(terminal, 65536)
        except OSError:  # the end of a terminal is an error
            return b""

    @pytest.mark.parametrize(("number", "shown"), [(0, r"\d/3\.0 MB"), (1, r"\d+ bytes|\d MB")])
    def test_the_progress(self, number: int, shown: str, simulator: Simulator, to: Path) -> None:
        fingerprint = fingerprints(simulator)[number]
        status, written, screen = self.run(simulator.path, fingerprint, "-o", str(to))
        assert (status, written.count(b"\n")) == (0, number + 1)
        assert re.search(shown, screen)
        assert "\x1b[?25h" in screen, "the cursor is back"

    def test_quiet(self, simulator: Simulator, to: Path) -> None:
        fingerprint, *_ = fingerprints(simulator)
        assert self.run(simulator.path, fingerprint, "-q", "-o", str(to))[2] == ""

    def test_the_bytes_do_not_go_there(self, simulator: Simulator) -> None:
        fingerprint, *_ = fingerprints(simulator)
        status, _, screen = self.run(simulator.path, fingerprint, "-o", "-", stdout=True)
        assert status == 2
        assert "Error: -o -: standard output is a terminal.\r\n" in screen
        assert simulator.requests == []

    def test_a_record_of_the_log_stands_above_the_bar(self, short: Path, to: Path) -> None:
        def script(request: bytes) -> bytes:
            return rest(request) if b"\r\nRange: " in request else unified()[:-500]

        with RawHost(short / "sock", script) as host:
            _, _, screen = self.run(simulator.path, FINGERPRINT, "-o", str(to))
        assert "the answer was cut short; it is continued after" in re.sub(r"\s+", " ", screen)


@pytest.mark.parametrize("shape", ["unified", "split"])
def test_the_memory_does_not_grow_with_the_image(shape: str, short: Path, to: Path) -> None:
    """From an image on that fills what is kept of it on the way."""
    (short / "guest.yaml").write_text(
        "config: {security.devlxd.images: 'true'}\n"
        f"simulator: {{images: [{{size: 20MB, type: {shape}}}, {{size: 80MB, type: {shape}}}]}}\n"
    )
    # In a process between, since a child begins with the peak of its parent.
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    peaks = []
    with Simulator(short / "sock", short / "guest.yaml") as host:
        for fingerprint in fingerprints(host):
            argv = [PROGRAM, "--socket", str(host.path), "image", "export", fingerprint, "-o", str(to)]
            done = subprocess.run(
                [sys.executable, "-c", code, *argv], env={}, capture_output=True, timeout=60, check=True
            )
            peaks.append(int(done.stdout) // 1024)
    assert peaks[1] <= peaks[0] + 8, "MiB"
    assert max(peaks) <= 48


def test_nothing_of_it_is_imported_for_help(simulator: Simulator) -> None:
    done = subprocess.run(
        [PROGRAM, "image", "export", "--help"],
        env={"PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    loaded = {line.rpartition(b"|")[2].strip() for line in done.stderr.splitlines()}
    assert loaded & {b"rich", b"requests", b"multipart", b"hashlib", b"devlxdctl.images"} == set()


def test_a_socket_of_its_own_kind_is_named(short: Path, to: Path) -> None:
    """The words of the hint follow from the socket before anything is asked."""
    (short / "incus").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short / "incus" / "sock"))
        result = in_directory(to, short / "incus" / "sock", "abc")
    assert b"incus image list --columns lF" in result.stderr
