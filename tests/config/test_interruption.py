"""A replacement that is killed, or gets TERM, at any system call leaves the old content or the new."""

from __future__ import annotations

import re
import shutil
import signal
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.config.replacement import Owner, replace_file

OLD, NEW = b"old\n" * 2000, b"new\n" * 20_000

_SCRIPT = """
import os, sys
from devlxdctl.cli.signals import Interrupted, die_by_signal, raise_on_signals
from devlxdctl.config.replacement import Owner, replace_file
import grp, pwd, subprocess  # which a real run imports before, too
print("ready", flush=True)
sys.stdin.readline()
try:
    with raise_on_signals():
        replace_file(sys.argv[1], b"new\\n" * 20_000, 0o640, Owner(), None)
except Interrupted as interrupted:
    die_by_signal(interrupted.number)
"""


class Replacement:
    """A process that replaces a file, traced from before its first system call for that."""

    def __init__(self, path: Path, log: Path, *options: str) -> None:
        if shutil.which("strace") is None:
            pytest.skip("strace is not installed: apt-get install strace")
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None and self.process.stdout.readline() == b"ready\n"
        self.tracer = subprocess.Popen(
            ["strace", "-o", str(log), *options, "-p", str(self.process.pid)], stderr=subprocess.PIPE
        )
        assert self.tracer.stderr is not None
        attached = self.tracer.stderr.readline()
        if b"attached" not in attached:
            self.close()
            pytest.skip(f"cannot trace: {attached.decode()}")

    def run(self) -> int:
        """Let it go on to its end, and return its exit status."""
        _, stderr = self.process.communicate(b"\n", timeout=60)
        self.tracer.communicate(timeout=60)
        assert stderr == b""
        return self.process.returncode

    def close(self) -> None:
        for process in (self.process, self.tracer):
            process.kill()
            process.communicate(timeout=60)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "d").mkdir()
    yield tmp_path / "d"


@pytest.fixture
def calls(tmp_path: Path, directory: Path) -> list[str]:
    """The system calls of a replacement, with their arguments."""
    (directory / "file").write_bytes(OLD)
    log = tmp_path / "log"
    assert Replacement(directory / "file", log).run() == 0
    lines = [line for line in log.read_text().splitlines() if re.match(r"[a-z0-9_]+\(", line)]
    # Before, the process reads its go-ahead; at the end, the interpreter is finalized.
    first = next(number for number, line in enumerate(lines) if line.startswith("rt_sigaction(SIGHUP"))
    last = max(number for number, line in enumerate(lines) if "d" in line and line.startswith("unlinkat"))
    before = Counter(line.partition("(")[0] for line in lines[:first])
    names = []
    for line in lines[first : last + 2]:
        name = line.partition("(")[0]
        before[name] += 1
        names.append(f"{name}:{before[name]}")
    assert 20 < len(names) < 100
    return names


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_at_any_system_call_leaves_the_old_content_or_the_new(
    number: signal.Signals, calls: list[str], directory: Path, tmp_path: Path
) -> None:
    leftovers = 0
    ends = []
    for call in calls:
        name, _, when = call.partition(":")
        shutil.rmtree(directory)
        directory.mkdir()
        path = directory / "file"
        path.write_bytes(OLD)
        option = f"inject={name}:signal={number.name}:when={when}"
        assert Replacement(path, tmp_path / "log", "-e", option).run() == -number, call
        found = content(directory)
        assert found.pop("file") in (OLD, NEW), call
        ends.append(path.read_bytes() == NEW)
        if number == signal.SIGTERM:
            assert found == {}, call
        assert len(found) <= 1, call
        for leftover in found:
            leftovers += 1
            assert leftover.startswith(".devlxdctl-"), call
            mode = stat.S_IMODE((directory / leftover).stat().st_mode)
            assert mode in (0o600, 0o640), call
        # The next run removes what is left.
        assert replace_file(str(path), NEW, 0o640, Owner(), None) is (not ends[-1])
        assert content(directory) == {"file": NEW}, call
    assert ends[0] is False and ends[-1] is True
    assert (leftovers > 5) is (number == signal.SIGKILL)


def test_content_is_synced_before_the_rename_and_the_rename_before_the_end(
    tmp_path: Path, directory: Path
) -> None:
    """So a power failure leaves the old content or the new."""
    (directory / "file").write_bytes(OLD)
    log = tmp_path / "log"
    replacement = Replacement(directory / "file", log, "-e", "trace=openat,write,fsync,rename,renameat")
    assert replacement.run() == 0
    lines = [line for line in log.read_text().splitlines() if "(" in line]
    created = next(line for line in lines if "O_EXCL" in line)
    file, parent = created.rpartition("= ")[2], created.partition("(")[2].partition(",")[0]
    steps = [re.split("[,)]", line)[0] for line in lines[lines.index(created) + 1 :]]
    assert list(dict.fromkeys(steps)) == [
        f"write({file}",
        f"fsync({file}",
        f"renameat({parent}",
        f"fsync({parent}",
    ]


def test_a_temporary_file_of_a_running_process_is_not_removed(directory: Path) -> None:
    path = directory / "file"
    names = []

    def check(temporary: str) -> None:
        names.append(Path(temporary).name)
        assert replace_file(str(path), OLD, 0o600, Owner(), None)
        assert set(content(directory)) == {"file", Path(temporary).name}

    assert replace_file(str(path), NEW, 0o600, Owner(), check)
    assert content(directory) == {"file": NEW}
    assert len(names) == 1


def test_temporary_files_of_other_files_are_not_removed(directory: Path) -> None:
    names = []

    def leave(temporary: str) -> None:
        """Leaves a copy, as a process that is killed would."""
        names.append(Path(temporary).name + "0")
        (directory / names[-1]).write_bytes(b"left")

    for name in ("file", "other"):
        assert replace_file(str(directory / name), NEW, 0o600, Owner(), leave)
    (directory / ".devlxdctl-0123456789abcdef").write_bytes(b"an image")
    assert set(content(directory)) == {"file", "other", *names, ".devlxdctl-0123456789abcdef"}
    assert not replace_file(str(directory / "file"), NEW, 0o600, Owner(), None)
    assert set(content(directory)) == {"file", "other", names[1], ".devlxdctl-0123456789abcdef"}
