"""The directory of a file: for root, nobody else may be able to lead the path elsewhere."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl import BadData
from devlxdctl.config.directory import open_directory, sync_directory

DAEMON, NOBODY = 1, 65534


@pytest.fixture
def top(short: Path) -> Iterator[Path]:
    """A directory that only this user can write to, below `/tmp`, where everybody can."""
    os.chmod(short, 0o755)
    yield short


def opens(path: Path | str) -> Path:
    """The directory that is opened for a file at this path."""
    with open_directory(str(path)) as descriptor:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))


def test_directory_of_the_path_is_opened(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (top / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(top / "a")
    assert opens(top / "a" / "b" / "file") == top / "a" / "b"
    assert opens("b/file") == top / "a" / "b"
    assert opens("./b//file") == top / "a" / "b"
    assert opens("file") == top / "a"
    assert opens("../file") == top
    assert opens("b/../../a/file") == top / "a"
    assert opens("/file") == Path("/")


@pytest.mark.parametrize("target", ["real", "{top}/real", "./real/../real/", "other"])
def test_links_in_the_directory_of_the_path_are_followed(target: str, top: Path) -> None:
    (top / "real").mkdir()
    (top / "other").symlink_to("real")
    (top / "link").symlink_to(target.format(top=top))
    assert opens(top / "link" / "file") == top / "real"


def test_a_path_can_have_as_many_links_as_the_kernel_allows(top: Path) -> None:
    (top / "0").mkdir()
    for number in range(1, 42):
        (top / str(number)).symlink_to(str(number - 1))
    os.close(os.open(top / "40", os.O_RDONLY))
    assert opens(top / "40" / "file") == top / "0"
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        os.open(top / "41", os.O_RDONLY)
    with pytest.raises(BadData) as caught:
        opens(top / "41" / "file")
    assert str(caught.value) == f"{top}/41/file: too many levels of symbolic links"


def test_directory_of_a_file_system_without_sync_is_accepted() -> None:
    descriptor = os.open("/proc", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="Invalid argument"):
            os.fsync(descriptor)
        sync_directory(descriptor)
    finally:
        os.close(descriptor)


def test_opening_a_directory_leaves_no_descriptor_open(top: Path) -> None:
    (top / "loop").symlink_to("loop")
    before = os.listdir("/proc/self/fd")
    opens(top / "file")
    for path in ("loop/file", "nope/file"):
        with pytest.raises(BadData):
            opens(top / path)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.usefixtures("root")
class TestAsRoot:
    @pytest.mark.parametrize("mode", [0o757, 0o777, 0o775])
    @pytest.mark.parametrize("place", ["d", "d/e"])
    def test_a_directory_that_others_can_write_to_is_refused(self, place: str, mode: int, top: Path) -> None:
        (top / place).mkdir(parents=True)
        (top / "d").chmod(mode)
        os.chown(top / "d", 0, NOBODY)
        with pytest.raises(BadData) as caught:
            opens(top / place / "file")
        assert str(caught.value) == f"{top}/d: other users can write to this directory"
        assert caught.value.hint == f"chmod go-w {top}/d"

    @pytest.mark.parametrize("target", ["d", "{top}/d", "{top}/e/../d"])
    def test_a_directory_that_others_can_write_to_is_refused_behind_a_link(
        self, target: str, top: Path
    ) -> None:
        for name in ("d", "e"):
            (top / name).mkdir()
        (top / "d").chmod(0o777)
        (top / "link").symlink_to(target.format(top=top))
        with pytest.raises(BadData) as caught:
            opens(top / "link" / "file")
        assert str(caught.value) == f"{top}/d: other users can write to this directory"

    @pytest.mark.parametrize("name", ["two words", "line\nend", "\x1b[31m"])
    def test_path_that_a_shell_would_read_differently_has_no_hint(self, name: str, top: Path) -> None:
        (top / name).mkdir()
        (top / name).chmod(0o777)
        with pytest.raises(BadData) as caught:
            opens(top / name / "file")
        assert caught.value.problem == "other users can write to this directory"
        assert caught.value.hint is None

    def test_directory_with_the_sticky_bit_or_of_the_group_root_is_accepted(self, top: Path) -> None:
        top.chmod(0o1777)
        (top / "d").mkdir()
        (top / "d").chmod(0o775)
        assert opens(top / "d" / "file") == top / "d"

    def test_the_directory_of_another_user_is_accepted(self, top: Path) -> None:
        """As the home directory of the service that reads the file."""
        for name in ("home", "home/.ssh"):
            (top / name).mkdir()
            os.chown(top / name, DAEMON, DAEMON)
        assert opens(top / "home" / ".ssh" / "file") == top / "home" / ".ssh"

    def test_a_link_of_another_user_to_a_directory_of_root_is_refused(self, top: Path) -> None:
        (top / "home").mkdir()
        os.chown(top / "home", DAEMON, DAEMON)
        (top / "etc").mkdir()
        (top / "home" / "link").symlink_to(top / "etc")
        os.chown(top / "home" / "link", DAEMON, DAEMON, follow_symlinks=False)
        with pytest.raises(BadData) as caught:
            opens(top / "home" / "link" / "file")
        assert caught.value.problem == "unsafe: it belongs to user 0, and user 1 controls the path to it"

    @pytest.mark.parametrize("owner", [0, NOBODY])
    def test_link_or_directory_of_others_in_the_directory_of_a_user_is_refused(
        self, owner: int, top: Path
    ) -> None:
        """That user can have put it there with a rename."""
        (top / "home" / "d").mkdir(parents=True)
        os.chown(top / "home", DAEMON, DAEMON)
        os.chown(top / "home" / "d", owner, owner)
        with pytest.raises(BadData) as caught:
            opens(top / "home" / "d" / "file")
        assert str(caught.value) == (
            f"{top}/home/d: unsafe: it belongs to user {owner}, and user 1 controls the path to it"
        )

    def test_a_link_that_another_user_made_in_a_shared_directory_is_refused(self, top: Path) -> None:
        top.chmod(0o1777)
        (top / "d").mkdir()
        (top / "link").symlink_to("d")
        os.chown(top / "link", DAEMON, DAEMON, follow_symlinks=False)
        with pytest.raises(BadData, match="user 1 controls the path"):
            opens(top / "link" / "file")


@pytest.mark.usefixtures("root")
def test_a_directory_that_can_be_written_and_not_listed_is_enough(top: Path) -> None:
    """For a user who is not root."""
    (top / "d").mkdir()
    (top / "d").chmod(0o733)
    code = (
        "from devlxdctl.config.replacement import *; import os\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        f"print(replace_file('{top}/d/file', b'x', 0o640, Owner(), None))\n"
        f"print(replace_file('{top}/d/file', b'x', 0o640, Owner(), None))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("True\nFalse\n", "")
    status = (top / "d" / "file").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o640, NOBODY)


@pytest.mark.parametrize("user", [os.geteuid(), NOBODY])
def test_fifo_in_place_of_the_directory_is_an_error_at_once(user: int, top: Path) -> None:
    """Opening one waits for a writer."""
    if user != os.geteuid() and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    os.mkfifo(top / "fifo", 0o666)
    code = (
        "import os\n"
        "from devlxdctl.config.directory import open_directory\n"
        "from devlxdctl import BadData\n"
        f"os.setuid({user})\n"
        "try:\n"
        f"    with open_directory('{top}/fifo/file'): pass\n"
        "except BadData as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == (f"{top}/fifo/file: not a directory\n", "")
