"""Files that appear completely or not at all: exported images, tokens, and the base of files from keys."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from types import FrameType, TracebackType
from typing import Final

from devlxdctl.errors import BadData, os_reason

__all__ = ["AtomicFile", "AtomicFiles"]

_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_WRITE_SIZE: Final = 32 * 1024  # bytes
_MAX_NAME: Final = 255  # bytes, on every native file system of Linux


def safe_file_name(given: str | None, default: str) -> str:
    """Return the last part of a file name that the host chose, or `default` if it is unsafe.

    Unsafe are hidden names, names that programs take for options, and names that are too long. So are names
    with characters that do not print, or with white space around them.
    """
    name = (given or "").rpartition("/")[2]
    is_safe = name.isprintable() and not name.startswith((".", "-")) and name.strip() == name
    return name if name and is_safe and len(os.fsencode(name)) <= _MAX_NAME else default


def check_replaceable(path: str, overwrite: bool | None) -> None:
    """Raise `BadData` where a new file at `path` would replace something that must stay.

    With `overwrite`, that is anything but a file or a link to a file: `/dev/null` is not replaced. Without
    it, that is anything that exists, a dangling link included. None means False, and adds no hint to the
    error.
    """
    try:
        mode = os.lstat(path).st_mode
        if overwrite and stat.S_ISLNK(mode):
            # Otherwise `-o /dev/stdout` would break the guest.
            if os.readlink(path).startswith("/proc/"):
                raise BadData(path, "is a link into /proc")
            mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        if overwrite and error.errno == errno.ELOOP:  # a link to itself
            return
        raise write_error(path, error) from error
    if not overwrite:
        raise BadData(path, "exists already", hint="replace it with --force" if overwrite is False else None)
    if not stat.S_ISREG(mode):
        raise BadData(path, "exists already and is not a regular file")


def write_error(path: str, error: OSError) -> BadData:
    """The error for a file at `path` that cannot be created or written."""
    return BadData(path, os_reason(error, "cannot be written"))


class AtomicFile:
    """A file that is written under a temporary name in the directory of `path`.

    * `size`: bytes written so far.
    """

    def __init__(self, path: str, secret: bool = False) -> None:
        """With `secret`, the file has mode 0600, otherwise 0666 less the umask."""
        self.path = path
        self.secret = secret
        self.size = 0
        # Random, so that nobody can create it first, and not made from a name of maximal length.
        self._temporary = os.path.join(os.path.dirname(path), f".devlxdctl-{os.urandom(8).hex()}")
        self._backup = f"{self._temporary}-old"
        self._file: io.FileIO | None = None
        self._identity: tuple[int, int] | None = None

    def open(self) -> None:
        """Create the temporary file."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self._temporary, flags, 0o600 if self.secret else 0o666)
            self._file = io.FileIO(descriptor, "wb")
            if self.secret:
                os.fchmod(descriptor, 0o600)  # whatever the umask is
            self._identity = _identity(os.fstat(descriptor))
        except OSError as error:
            raise write_error(self.path, error) from error

    def write(self, data: bytes) -> None:
        """Write all of `data`. Raises `BadData` with the number of bytes written, as on a full disk."""
        assert self._file is not None
        rest = memoryview(data)
        # In small pieces: for larger ones, file systems allocate larger blocks of memory. In a virtual
        # machine whose hypervisor reclaims free memory, an export took twice as long with 256 KiB.
        try:
            while rest:
                written = self._file.write(rest[:_WRITE_SIZE])
                self.size += written
                rest = rest[written:]
        except OSError as error:
            problem = f"{os_reason(error, 'cannot be written')}, after {self.size} bytes"
            raise BadData(self.path, problem) from error

    def close(self) -> None:
        """Close the temporary file. Network file systems report a full disk only here."""
        assert self._file is not None
        try:
            self._file.close()
        except OSError as error:
            raise write_error(self.path, error) from error

    def publish(self, overwrite: bool | None, keep_backup: bool) -> None:
        """Rename the temporary file to `path` in one step, without following a link there.

        With `keep_backup`, what it replaces can be restored by `rollback`.
        """
        try:
            if overwrite:
                if keep_backup:
                    self._make_backup()
                os.replace(self._temporary, self.path)
            else:
                self._rename_without_replacing()
        except FileExistsError:
            check_replaceable(self.path, overwrite)
            raise
        except OSError as error:
            raise write_error(self.path, error) from error

    def is_published(self) -> bool:
        """Whether `path` is this file now."""
        try:
            return _identity(os.lstat(self.path)) == self._identity
        except OSError:
            return False

    def rollback(self) -> None:
        """Restore what was at `path` before, unless something else is there by now."""
        with contextlib.suppress(OSError):
            if self.is_published():
                try:
                    os.replace(self._backup, self.path)
                except FileNotFoundError:
                    os.unlink(self.path)
            elif not os.path.lexists(self.path):
                os.rename(self._backup, self.path)

    def cleanup(self) -> None:
        """Remove the temporary file and the backup."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        _remove(self._temporary)
        _remove(self._backup)

    def _make_backup(self) -> None:
        """Give what is at `path` a second name; rename it where there are no hard links."""
        try:
            os.link(self.path, self._backup, follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError as error:
            # Directories have no hard links either.
            if error.errno not in _NO_HARD_LINKS or stat.S_ISDIR(os.lstat(self.path).st_mode):
                raise
            os.rename(self.path, self._backup)

    def _rename_without_replacing(self) -> None:
        """Give the file its name; `cleanup` removes the temporary one."""
        try:
            os.link(self._temporary, self.path, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            # FAT and some network file systems have no hard links. There an empty file reserves the name.
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
            try:
                os.replace(self._temporary, self.path)
            except BaseException:
                _remove(self.path)
                raise


class AtomicFiles:
    """Files that are published together or not at all. A context manager that removes what is not published.

    * `overwrite`: whether to replace existing files. None means False without a hint in the error.
    * `secret`: whether the files have mode 0600, otherwise 0666 less the umask.

    >>> with AtomicFiles(overwrite=True) as files:
    ...     files.add("/run/app.token").write(b"secret")
    ...     files.publish()
    """

    def __init__(self, *, overwrite: bool | None, secret: bool = False) -> None:
        self.overwrite = overwrite
        self.secret = secret
        self._files: list[AtomicFile] = []

    def __enter__(self) -> AtomicFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # They are published in this order.
        is_complete = bool(self._files) and self._files[-1].is_published()
        for file in self._files:
            if not is_complete:
                file.rollback()
            file.cleanup()

    def add(self, path: str) -> AtomicFile:
        """Return a new file for `path`. Raises `BadData` where it cannot be created."""
        return self.open(AtomicFile(path, self.secret))

    def open(self, file: AtomicFile) -> AtomicFile:
        """Open `file`, and publish it with the others. Raises `BadData` where it cannot be created."""
        check_replaceable(file.path, self.overwrite)
        # Listed before it exists, so that a signal in between leaves nothing behind.
        self._files.append(file)
        file.open()
        return file

    def publish(self) -> None:
        """Give all files their names. Raises `BadData` where one of them exists by now."""
        for file in self._files:
            file.close()
            check_replaceable(file.path, self.overwrite)
        for file in self._files:
            # Nothing can fail any more once the last one is published.
            file.publish(self.overwrite, keep_backup=file is not self._files[-1])

    @classmethod
    def is_interruptible(cls, frame: FrameType | None) -> bool:
        """Whether a signal handler that interrupts `frame` may raise.

        It may not while files are published or removed, which takes moments: files could be left behind.
        """
        critical = {cls.publish.__code__, cls.__exit__.__code__}
        while frame is not None:
            if frame.f_code in critical:
                return False
            frame = frame.f_back
        return True


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
