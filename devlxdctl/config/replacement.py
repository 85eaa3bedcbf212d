"""Replacing a file as a whole: no reader, and no power failure, ever finds a part of it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from devlxdctl.atomic_files import AtomicFile, AtomicFiles, check_replaceable, write_error
from devlxdctl.config.directory import open_directory, sync_directory
from devlxdctl.errors import BadData, InvalidRequest, PermissionDenied

_COMPARE_SIZE: Final = 1024 * 1024  # bytes
_KEEP: Final = -1  # in place of a user or a group: do not change it


class Owner(NamedTuple):
    """The user and the group of a file; -1 is the one of this process."""

    user: int = _KEEP
    group: int = _KEEP


def find_owner(text: str) -> Owner:
    """Return the owner for `USER[:GROUP]`, names or numbers. Raises `InvalidRequest` for unknown names."""
    import grp
    import pwd

    user, colon, group = text.partition(":")
    found_user = _find_id(user, "user", lambda: pwd.getpwnam(user).pw_uid)
    found_group = _find_id(group, "group", lambda: grp.getgrnam(group).gr_gid) if colon else _KEEP
    return Owner(found_user, found_group)


def _find_id(name: str, kind: str, find: Callable[[], int]) -> int:
    if name.isascii() and name.isdigit() and int(name) < 2**32 - 1:
        return int(name)
    try:
        return find()
    except (KeyError, ValueError, OSError) as error:
        raise InvalidRequest(name or repr(name), f"no such {kind}") from error


class _ReplacingFile(AtomicFile):
    """A file with a mode and an owner, written to the disk before it replaces `path`.

    The temporary file is locked: one without a lock was left by a process that was killed.
    """

    def __init__(self, path: str, directory: int, mode: int, owner: Owner) -> None:
        super().__init__(path)
        self._directory = directory
        self._mode = mode
        self._owner = owner
        self._choose_name()

    def _choose_name(self) -> None:
        name = os.path.basename(self.path)
        self._temporary = _temporary_prefix(name) + os.urandom(8).hex()

    def temporary_path(self) -> str:
        return os.path.join(os.path.dirname(self.path), self._temporary)

    def open(self) -> None:
        """Create the temporary file. It has its mode and owner before it has any content."""
        try:
            self._file = io.FileIO(self._create(), "wb")
            _set_owner(self._file.fileno(), self.path, self._owner)
            os.fchmod(self._file.fileno(), self._mode)
            status = os.fstat(self._file.fileno())
            self._identity = status.st_dev, status.st_ino
        except OSError as error:
            raise write_error(self.path, error) from error

    def _create(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            descriptor = os.open(self._temporary, flags, 0o600 & self._mode, dir_fd=self._directory)
            if _lock(descriptor):
                return descriptor
            # Before it was locked, another process took it for a leftover, and removes it.
            os.close(descriptor)
            self._choose_name()

    def close(self) -> None:
        """Write the temporary file to the disk. It stays open, and so locked, until it is published."""
        assert self._file is not None
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise write_error(self.path, error) from error

    def publish(self, overwrite: bool | None, keep_backup: bool) -> None:
        """Rename the temporary file to `path` in one step, without following a link there."""
        name, directory = os.path.basename(self.path), self._directory
        try:
            os.replace(self._temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            sync_directory(directory)
        except OSError as error:
            raise write_error(self.path, error) from error

    def rollback(self) -> None:
        """Do nothing: what was at `path` is still there until the last step."""

    def cleanup(self) -> None:
        """Remove the temporary file."""
        with contextlib.suppress(OSError):
            os.unlink(self._temporary, dir_fd=self._directory)
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()


def replace_file(
    path: str, data: bytes, mode: int, owner: Owner, check: Callable[[str], None] | None
) -> bool:
    """Give the file `path` this content, mode and owner. Return whether the content changed.

    A file with equal content keeps its inode and its times. `check` is called with the path of a new file
    with other content before it replaces the old one: what it raises keeps the old one.
    """
    with _open_parent(path) as directory:
        current = _compare(path, directory, data)
        if current is not None and _correct(current, path, mode, owner):
            return False
        with AtomicFiles(overwrite=True) as files:
            file = _ReplacingFile(path, directory, mode, owner)
            files.open(file)
            file.write(data)
            if check is not None and current is None:
                check(file.temporary_path())
            files.publish()
    return current is None


def remove_file(path: str) -> bool:
    """Remove the file `path`, or a link to one. Return whether there was one."""
    if not os.path.lexists(path):
        return False
    with _open_parent(path) as directory:
        check_replaceable(path, True)
        try:
            os.unlink(os.path.basename(path), dir_fd=directory)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise write_error(path, error) from error
        sync_directory(directory)
    return True


@contextlib.contextmanager
def _open_parent(path: str) -> Iterator[int]:
    """Open the directory of `path`, and remove from it what killed processes left of `path`."""
    if "\0" in path:
        raise InvalidRequest(repr(path), "not a valid file name")
    if os.path.basename(path) in ("", ".", ".."):
        raise BadData(path or repr(path), "is not the name of a file")
    with open_directory(path) as directory:
        check_replaceable(path, True)
        _remove_leftovers(directory, os.path.basename(path))
        yield directory


def _compare(path: str, directory: int, data: bytes) -> io.FileIO | None:
    """Return the file `path`, open, if it has this content."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = io.FileIO(os.open(os.path.basename(path), flags, dir_fd=directory), "rb")
    except OSError:  # none, or a link, or not readable
        return None
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size == len(data) and _is_equal(file, data):
        return file
    file.close()
    return None


def _correct(file: io.FileIO, path: str, mode: int, owner: Owner) -> bool:
    """Close the file, and give it this mode and owner. False if it has to be replaced instead.

    That is where it has several names, of which others can belong to somebody else, and where it belonged to
    another user, who can still have it open for writing.
    """
    with file:
        status = os.fstat(file.fileno())
        user = os.geteuid() if owner.user == _KEEP else owner.user
        group = status.st_gid if owner.group == _KEEP else owner.group
        old_mode = stat.S_IMODE(status.st_mode)
        if (old_mode, status.st_uid, status.st_gid) == (mode, user, group):
            return True
        if status.st_nlink > 1 or status.st_uid not in (user, os.geteuid()):
            return False
        try:
            # The old mode is not for the new owner, and the new mode not for the old one.
            os.fchmod(file.fileno(), old_mode & mode)
            _set_owner(file.fileno(), path, owner)
            os.fchmod(file.fileno(), mode)
        except OSError as error:
            raise write_error(path, error) from error
        return True


def _is_equal(file: io.FileIO, data: bytes) -> bool:
    rest = memoryview(data)
    while chunk := file.read(_COMPARE_SIZE):
        if chunk != rest[: len(chunk)]:
            return False
        rest = rest[len(chunk) :]
    return not rest


def _set_owner(descriptor: int, path: str, owner: Owner) -> None:
    if owner == Owner():
        return
    try:
        os.fchown(descriptor, *owner)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
        advice = "only root can give a file to another user: sudo devlxdctl …"
        raise PermissionDenied(path, "cannot change its owner", hint=advice) from error


def _temporary_prefix(name: str) -> str:
    # Not the name itself, which can have the maximal length.
    return f".devlxdctl-{zlib.crc32(os.fsencode(name)):08x}-"


def _remove_leftovers(directory: int, name: str) -> None:
    """Remove the temporary files for `name` that nobody has locked: killed processes left them."""
    prefix = _temporary_prefix(name)
    with contextlib.suppress(OSError):  # it cannot be listed
        for leftover in os.listdir(directory):
            if leftover.startswith(prefix):
                _remove_unlocked(directory, leftover)


def _remove_unlocked(directory: int, name: str) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        descriptor = os.open(name, flags, dir_fd=directory)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=directory)
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file that was just created. False if another process has locked or removed it meanwhile."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where no file counts as left over
        return True
    return os.fstat(descriptor).st_nlink > 0
