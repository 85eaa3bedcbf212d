"""Files that appear together or not at all, whatever is raised, and wherever, as by Ctrl-C."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from devlxdctl import BadData, files
from devlxdctl.atomic_files import SETTLING, AtomicFile, AtomicFiles

OLD = {"a": b"old a", "b": b"old b"}
NEW = {"a": b"new a", "b": b"new b"}


class Raised(BaseException):
    """Is raised at an instruction."""


def make(to: Path, overwrite: bool) -> None:
    with AtomicFiles(overwrite) as new:
        for name, data in NEW.items():
            new.add(str(to / name)).write(data)
        new.appear()


def is_in(frame: FrameType | None, code: CodeType) -> bool:
    return frame is not None and (frame.f_code is code or is_in(frame.f_back, code))


def interrupted(number: int, action: Callable[[], None]) -> bool:
    """Does it, and raises before the instruction of this number in the module. False where there are fewer.

    Those that remove what was made do not count: it is once that it is raised.
    """
    left = number

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != files.__file__ or is_in(frame, AtomicFiles.__exit__.__code__):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise Raised
        return trace

    sys.settrace(trace)
    try:
        action()
    except Raised:
        return True
    finally:
        sys.settrace(None)
    return False


@pytest.mark.filterwarnings("ignore:unclosed file", "ignore:Exception ignored in. <_io.FileIO")
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_raised_at_any_instruction_leaves_all_or_nothing(overwrite: bool, tmp_path: Path) -> None:
    before = OLD if overwrite else {}
    ends = []
    # Python 3.12 traces instructions only from the second time on that it is asked to.
    (tmp_path / "first").mkdir()
    assert not interrupted(100_000, lambda: make(tmp_path / "first", overwrite))
    for number in range(100_000):
        to = tmp_path / str(number)
        to.mkdir()
        for name, data in before.items():
            (to / name).write_bytes(data)
        was_raised = interrupted(number, lambda to=to: make(to, overwrite))  # type: ignore[misc]
        content = {path.name: path.read_bytes() for path in to.iterdir()}
        assert content in (before, NEW), number
        if not was_raised:
            break
        ends.append(content == NEW)
    assert len(ends) > 100 and ends[-1] and not ends[0]


def test_a_file_that_appears_at_the_last_moment_stays(tmp_path: Path) -> None:
    """After the last look, and before the name is taken."""
    new = AtomicFile(str(tmp_path / "a"))
    new.open()
    new.write(b"new")
    new.close()
    (tmp_path / "a").write_bytes(b"of another")
    with pytest.raises(BadData, match="it exists already"):
        new.appear(overwrite=False, keep=False)
    new.withdraw()
    new.forget()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"of another")]


def test_a_secret_one_is_for_its_owner_alone_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not only from when its mode is set, whatever the umask took away."""
    modes = []

    def look(descriptor: int, mode: int) -> None:
        modes.append(os.fstat(descriptor).st_mode & 0o777)

    monkeypatch.setattr(os, "fchmod", look)
    before = os.umask(0)
    try:
        with AtomicFiles(None, secret=True) as new:
            new.add(str(tmp_path / "a"))
            new.appear()
    finally:
        os.umask(before)
    assert modes == [0o600]


def test_where_nothing_is_to_be_raised_is_found(tmp_path: Path) -> None:
    """What it does in these is what a signal of the command line's waits for."""
    seen = set()

    def trace(frame: FrameType, event: str, argument: Any) -> None:
        seen.add(frame.f_code)

    sys.settrace(trace)
    try:
        make(tmp_path, False)
    finally:
        sys.settrace(None)
    assert seen >= SETTLING
