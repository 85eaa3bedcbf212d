"""`image export` to stdout, and its progress bar on a terminal."""

from __future__ import annotations

import hashlib
import re
import signal
import subprocess
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.support.exports import FINGERPRINT, IMAGE, range_response, unified
from tests.support.program import PROGRAM, Result, failure, run
from tests.support.raw_host import RawHost
from tests.support.terminal import run_on_terminal, without_colors


@pytest.fixture
def fingerprint(simulator: Simulator) -> str:
    """The fingerprint of the image, which has 3 MB."""
    image: str = simulator.show()["images"][0]["fingerprint"]
    return image


def resumable(request: bytes) -> bytes:
    """Truncate the first response; send the rest on request."""
    return range_response(request) if b"\r\nRange: " in request else unified()[:-500]


def test_export_to_stdout_writes_the_bytes_of_the_image(simulator: Simulator, fingerprint: str) -> None:
    result = run("image", "export", fingerprint, "-o", "-", socket=simulator.path)
    assert (result.status, result.stderr) == (0, b"")
    assert hashlib.sha256(result.stdout).hexdigest() == fingerprint


def test_export_to_stdout_exits_8_after_all_bytes_if_the_checksum_differs(socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", unified()) as raw_host:
        result = run("image", "export", "0" * 64, "-o", "-", socket=raw_host.path)
    assert (result.status, result.stdout) == (8, IMAGE)


def test_export_to_stdout_is_resumed_after_a_lost_connection(socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", resumable) as raw_host:
        result = run("image", "export", FINGERPRINT, "-o", "-", socket=raw_host.path)
    assert result == Result(0, IMAGE, b"")


@pytest.mark.parametrize(
    ("redirection", "expected"),
    [
        (">/dev/full", failure(8, "stdout: no space left on device")),
        (">&-", failure(8, "stdout: is closed")),
        (
            "| head -c 1 >/dev/null; exit ${PIPESTATUS[0]}",
            Result(128 + signal.SIGPIPE, b"", b""),
        ),
    ],
)
def test_export_to_stdout_that_cannot_be_written(
    redirection: str, expected: Result, simulator: Simulator, fingerprint: str
) -> None:
    command = f"{PROGRAM} --socket {simulator.path} image export {fingerprint} -o - {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=False)
    assert Result(done.returncode, done.stdout, done.stderr) == expected


def test_export_to_a_terminal_is_a_usage_error(simulator: Simulator, fingerprint: str) -> None:
    screen = run_on_terminal("image", "export", fingerprint, "-o", "-", socket=simulator.path)
    assert screen.status == 2
    assert without_colors(screen.text) == (
        "devlxdctl: image export: -o -: stdout is a terminal\n"
        "hint: see the help: devlxdctl image export --help\n"
    )
    assert "/1.0/images" not in "".join(path for _, path, _ in simulator.requests)


@pytest.mark.parametrize(("kind", "progress"), [("unified", r"\d/3\.0 MB"), ("split", r"\d+ bytes|\d MB")])
def test_progress_bar_appears_on_a_terminal_and_restores_the_cursor(
    kind: str, progress: str, socket_directory: Path, image_directory: Path
) -> None:
    (socket_directory / "guest.yaml").write_text(
        f"config: {{security.devlxd.images: 'true'}}\nsimulator: {{images: [{{size: 3MB, type: {kind}}}]}}\n"
    )
    with Simulator(socket_directory / "sock", socket_directory / "guest.yaml") as simulator:
        fingerprint = simulator.show()["images"][0]["fingerprint"]
        argv = ["image", "export", fingerprint, "-o", str(image_directory)]
        screen = run_on_terminal(*argv, socket=simulator.path, pipe_stdout=True)
    assert (screen.status, screen.stdout.count(b"\n")) == (0, 1 if kind == "unified" else 2)
    assert re.search(progress, screen.text)
    assert "\x1b[?25h" in screen.text


def test_quiet_export_shows_no_progress_bar(
    simulator: Simulator, fingerprint: str, image_directory: Path
) -> None:
    argv = ["image", "export", fingerprint, "-q", "-o", str(image_directory)]
    screen = run_on_terminal(*argv, socket=simulator.path, pipe_stdout=True)
    assert screen == (0, "", f"{image_directory}/{fingerprint}.tar\t3000000\n".encode())


def test_log_appears_above_the_progress_bar(socket_directory: Path, image_directory: Path) -> None:
    with RawHost(socket_directory / "sock", resumable) as raw_host:
        argv = ["image", "export", FINGERPRINT, "-o", str(image_directory)]
        screen = run_on_terminal(*argv, socket=raw_host.path, pipe_stdout=True)
    line = f"devlxdctl: {FINGERPRINT}: truncated response; resuming after {len(IMAGE) - 500} bytes"
    assert line.replace(" ", "") in re.sub(r"\s+", "", without_colors(screen.text))


def test_help_of_export_imports_no_module_of_exports() -> None:
    result = run("image", "export", "--help", env={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rpartition(b"|")[2].strip() for line in result.stderr.splitlines()}
    # Commands are imported by name, which this report leaves out, but not what they import.
    assert b"devlxdctl.cli.output.progress" in imported
    assert imported & {b"rich", b"requests", b"multipart", b"hashlib", b"devlxdctl.images"} == set()
