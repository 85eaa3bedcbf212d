"""`AtomicFiles`: files that appear together or not at all, wherever an exception is raised."""

from __future__ import annotations

import errno
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


def reject_link(source: str, _target: str, **_options: object) -> None:
    """`os.link` on FAT and on some network file systems."""
    os.lstat(source)
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


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
@pytest.mark.parametrize(
    ("overwrite", "has_hard_links"),
    [(False, True), (True, True), (True, False)],
    ids=["new files", "replaced files", "replaced files without hard links"],
)
def test_exception_at_any_instruction_leaves_all_old_files_or_all_new_ones(
    overwrite: bool, has_hard_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_hard_links:
        monkeypatch.setattr(os, "link", reject_link)
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


def test_existing_file_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with AtomicFiles(overwrite=False) as files:
        with pytest.raises(BadData) as caught:
            files.add(str(tmp_path / "a"))
        assert str(caught.value) == f"{tmp_path}/a: exists already"
        assert os.listdir(tmp_path) == ["a"]


def test_other_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        with AtomicFiles(overwrite=None) as files:
            files.open(AtomicFile(str(tmp_path / "a")))
            files.publish()
    finally:
        os.umask(umask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("overwrite", [False, True])
def test_no_file_is_published_if_one_cannot_be_closed(
    overwrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Network file systems report a full disk when a file is closed."""
    close = AtomicFile.close

    def close_first(file: AtomicFile) -> None:
        if file.path.endswith("b"):
            raise BadData(file.path, "no space left on device")
        close(file)

    with monkeypatch.context() as patch, pytest.raises(BadData, match="no space left on device"):
        with AtomicFiles(overwrite=overwrite) as files:
            for name, data in NEW.items():
                files.add(str(tmp_path / name)).write(data)
            patch.setattr(AtomicFile, "close", close_first)
            publish = AtomicFile.publish
            patch.setattr(
                AtomicFile, "publish", lambda file, **options: pytest.fail(f"{file.path}: published")
            )
            try:
                files.publish()
            finally:
                patch.setattr(AtomicFile, "close", close)
                patch.setattr(AtomicFile, "publish", publish)
    assert list(tmp_path.iterdir()) == []


def test_reserved_name_is_removed_if_the_file_cannot_be_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: str, target: str) -> None:
        assert Path(target).read_bytes() == b""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", reject_link)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(BadData, match="no space left on device"), AtomicFiles(overwrite=False) as files:
        files.add(str(tmp_path / "a")).write(b"new")
        files.publish()
    assert list(tmp_path.iterdir()) == []


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


def test_data_of_any_size_is_written_completely(tmp_path: Path) -> None:
    data = os.urandom(100_001)
    with AtomicFiles(overwrite=None) as files:
        file = files.add(str(tmp_path / "a"))
        file.write(data)
        file.write(b"")
        file.write(b"end")
        files.publish()
    assert (tmp_path / "a").read_bytes() == data + b"end"
    assert file.size == 100_004


@pytest.mark.parametrize("has_hard_links", [True, False], ids=["hard links", "no hard links"])
@pytest.mark.parametrize("change", ["replaced", "removed", "untouched"])
def test_first_file_is_restored_unless_another_program_has_replaced_it(
    change: str, has_hard_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two files is published when the second cannot be."""
    if not has_hard_links:
        monkeypatch.setattr(os, "link", reject_link)
    for name, data in OLD.items():
        (tmp_path / name).write_bytes(data)
    other = tmp_path.parent / f"{tmp_path.name}-other"
    other.write_bytes(b"of another program")
    replace = os.replace

    def replace_first(source: str, target: str) -> None:
        if target.endswith("b"):
            assert (tmp_path / "a").read_bytes() == NEW["a"]
            if change == "removed":
                (tmp_path / "a").unlink()
            elif change == "replaced":
                os.rename(other, tmp_path / "a")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(BadData) as caught:
        with AtomicFiles(overwrite=True) as files:
            for name, data in NEW.items():
                files.add(str(tmp_path / name)).write(data)
            patch.setattr(os, "replace", replace_first)
            try:
                files.publish()
            finally:
                patch.setattr(os, "replace", replace)
    assert str(caught.value) == f"{tmp_path}/b: no space left on device"
    first = b"of another program" if change == "replaced" else OLD["a"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": first, "b": OLD["b"]}


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    publish_new(tmp_path, True)
    with pytest.raises(Interruption), AtomicFiles(overwrite=True) as files:
        files.add(str(tmp_path / "a")).write(b"x")
        raise Interruption
    assert os.listdir("/proc/self/fd") == before
