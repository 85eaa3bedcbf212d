"""Signals at any moment of a command that creates files: all old files, or all new and verified ones.

The commands are exports of images, and a request for a token that is written to a file.
"""

from __future__ import annotations

import fcntl
import itertools
import re
import shutil
import signal
import struct
import subprocess
import termios
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.hosts.jobs import DEFAULT_SIGNALS, poll
from tests.support.exports import (
    FINGERPRINT,
    IMAGE,
    METADATA,
    METADATA_NAME,
    ROOTFS,
    ROOTFS_NAME,
    SPLIT_FINGERPRINT,
    UNIFIED_NAME,
    contents,
    range_response,
    split,
    unified,
)
from tests.support.faulty_hosts import PausingHost, PausingResumeHost
from tests.support.program import PROGRAM, Result
from tests.support.raw_host import RawHost, response

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OTHER_FILES = {"notes": b"of another program"}
UNIFIED, SPLIT = unified(), split()
SPLIT_MOMENTS = {
    "nothing": 0,
    "head": SPLIT.index(b"\r\n\r\n") + 4,
    "head of the first part": SPLIT.index(METADATA),
    "a byte of the first part": SPLIT.index(METADATA) + 1,
    "first part": SPLIT.index(METADATA) + len(METADATA),
    "head of the second part": SPLIT.index(ROOTFS),
    "half of the second part": SPLIT.index(ROOTFS) + len(ROOTFS) // 2,
    "second part": SPLIT.index(ROOTFS) + len(ROOTFS),
    "first closing boundary": SPLIT.rindex(b"\r\n--79a5c207--"),
    "all but the last chunk": SPLIT.rindex(b"0\r\n\r\n"),
}
"""Numbers of bytes of the response for a split image, by what has been sent."""


@dataclass(frozen=True)
class Target:
    """A command that creates files.

    * `response`: the response of the host.
    * `created`: the files that it creates, with their content.
    * `replaces`: whether old files with these names exist before.
    """

    response: bytes
    argv: tuple[str, ...]
    created: Mapping[str, bytes] = field(default_factory=dict)
    replaces: bool = False

    @property
    def before(self) -> dict[str, bytes]:
        old = {name: b"old " + name.encode() for name in self.created} if self.replaces else {}
        return {**OTHER_FILES, **old}

    @property
    def after(self) -> dict[str, bytes]:
        return {**OTHER_FILES, **self.created}

    def start(self, socket: Path, directory: Path) -> subprocess.Popen[bytes]:
        for name, data in self.before.items():
            (directory / name).write_bytes(data)
        return subprocess.Popen(
            [*DEFAULT_SIGNALS, PROGRAM, "--socket", str(socket), *self.argv],
            cwd=directory,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def moments(self) -> dict[str, int]:
        """Numbers of bytes of the response, by what has been sent."""
        if self.response == SPLIT:
            return SPLIT_MOMENTS
        body = self.response.index(b"\r\n\r\n") + 4
        return {
            "nothing": 0,
            "half of the head": body // 2,
            "head": body,
            "a byte of the body": body + 1,
            "half": (body + len(self.response)) // 2,
            "all but a byte": len(self.response) - 1,
        }


EXPORT, SPLIT_EXPORT = ("image", "export", FINGERPRINT), ("image", "export", SPLIT_FINGERPRINT)
SPLIT_FILES = {METADATA_NAME: METADATA, ROOTFS_NAME: ROOTFS}
TO_STDOUT = Target(UNIFIED, (*EXPORT, "-o", "-"))
UNIFIED_TARGETS = {
    "unified": Target(UNIFIED, EXPORT, {UNIFIED_NAME: IMAGE}),
    "unified, replacing": Target(UNIFIED, (*EXPORT, "--force"), {UNIFIED_NAME: IMAGE}, True),
    "to a file": Target(UNIFIED, (*EXPORT, "-o", "file"), {"file": IMAGE}),
    "to a file, replacing": Target(UNIFIED, (*EXPORT, "-o", "file", "--force"), {"file": IMAGE}, True),
}
TARGETS = {
    **UNIFIED_TARGETS,
    "split": Target(SPLIT, SPLIT_EXPORT, SPLIT_FILES),
    "split, replacing": Target(SPLIT, (*SPLIT_EXPORT, "--force"), SPLIT_FILES, True),
    "token": Target(
        response(b'{"guest_token":"secret"}'), ("pro", "token", "--raw", "-o", "file"), {"file": b"secret\n"}
    ),
}


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("name", TARGETS)
def test_signal_during_the_response_leaves_the_old_files(
    name: str, number: signal.Signals, socket_directory: Path, image_directory: Path
) -> None:
    target = TARGETS[name]
    for moment, size in target.moments().items():
        raw_host = PausingHost(socket_directory / "sock", target.response, size)
        with raw_host, target.start(raw_host.path, image_directory) as program:
            assert raw_host.paused.wait(60), moment
            program.send_signal(number)
            stdout, stderr = program.communicate(timeout=60)
        assert Result(program.returncode, stdout, stderr) == Result(-number, b"", b""), moment
        assert contents(image_directory) == target.before, moment
        raw_host.path.unlink()


def half_then_rest(request: bytes) -> bytes:
    """Respond with half of an image, and with the rest to a request for it."""
    return range_response(request) if b"\r\nRange: " in request else UNIFIED[: -len(IMAGE) // 2]


@pytest.mark.parametrize("size", [0, 20, len(range_response(b"\r\nRange: bytes=1024-")) - 1])
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("name", UNIFIED_TARGETS)
def test_signal_during_a_resumed_response_leaves_the_old_files(
    name: str, number: signal.Signals, size: int, socket_directory: Path, image_directory: Path
) -> None:
    target = TARGETS[name]
    raw_host = PausingResumeHost(socket_directory / "sock", half_then_rest, size)
    with raw_host, target.start(raw_host.path, image_directory) as program:
        assert raw_host.paused.wait(60)
        program.send_signal(number)
        stdout, stderr = program.communicate(timeout=60)
    assert Result(program.returncode, stdout, stderr) == Result(-number, b"", b"")
    assert contents(image_directory) == target.before


@pytest.mark.parametrize("number", [*SIGNALS, signal.SIGPIPE])
def test_signal_during_an_export_to_stdout_ends_it(
    number: signal.Signals, socket_directory: Path, image_directory: Path
) -> None:
    """For SIGPIPE, the reader closes the pipe, which the next write notices."""
    for moment, size in TO_STDOUT.moments().items():
        raw_host = PausingHost(socket_directory / "sock", UNIFIED, size)
        with raw_host, TO_STDOUT.start(raw_host.path, image_directory) as program:
            assert raw_host.paused.wait(60), moment
            if number is signal.SIGPIPE:
                assert program.stdout is not None
                program.stdout.close()
                raw_host.resume.set()
            else:
                program.send_signal(number)
            stdout, stderr = program.communicate(timeout=60)
        # Nothing is written before a whole piece was received, or the end.
        assert (program.returncode, stdout or b"", stderr) == (-number, b"", b""), moment
        assert contents(image_directory) == OTHER_FILES, moment
        raw_host.path.unlink()


@pytest.mark.parametrize("number", [*SIGNALS, signal.SIGPIPE])
def test_signal_during_a_write_to_a_full_pipe_ends_it(
    number: signal.Signals, socket_directory: Path, image_directory: Path
) -> None:
    image = IMAGE * 200
    raw_host = RawHost(socket_directory / "sock", unified(image))
    with raw_host, TO_STDOUT.start(raw_host.path, image_directory) as program:
        assert program.stdout is not None
        pipe = program.stdout.fileno()
        size = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)

        def is_full() -> bool | None:
            unread = fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4)
            return struct.unpack("i", unread)[0] == size or None

        poll("a full pipe", is_full, 60)
        if number is signal.SIGPIPE:
            program.stdout.close()
        else:
            program.send_signal(number)
        stdout, stderr = program.communicate(timeout=60)
    assert (program.returncode, stderr) == (-number, b"")
    assert image.startswith(stdout or b"")
    assert contents(image_directory) == OTHER_FILES


# Signals at each system call that touches a file, injected by strace.

SYSTEM_CALLS = (
    *("openat", "fstat", "newfstatat", "lstat", "fchmod", "write", "fsync", "close"),
    *("link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rt_sigaction"),
)
"""Those that touch files, and the one that installs signal handlers."""
LINK = "linkat"


@dataclass
class Trace:
    """A run of a command under strace.

    * `calls`: its system calls since the request was received, by name.
    * `first`: the number of the call that creates the first temporary file, from 0.
    * `signalled`: the number of the call at which the first signal was sent.
    """

    result: Result
    calls: list[str]
    first: int
    signalled: int | None


def trace(target: Target, directory: Path, has_hard_links: bool, *injections: str) -> Trace:
    """Run a command in `directory`, which is emptied before, with these injections of strace."""
    if not has_hard_links:
        injections = (f"{LINK}:error=EPERM", *injections)
    log = directory.parent / "log"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    options = [option for each in injections for option in ("-e", f"inject={each}")]
    options += ["-e", "trace=" + ",".join(f"?{call}" for call in SYSTEM_CALLS)]
    raw_host = PausingHost(directory.parent / "sock", target.response, 0)
    with raw_host, target.start(raw_host.path, directory) as program:
        assert raw_host.paused.wait(60)
        argv = ["strace", "-o", str(log), *options, "-p", str(program.pid)]
        with subprocess.Popen(argv, stderr=subprocess.PIPE) as tracer:
            assert tracer.stderr is not None
            assert tracer.stderr.readline().endswith(b" attached\n")
            raw_host.resume.set()
            stdout, stderr = program.communicate(timeout=60)
            tracer.communicate(timeout=60)
    raw_host.path.unlink()
    found = Trace(Result(program.returncode, stdout, stderr), [], 0, None)
    for line in log.read_text().splitlines():
        if line.startswith("--- SIG") and found.signalled is None:
            found.signalled = len(found.calls) - 1
        elif call := re.match(r"(\w+)\(", line):
            if not found.first and ".devlxdctl-" in line:
                found.first = len(found.calls)
            found.calls.append(call[1])
    return found


def check(found: Trace, number: int, target: Target, directory: Path, stdout: bytes) -> None:
    """The command died by the signal, and left all old files or all new ones."""
    assert (found.result.status, found.result.stderr) == (-number, b""), found
    assert contents(directory) in (target.before, target.after), (found, contents(directory))
    assert found.result.stdout in (b"", stdout), found


@pytest.fixture
def strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: make hosts")


with_and_without_hard_links = pytest.mark.parametrize(
    "has_hard_links", [True, False], ids=["hard links", "no hard links"]
)
"""FAT and some network file systems have no hard links."""


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("strace")
@with_and_without_hard_links
@pytest.mark.parametrize("name", TARGETS)
def test_signal_at_each_system_call_leaves_all_old_or_all_new_files(
    name: str, has_hard_links: bool, image_directory: Path
) -> None:
    """From the creation of the first temporary file to the end of the program."""
    target = TARGETS[name]
    complete = trace(target, image_directory, has_hard_links)
    assert (complete.result.status, complete.result.stderr) == (0, b"")
    assert contents(image_directory) == target.after
    before, since = complete.calls[: complete.first], complete.calls[complete.first :]
    numbers = itertools.cycle(SIGNALS)
    covered: Counter[str] = Counter()
    expected = Counter(call for call in since if has_hard_links or call != LINK)
    for call in expected:
        for when in itertools.count(before.count(call) + 1):
            number = next(numbers)
            injection = f"{call}:signal={number.name}:when={when}"
            found = trace(target, image_directory, has_hard_links, injection)
            if found.signalled is None:
                break
            check(found, number, target, image_directory, complete.result.stdout)
            covered[call] += found.signalled >= found.first
    assert covered == expected


@pytest.mark.usefixtures("strace")
@with_and_without_hard_links
@pytest.mark.parametrize("name", TARGETS)
def test_signals_at_all_system_calls_of_one_run_leave_all_old_or_all_new_files(
    name: str, has_hard_links: bool, image_directory: Path
) -> None:
    target = TARGETS[name]
    complete = trace(target, image_directory, has_hard_links)
    before = Counter(complete.calls[: complete.first])
    calls = {call for call in complete.calls[complete.first :] if has_hard_links or call != LINK}
    injections = [f"{call}:signal=TERM:when={before[call] + 1}+" for call in sorted(calls)]
    found = trace(target, image_directory, has_hard_links, *injections)
    check(found, signal.SIGTERM, target, image_directory, complete.result.stdout)


@pytest.mark.usefixtures("strace")
@with_and_without_hard_links
@pytest.mark.parametrize("name", ["split", "split, replacing"])
def test_second_file_that_cannot_be_renamed_restores_the_first(
    name: str, has_hard_links: bool, image_directory: Path
) -> None:
    """As in /tmp, where the second can belong to another user."""
    target = TARGETS[name]
    calls = trace(target, image_directory, has_hard_links).calls
    last = next(call for call in reversed(calls) if call in (LINK, "rename"))
    injection = f"{last}:error=EIO:when={calls.count(last)}"
    found = trace(target, image_directory, has_hard_links, injection)
    assert found.result == Result(8, b"", f"devlxdctl: {ROOTFS_NAME}: input/output error\n".encode())
    assert contents(image_directory) == target.before
