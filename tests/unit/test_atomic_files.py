"""`AtomicFiles`: files that appear together or not at all, wherever an exception is raised."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from devlxdctl import AtomicFile, AtomicFiles, BadData, atomic_files

OLD = {"a": b"old a", "b": b"old b"}
NEW = {"a": b"new a", "b": b"new b"}


class Interruption(BaseException):
    """Raised before one bytecode instruction, as by a signal handler."""


def publish_new(directory: Path, overwrite: bool) -> None:
    with AtomicFiles(overwrite=overwrite) as files:
        for name, data in NEW.items():
            files.add(str(directory / name)).write(data)
        files.publish()


def is_called_from(frame: FrameType | None, code: CodeType) -> bool:
    return frame is not None and (frame.f_code is code or is_called_from(frame.f_back, code))


def raise_at_instruction(number: int, action: Callable[[], None]) -> bool:
    """Call `action`, and raise before the instruction with this number in the module `atomic_files`.

    Returns False where the module executes fewer instructions. Instructions of `__exit__` do not count: it
    runs after the exception.
    """
    left = number

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        in_module = frame.f_code.co_filename == atomic_files.__file__
        if not in_module or is_called_from(frame, AtomicFiles.__exit__.__code__):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise Interruption
        return trace

    sys.settrace(trace)
    try:
        action()
    except Interruption:
        return True
    finally:
        sys.settrace(None)
    return False


@pytest.mark.filterwarnings("ignore:unclosed file", "ignore:Exception ignored in. <_io.FileIO")
@pytest.mark.parametrize("overwrite", [False, True])
def test_exception_at_any_instruction_leaves_all_old_files_or_all_new_ones(
    overwrite: bool, tmp_path: Path
) -> None:
    before = OLD if overwrite else {}
    published = []
    # Python 3.12 traces instructions only from the second use of a trace function on.
    (tmp_path / "first").mkdir()
    assert not raise_at_instruction(100_000, lambda: publish_new(tmp_path / "first", overwrite))
    for number in range(100_000):
        directory = tmp_path / str(number)
        directory.mkdir()
        for name, data in before.items():
            (directory / name).write_bytes(data)
        was_raised = raise_at_instruction(
            number,
            lambda directory=directory: publish_new(directory, overwrite),  # type: ignore[misc]
        )
        content = {path.name: path.read_bytes() for path in directory.iterdir()}
        assert content in (before, NEW), number
        if not was_raised:
            break
        published.append(content == NEW)
    assert len(published) > 100 and published[-1] and not published[0]


def test_file_created_by_another_program_before_publish_is_not_replaced(tmp_path: Path) -> None:
    file = AtomicFile(str(tmp_path / "a"))
    file.open()
    file.write(b"new")
    file.close()
    (tmp_path / "a").write_bytes(b"of another program")
    with pytest.raises(BadData) as caught:
        file.publish(overwrite=False, keep_backup=False)
    assert str(caught.value) == f"{tmp_path}/a: exists already"
    assert caught.value.hint == "replace it with --force"
    file.rollback()
    file.cleanup()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"of another program"}


def test_secret_file_has_mode_0600_when_it_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mode before the `fchmod` is recorded: until then, another user could open it."""
    modes = []

    def record_mode(descriptor: int, mode: int) -> None:
        modes.append(os.fstat(descriptor).st_mode & 0o777)

    monkeypatch.setattr(os, "fchmod", record_mode)
    umask = os.umask(0)
    try:
        with AtomicFiles(overwrite=None, secret=True) as files:
            files.add(str(tmp_path / "a"))
            files.publish()
    finally:
        os.umask(umask)
    assert modes == [0o600]


def test_only_publishing_and_removing_files_is_not_interruptible(tmp_path: Path) -> None:
    interruptible: dict[str, bool] = {}

    def trace(frame: FrameType, event: str, argument: Any) -> None:
        if frame.f_code.co_filename == atomic_files.__file__:
            interruptible[frame.f_code.co_name] = AtomicFiles.is_interruptible(frame)

    sys.settrace(trace)
    try:
        publish_new(tmp_path, True)
    finally:
        sys.settrace(None)
    assert {name for name, can_raise in interruptible.items() if can_raise} >= {"add", "open", "write"}
    critical = {name for name, can_raise in interruptible.items() if not can_raise}
    assert critical >= {"publish", "__exit__", "cleanup"}
    assert critical.isdisjoint({"add", "open", "write", "__enter__", "__init__"})
