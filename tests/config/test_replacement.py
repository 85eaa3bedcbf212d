"""Replacing a file: content, mode, owner, and what is left alone."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devlxdctl import BadData, InvalidRequest
from devlxdctl.config.replacement import Owner, find_owner, remove_file, replace_file

DAEMON, NOBODY = 1, 65534


def replace(
    path: Path | str,
    data: bytes = b"new",
    mode: int = 0o600,
    owner: Owner = Owner(),  # noqa: B008  # a constant
    check: Callable[[str], None] | None = None,
) -> bool:
    return replace_file(str(path), data, mode, owner, check)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def owner_of(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_uid, status.st_gid


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A path for the file, in a directory that has nothing else at the end of the test."""
    path = tmp_path / "file"
    yield path
    assert {each.name for each in tmp_path.iterdir()} <= {"file"}


class TestNewContent:
    @pytest.mark.parametrize("data", [b"", b"x", b"\0\xff\n", b"line\n" * 100_000])
    def test_new_file_has_the_content(self, data: bytes, file: Path) -> None:
        assert replace(file, data)
        assert file.read_bytes() == data

    def test_an_old_file_is_replaced_by_another_inode(self, file: Path) -> None:
        file.write_bytes(b"old")
        with file.open("rb") as reader:
            assert replace(file)
            assert reader.read() == b"old"
        assert file.read_bytes() == b"new"

    @pytest.mark.parametrize("mode", [0o600, 0o644, 0o777, 0o400, 0o000])
    @pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
    def test_mode_of_a_replaced_file_does_not_depend_on_the_umask(
        self, mode: int, umask: int, file: Path
    ) -> None:
        before = os.umask(umask)
        try:
            assert replace(file, mode=mode)
        finally:
            os.umask(before)
        assert mode_of(file) == mode

    @pytest.mark.usefixtures("root")
    def test_owner_of_a_new_file_is_set(self, file: Path) -> None:
        assert replace(file, owner=Owner(DAEMON, NOBODY))
        assert owner_of(file) == (DAEMON, NOBODY)

    @pytest.mark.usefixtures("root")
    def test_without_a_group_the_group_is_that_of_the_process(self, file: Path) -> None:
        assert replace(file, owner=Owner(DAEMON))
        assert owner_of(file) == (DAEMON, os.getegid())

    def test_a_name_of_maximal_length_can_be_written(self, tmp_path: Path) -> None:
        assert replace(tmp_path / ("x" * 255))

    def test_mode_and_owner_are_set_before_the_content(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes = []
        fchmod = os.fchmod

        def look(descriptor: int, mode: int) -> None:
            sizes.append((os.fstat(descriptor).st_size, mode_of_descriptor(descriptor)))
            fchmod(descriptor, mode)

        monkeypatch.setattr(os, "fchmod", look)
        before = os.umask(0)
        try:
            replace(file, mode=0o640)
        finally:
            os.umask(before)
        assert sizes == [(0, 0o600)]

    def test_a_racing_reader_finds_old_or_new_content_and_never_another_mode(self, file: Path) -> None:
        """And in no temporary file, either."""
        contents = {bytes([65 + number]) * 50_000 for number in range(2)}
        first, second = sorted(contents)
        replace(file, first)
        found: set[bytes] = set()
        modes: set[int] = set()
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                found.add(file.read_bytes())
                for each in os.listdir(file.parent):
                    try:
                        modes.add(stat.S_IMODE(os.lstat(file.parent / each).st_mode))
                    except FileNotFoundError:
                        continue

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for _ in range(100):
                replace(file, second)
                replace(file, first)
        finally:
            done.set()
            reader.join(20)
        assert found <= contents
        assert modes == {0o600}


def mode_of_descriptor(descriptor: int) -> int:
    return stat.S_IMODE(os.fstat(descriptor).st_mode)


class TestEqualContent:
    def test_file_with_equal_content_is_not_touched(self, file: Path) -> None:
        replace(file)
        os.utime(file, ns=(1, 2))
        before = file.lstat()
        assert not replace(file)
        after = file.lstat()
        assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
            before.st_ino,
            before.st_mtime_ns,
            before.st_ctime_ns,
        )

    @pytest.mark.parametrize("mode", [0o600, 0o644, 0o400])
    def test_wrong_mode_of_a_file_with_equal_content_is_corrected(self, mode: int, file: Path) -> None:
        replace(file, mode=0o640)
        os.utime(file, ns=(1, 2))
        before = file.lstat()
        assert not replace(file, mode=mode)
        assert mode_of(file) == mode
        assert (file.lstat().st_ino, file.lstat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    @pytest.mark.usefixtures("root")
    def test_wrong_owner_of_a_file_with_equal_content_is_corrected(self, file: Path) -> None:
        replace(file)
        before = file.lstat().st_ino
        assert not replace(file, owner=Owner(DAEMON, NOBODY), mode=0o640)
        assert (owner_of(file), mode_of(file)) == ((DAEMON, NOBODY), 0o640)
        assert file.lstat().st_ino == before

    @pytest.mark.usefixtures("root")
    def test_while_owner_and_mode_are_corrected_nobody_gets_more_than_both_modes_give(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace(file, mode=0o644)
        seen = []
        fchown = os.fchown

        def look(descriptor: int, user: int, group: int) -> None:
            seen.append(mode_of_descriptor(descriptor))
            fchown(descriptor, user, group)

        monkeypatch.setattr(os, "fchown", look)
        assert not replace(file, owner=Owner(DAEMON, DAEMON), mode=0o460)
        assert seen == [0o440]
        assert (owner_of(file), mode_of(file)) == ((DAEMON, DAEMON), 0o460)

    @pytest.mark.usefixtures("root")
    def test_a_file_of_another_user_is_replaced_without_being_a_change(self, file: Path) -> None:
        """That user can have it open for writing."""
        replace(file, owner=Owner(DAEMON))
        before = file.lstat().st_ino
        assert not replace(file, owner=Owner(NOBODY))
        assert owner_of(file) == (NOBODY, os.getegid())
        assert file.lstat().st_ino != before

    def test_a_file_with_two_names_whose_mode_is_wrong_is_replaced(self, file: Path, short: Path) -> None:
        replace(file, mode=0o640)
        other = file.parent / "other"
        os.link(file, other)
        assert not replace(file)
        assert (mode_of(file), mode_of(other)) == (0o600, 0o640)
        other.unlink()

    def test_a_file_with_two_names_whose_mode_is_right_is_not_touched(self, file: Path) -> None:
        replace(file)
        other = file.parent / "other"
        os.link(file, other)
        assert not replace(file)
        assert file.samefile(other)
        other.unlink()

    @pytest.mark.parametrize("old", [b"ne", b"neW", b"new ", b""])
    def test_file_with_similar_content_is_replaced(self, old: bytes, file: Path) -> None:
        file.write_bytes(old)
        assert replace(file)
        assert file.read_bytes() == b"new"

    def test_an_unreadable_file_is_replaced(self, file: Path) -> None:
        file.write_bytes(b"old")
        file.chmod(0)
        assert replace(file)
        assert file.read_bytes() == b"new"


class TestWhatIsAtThePath:
    @pytest.mark.parametrize("target", ["target", "nowhere", "file"])
    def test_a_link_is_replaced_and_its_target_untouched(self, target: str, tmp_path: Path) -> None:
        (tmp_path / "target").write_bytes(b"new")
        (tmp_path / "file").symlink_to(target)
        assert replace(tmp_path / "file")
        assert not (tmp_path / "file").is_symlink()
        assert (tmp_path / "file").read_bytes() == b"new"
        assert {path.name for path in tmp_path.iterdir()} == {"file", "target"}

    def test_the_other_name_of_a_hard_link_keeps_the_old_content(self, tmp_path: Path) -> None:
        (tmp_path / "other").write_bytes(b"old")
        os.link(tmp_path / "other", tmp_path / "file")
        assert replace(tmp_path / "file")
        assert (tmp_path / "other").read_bytes() == b"old"

    @pytest.mark.parametrize("kind", ["directory", "fifo", "link to a directory", "socket"])
    def test_path_of_anything_but_a_file_or_link_is_refused(self, kind: str, short: Path) -> None:
        path = short / "file"
        if kind == "directory":
            path.mkdir()
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        else:
            (short / "d").mkdir()
            path.symlink_to("d")
        before = path.lstat()
        with pytest.raises(BadData, match="exists already and is not a regular file"):
            replace(path)
        with pytest.raises(BadData, match="exists already and is not a regular file"):
            remove_file(str(path))
        assert path.lstat() == before

    def test_a_link_into_proc_is_refused(self, tmp_path: Path) -> None:
        """As `/dev/stdout` is."""
        (tmp_path / "file").symlink_to("/proc/self/fd/1")
        with pytest.raises(BadData, match="is a link into /proc"):
            replace(tmp_path / "file")
        assert (tmp_path / "file").is_symlink()

    @pytest.mark.parametrize("name", ["", ".", "..", "file/", "a/.", "/"])
    def test_path_without_a_file_name_is_refused(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(BadData) as caught:
            replace(name)
        assert str(caught.value) == f"{name or repr(name)}: is not the name of a file"
        assert list(tmp_path.iterdir()) == []

    def test_path_with_nul_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidRequest, match="not a valid file name"):
            replace(f"{tmp_path}/a\0b")

    def test_a_relative_path_is_one_of_the_current_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "d").mkdir()
        assert replace("file") and replace("./d/file") and replace("d/../other")
        assert {path.name for path in tmp_path.iterdir()} == {"d", "file", "other"}


class TestCheck:
    def test_the_check_reads_the_new_file_while_the_old_one_is_in_place(self, file: Path) -> None:
        file.write_bytes(b"old")
        seen = []

        def check(temporary: str) -> None:
            path = Path(temporary)
            seen.append((path.read_bytes(), mode_of(path), file.read_bytes(), path.parent == file.parent))

        assert replace(file, mode=0o640, check=check)
        assert seen == [(b"new", 0o640, b"old", True)]

    def test_error_of_the_check_keeps_the_old_file(self, file: Path) -> None:
        file.write_bytes(b"old")

        def check(temporary: str) -> None:
            raise BadData("check", "rejected")

        with pytest.raises(BadData, match="rejected"):
            replace(file, check=check)
        assert file.read_bytes() == b"old"

    def test_check_is_not_called_for_equal_content(self, file: Path) -> None:
        replace(file)

        def check(temporary: str) -> None:
            raise AssertionError

        assert not replace(file, mode=0o640, check=check)


class TestSeveralProcesses:
    """A temporary file that is locked belongs to a process that is running."""

    def test_the_temporary_file_of_another_run_is_kept(self, file: Path) -> None:
        def check(temporary: str) -> None:
            assert replace(file, b"other")
            assert Path(temporary).read_bytes() == b"new"

        assert replace(file, check=check)
        assert file.read_bytes() == b"new"

    def test_a_temporary_file_that_another_process_locks_first_is_left_to_it(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flock = fcntl.flock
        descriptors: list[int] = []

        def lock(descriptor: int, operation: int) -> None:
            descriptors.append(descriptor)
            if len(descriptors) == 1:
                raise BlockingIOError
            flock(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", lock)
        assert replace(file)
        assert file.read_bytes() == b"new"
        assert len(descriptors) == 2
        assert descriptors[0] == descriptors[1]  # it was closed, so its number was free
        [left] = (each for each in file.parent.iterdir() if each != file)
        left.unlink()


class TestFailures:
    @pytest.mark.parametrize(
        ("path", "problem"),
        [
            ("nope/file", "nope/file: no such file or directory"),
            ("plain/file", "plain/file: not a directory"),
            ("loop/file", "loop/file: too many levels of symbolic links"),
            ("x" * 256, "file name too long"),
        ],
    )
    def test_a_bad_directory_or_name_is_an_error(
        self, path: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "plain").write_bytes(b"")
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(BadData, match=problem):
            replace(path)
        assert {each.name for each in tmp_path.iterdir()} == {"plain", "loop"}

    def test_the_limit_of_file_sizes_leaves_the_old_file(self, file: Path) -> None:
        file.write_bytes(b"old")
        code = (
            "import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, (99_999, 99_999));"
            "from devlxdctl.config.replacement import *\n"
            f"replace_file({str(file)!r}, b'x' * 200_000, 0o600, Owner(), None)"
        )
        assert _error_of(code) == f"devlxdctl.errors.BadData: {file}: file too large, after 99999 bytes"
        assert file.read_bytes() == b"old"

    @pytest.mark.usefixtures("root")
    @pytest.mark.parametrize(
        ("options", "problem"),
        [("size=64k", "no space left on device, after"), ("ro", "read-only file system")],
    )
    def test_a_full_or_read_only_disk_leaves_the_old_file(
        self, options: str, problem: str, tmp_path: Path
    ) -> None:
        code = (
            "from devlxdctl.config.replacement import *; import os\n"
            f"try:\n    replace_file('{tmp_path}/file', b'x' * 200_000, 0o600, Owner(), None)\n"
            f"finally:\n    print(sorted(os.listdir({str(tmp_path)!r})))"
        )
        mount = f"mount -t tmpfs -o size=1m tmpfs {tmp_path} && echo old >{tmp_path}/file && "
        remount = f"mount -o remount,{options} {tmp_path} && exec "
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", f'{mount}{remount}"$@"', "sh", *_python(code)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode not in (0, 1) or "mount:" in done.stderr or "unshare:" in done.stderr:
            pytest.skip(f"cannot mount: {done.stderr}")
        assert done.stdout == "['file']\n"
        assert problem in done.stderr.splitlines()[-1]

    def test_content_that_cannot_be_written_to_the_disk_leaves_the_old_file(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(descriptor: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        file.write_bytes(b"old")
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(BadData, match=f"{file}: input/output error"):
            replace(file)
        assert file.read_bytes() == b"old"

    @pytest.mark.usefixtures("root")
    def test_a_file_that_cannot_be_removed_is_an_error(self, short: Path) -> None:
        short.chmod(0o755)
        (short / "file").write_bytes(b"old")
        code = (
            "from devlxdctl.config.replacement import *; import os\n"
            f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
            f"remove_file('{short}/file')"
        )
        assert _error_of(code) == f"devlxdctl.errors.BadData: {short}/file: permission denied"
        assert (short / "file").read_bytes() == b"old"

    @pytest.mark.usefixtures("root")
    def test_only_root_can_give_a_file_to_another_user(self, short: Path) -> None:
        short.chmod(0o777)
        code = (
            "from devlxdctl.config.replacement import *; import os\n"
            f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
            f"replace_file('{short}/file', b'x', 0o600, Owner({DAEMON}), None)"
        )
        error = f"devlxdctl.errors.PermissionDenied: {short}/file: cannot change its owner"
        assert _error_of(code) == error
        assert list(short.iterdir()) == []


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _error_of(code: str) -> str:
    done = subprocess.run(_python(code), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done
    return done.stderr.splitlines()[-1]


class TestRemoval:
    def test_removal_removes_a_file(self, file: Path) -> None:
        file.write_bytes(b"old")
        assert remove_file(str(file))
        assert not file.exists()

    @pytest.mark.parametrize("path", ["file", "nope/file"])
    def test_removal_of_a_missing_file_is_not_a_change(self, path: str, tmp_path: Path) -> None:
        assert not remove_file(f"{tmp_path}/{path}")

    def test_removal_removes_a_link_and_not_its_target(self, tmp_path: Path) -> None:
        (tmp_path / "target").write_bytes(b"old")
        (tmp_path / "file").symlink_to("target")
        assert remove_file(str(tmp_path / "file"))
        assert [path.name for path in tmp_path.iterdir()] == ["target"]


class TestOwner:
    @pytest.mark.parametrize(
        ("text", "owner"),
        [
            ("root", Owner(0)),
            ("root:root", Owner(0, 0)),
            ("12:34", Owner(12, 34)),
            ("4294967294", Owner(4_294_967_294)),
        ],
    )
    def test_owner_can_be_given_by_name_or_number(self, text: str, owner: Owner) -> None:
        assert find_owner(text) == owner

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("nope", "nope: no such user"),
            ("", "'': no such user"),
            (":root", "'': no such user"),
            ("root:", "'': no such group"),
            ("root:nope", "nope: no such group"),
            ("-1", "-1: no such user"),
            ("4294967295", "4294967295: no such user"),
            ("0:4294967295", "4294967295: no such group"),
            ("a\0b", "no such user"),
            ("²", "²: no such user"),
        ],
    )
    def test_owner_that_does_not_exist_is_an_error(self, text: str, problem: str) -> None:
        with pytest.raises(InvalidRequest, match=problem):
            find_owner(text)
