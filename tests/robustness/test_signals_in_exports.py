"""A signal at any moment of an export: what was there stays, or the whole verified image is there.

As for the file of a token.
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

from tests.hostile.hosts import Pausing, PausingLater
from tests.hosts.jobs import DEFAULT_SIGNALS, poll
from tests.support.exports import (
    FINGERPRINT,
    IMAGE,
    METADATA,
    ROOTFS,
    SPLIT_FINGERPRINT,
    rest,
    split,
    unified,
)
from tests.support.program import PROGRAM, Result
from tests.support.raw_host import RawHost, response

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
UNIFIED_NAME = f"{FINGERPRINT}.tar.xz"
META_NAME, ROOTFS_NAME = f"meta-{SPLIT_FINGERPRINT}.tar.xz", f"{SPLIT_FINGERPRINT}.squashfs"
OTHERS = {"notes": b"of someone else"}


@dataclass(frozen=True)
class Target:
    """A command that makes files: what the host answers, what is there before, and after a good end."""

    given: bytes
    argv: tuple[str, ...]
    made: Mapping[str, bytes] = field(default_factory=dict)
    force: bool = False

    @property
    def before(self) -> dict[str, bytes]:
        return {**OTHERS, **({name: b"old " + name.encode() for name in self.made} if self.force else {})}

    @property
    def after(self) -> dict[str, bytes]:
        return {**OTHERS, **self.made}

    def start(self, socket: Path, to: Path) -> subprocess.Popen[bytes]:
        for name, data in self.before.items():
            (to / name).write_bytes(data)
        return subprocess.Popen(
            [*DEFAULT_SIGNALS, PROGRAM, "--socket", str(socket), *self.argv],
            cwd=to,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def moments(self) -> dict[str, int]:
        """Places in the answer, by what has come there."""
        if self.given == SPLIT:
            return SPLIT_MOMENTS
        body = self.given.index(b"\r\n\r\n") + 4
        return {
            "nothing": 0,
            "half a head": body // 2,
            "the head": body,
            "a byte": body + 1,
            "half": (body + len(self.given)) // 2,
            "all but a byte": len(self.given) - 1,
        }


UNIFIED, SPLIT = unified(), split()
SPLIT_MOMENTS = {
    "nothing": 0,
    "the head": SPLIT.index(b"\r\n\r\n") + 4,
    "the head of the first part": SPLIT.index(METADATA),
    "a byte of the first part": SPLIT.index(METADATA) + 1,
    "the first part": SPLIT.index(METADATA) + len(METADATA),
    "the head of the second part": SPLIT.index(ROOTFS),
    "half of the second part": SPLIT.index(ROOTFS) + len(ROOTFS) // 2,
    "the second part": SPLIT.index(ROOTFS) + len(ROOTFS),
    "the first closing boundary": SPLIT.rindex(b"\r\n--79a5c207--"),
    "all but the last chunk": SPLIT.rindex(b"0\r\n\r\n"),
}
EXPORT, SPLIT_EXPORT = ("image", "export", FINGERPRINT), ("image", "export", SPLIT_FINGERPRINT)
PARTS = {META_NAME: METADATA, ROOTFS_NAME: ROOTFS}
TO_STDOUT = Target(UNIFIED, (*EXPORT, "-o", "-"))
UNIFIED_TARGETS = {
    "unified": Target(UNIFIED, EXPORT, {UNIFIED_NAME: IMAGE}),
    "unified, forced": Target(UNIFIED, (*EXPORT, "--force"), {UNIFIED_NAME: IMAGE}, True),
    "a file": Target(UNIFIED, (*EXPORT, "-o", "file"), {"file": IMAGE}),
    "a file, forced": Target(UNIFIED, (*EXPORT, "-o", "file", "--force"), {"file": IMAGE}, True),
}
TARGETS = {
    **UNIFIED_TARGETS,
    "split": Target(SPLIT, SPLIT_EXPORT, PARTS),
    "split, forced": Target(SPLIT, (*SPLIT_EXPORT, "--force"), PARTS, True),
    "a token": Target(
        response(b'{"guest_token":"secret"}'), ("pro", "token", "--raw", "-o", "file"), {"file": b"secret\n"}
    ),
}


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def to(short: Path) -> Path:
    path = short / "to"
    path.mkdir()
    return path


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("name", TARGETS)
def test_while_it_comes(name: str, number: signal.Signals, short: Path, to: Path) -> None:
    target = TARGETS[name]
    for moment, pause in target.moments().items():
        with Pausing(short / "sock", target.given, pause) as host, target.start(host.path, to) as program:
            assert host.paused.wait(20), moment
            program.send_signal(number)
            stdout, stderr = program.communicate(timeout=20)
        assert Result(program.returncode, stdout, stderr) == Result(-number, b"", b""), moment
        assert content(to) == target.before, moment
        host.path.unlink()


def broken_off(request: bytes) -> bytes:
    """The half of an image; the other half where that is asked for."""
    return rest(request) if b"\r\nRange: " in request else unified()[: -len(IMAGE) // 2]


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("name", UNIFIED_TARGETS)
def test_while_a_lost_connection_is_continued(
    name: str, number: signal.Signals, short: Path, to: Path
) -> None:
    for pause in (0, 20, len(rest(b"\r\nRange: bytes=1024-")) - 1):
        target = TARGETS[name]
        with PausingLater(short / "sock", broken_off, pause) as host, target.start(host.path, to) as program:
            assert host.paused.wait(20)
            program.send_signal(number)
            stdout, stderr = program.communicate(timeout=20)
        assert Result(program.returncode, stdout, stderr) == Result(-number, b"", b"")
        assert content(to) == target.before
        host.path.unlink()


@pytest.mark.parametrize("number", [*ENDING, signal.SIGPIPE])
def test_on_the_way_to_standard_output(number: signal.Signals, short: Path, to: Path) -> None:
    """SIGPIPE is the reader that goes away, which shows in the bytes that come after it."""
    for moment, pause in TO_STDOUT.moments().items():
        with Pausing(short / "sock", UNIFIED, pause) as host, TO_STDOUT.start(host.path, to) as program:
            assert host.paused.wait(20), moment
            if number is signal.SIGPIPE:
                assert program.stdout is not None
                program.stdout.close()
                host.go_on.set()
            else:
                program.send_signal(number)
            stdout, stderr = program.communicate(timeout=20)
        # Less than a piece is not passed on before the image ends.
        assert (program.returncode, stdout or b"", stderr) == (-number, b"", b""), moment
        assert content(to) == OTHERS, moment
        host.path.unlink()


@pytest.mark.parametrize("number", [*ENDING, signal.SIGPIPE])
def test_while_nobody_reads_standard_output(number: signal.Signals, short: Path, to: Path) -> None:
    """It waits for room in a pipe that is full."""
    image = IMAGE * 200
    with RawHost(short / "sock", unified(image)) as host, TO_STDOUT.start(host.path, to) as program:
        assert program.stdout is not None
        pipe = program.stdout.fileno()
        room = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)

        def full() -> bool | None:
            held = fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4)
            return struct.unpack("i", held)[0] == room or None

        poll("a full pipe", full, 20)
        if number is signal.SIGPIPE:
            program.stdout.close()
        else:
            program.send_signal(number)
        stdout, stderr = program.communicate(timeout=20)
    assert (program.returncode, stderr) == (-number, b"")
    assert image.startswith(stdout or b"")
    assert content(to) == OTHERS


# --- At each call of the system that touches a file.

CALLS = (
    *("openat", "fstat", "newfstatat", "lstat", "fchmod", "write", "fsync", "close"),
    *("link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rt_sigaction"),
)
"""Those that touch files, and the one that takes signals over and gives them back."""
LINK = "linkat"


@dataclass
class Trial:
    """How an export under strace ended, and its calls from the answer of the host on, by their names."""

    result: Result
    calls: list[str]
    hidden: int
    """How many of them there were before the one that makes the first hidden file."""
    signalled: int | None
    """The number of the call at which the first signal came, from 0."""


def trial(target: Target, short: Path, links: bool, *inject: str) -> Trial:
    """One export into the directory `to`, with these injections of strace's, into its main thread."""
    if not links:
        inject = (f"{LINK}:error=EPERM", *inject)
    to, log = short / "to", short / "log"
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    options = [option for each in inject for option in ("-e", f"inject={each}")]
    options += ["-e", "trace=" + ",".join(f"?{call}" for call in CALLS)]
    with Pausing(short / "sock", target.given, 0) as host, target.start(host.path, to) as program:
        assert host.paused.wait(20)
        with subprocess.Popen(
            ["strace", "-o", log, *options, "-p", str(program.pid)], stderr=subprocess.PIPE
        ) as tracer:
            assert tracer.stderr is not None
            assert tracer.stderr.readline().endswith(b" attached\n")
            host.go_on.set()
            stdout, stderr = program.communicate(timeout=20)
            tracer.communicate(timeout=20)
    host.path.unlink()
    found = Trial(Result(program.returncode, stdout, stderr), [], 0, None)
    for line in log.read_text().splitlines():
        if line.startswith("--- SIG") and found.signalled is None:
            found.signalled = len(found.calls) - 1
        elif call := re.match(r"(\w+)\(", line):
            if not found.hidden and ".devlxdctl-" in line:
                found.hidden = len(found.calls)
            found.calls.append(call[1])
    return found


def check(found: Trial, number: int, target: Target, to: Path, lines: bytes) -> None:
    """It died by the signal, and there is what was before, or the image and maybe what is said of it."""
    assert (found.result.status, found.result.stderr) == (-number, b""), found
    assert content(to) in (target.before, target.after), (found, content(to))
    assert found.result.stdout in (b"", lines), found


@pytest.fixture
def strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: make hosts")


everywhere = pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
"""FAT and some network file systems have no links."""


@pytest.mark.usefixtures("strace")
@everywhere
@pytest.mark.parametrize("name", TARGETS)
def test_at_each_call_that_touches_a_file(name: str, links: bool, short: Path, to: Path) -> None:
    """From the opening of the first hidden file to the end of the program."""
    target = TARGETS[name]
    good = trial(target, short, links)
    assert (good.result.status, good.result.stderr) == (0, b"")
    assert content(to) == target.after
    before, since = good.calls[: good.hidden], good.calls[good.hidden :]
    numbers = itertools.cycle(ENDING)
    covered: Counter[str] = Counter()
    expected = Counter(call for call in since if links or call != LINK)
    for call in expected:
        for when in itertools.count(before.count(call) + 1):
            number = next(numbers)
            found = trial(target, short, links, f"{call}:signal={number.name}:when={when}")
            if found.signalled is None:
                break
            check(found, number, target, to, good.result.stdout)
            covered[call] += found.signalled >= found.hidden
    assert covered == expected


@pytest.mark.usefixtures("strace")
@everywhere
@pytest.mark.parametrize("name", TARGETS)
def test_at_all_those_calls(name: str, links: bool, short: Path, to: Path) -> None:
    """Who is impatient sends it again and again."""
    target = TARGETS[name]
    good = trial(target, short, links)
    before = Counter(good.calls[: good.hidden])
    calls = {call for call in good.calls[good.hidden :] if links or call != LINK}
    every = [f"{call}:signal=TERM:when={before[call] + 1}+" for call in sorted(calls)]
    found = trial(target, short, links, *every)
    check(found, signal.SIGTERM, target, to, good.result.stdout)


@pytest.mark.usefixtures("strace")
@everywhere
@pytest.mark.parametrize("name", ["split", "split, forced"])
def test_a_second_file_that_cannot_take_its_name(name: str, links: bool, short: Path, to: Path) -> None:
    """As in /tmp, where it is another user's. The first is taken back, and what it replaced put back."""
    target = TARGETS[name]
    calls = trial(target, short, links).calls
    last = next(call for call in reversed(calls) if call in (LINK, "rename"))
    found = trial(target, short, links, f"{last}:error=EIO:when={calls.count(last)}")
    assert found.result == Result(8, b"", f"devlxdctl: {ROOTFS_NAME}: input/output error\n".encode())
    assert content(to) == target.before
