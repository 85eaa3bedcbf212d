"""Files that appear whole, under their names, or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from types import TracebackType
from typing import Final

from devlxdctl.errors import BadData

_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_AT_ONCE: Final = 32 * 1024  # bytes
_LONGEST_NAME: Final = 255  # bytes, on every file system of Linux's own


def base_name(given: str | None, otherwise: str) -> str:
    """The last part of a file name that someone else chose, or `otherwise` where that would be harmful.

    So for a hidden name, one that programs take for an option, one with characters that do not print, and one
    that is too long.
    """
    name = (given or "").rpartition("/")[2]
    harmless = name.isprintable() and not name.startswith((".", "-")) and name.strip() == name
    return name if name and harmless and len(os.fsencode(name)) <= _LONGEST_NAME else otherwise


def refuse_existing(path: str, overwrite: bool | None) -> None:
    """Raises `BadData` where a new file at `path` would take the place of something that should stay.

    With `overwrite`, that is anything but a file, or a link to one: `/dev/null` is not to be replaced. A link
    that leads nowhere is in the way too. None is no, where it cannot be asked for either.
    """
    try:
        mode = os.lstat(path).st_mode
        if overwrite and stat.S_ISLNK(mode):
            mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot(path, error) from error
    if not overwrite:
        raise BadData(path, "it exists already", hint="--force replaces it" if overwrite is False else None)
    if not stat.S_ISREG(mode):
        raise BadData(path, "it exists already, and is no regular file")


def cannot(path: str, error: OSError) -> BadData:
    """The error for a file at `path` that could not be made or written."""
    return BadData(path, (error.strerror or "cannot be written").lower())


class NewFile:
    """A file that is being written under a hidden name, in the directory where it will appear."""

    def __init__(self, path: str, secret: bool = False) -> None:
        """`secret` gives it the mode 0600. Else it is what the umask leaves of 0666."""
        self.path = path
        self.secret = secret
        self.size = 0
        # Random, so that nobody can be there first, and not derived from a name that is as long as can be.
        self.hidden = os.path.join(os.path.dirname(path), f".devlxdctl-{os.urandom(8).hex()}")
        self.kept = f"{self.hidden}-old"
        self.file: io.FileIO | None = None
        self._identity: tuple[int, int] | None = None

    def open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self.file = io.FileIO(os.open(self.hidden, flags, 0o600 if self.secret else 0o666), "wb")
            if self.secret:
                os.fchmod(self.file.fileno(), 0o600)  # whatever the umask took away
            self._identity = _identity(os.fstat(self.file.fileno()))
        except OSError as error:
            raise cannot(self.path, error) from error

    def write(self, data: bytes) -> None:
        """Writes all of `data`. Raises `BadData`, as on a full disk, with the number of bytes written."""
        assert self.file is not None
        left = memoryview(data)
        # In small steps: a file system that is given much at once takes large blocks of memory for it. In a
        # virtual machine whose hypervisor takes free memory back, those come anew from there: with 256 KiB at
        # a time, an export took twice as long.
        try:
            while left:
                written = self.file.write(left[:_AT_ONCE])
                self.size += written
                left = left[written:]
        except OSError as error:
            why = (error.strerror or "cannot be written").lower()
            raise BadData(self.path, f"{why}, after {self.size} bytes") from error

    def close(self) -> None:
        """Closes it. Network file systems report only here that there was no room."""
        assert self.file is not None
        try:
            self.file.close()
        except OSError as error:
            raise cannot(self.path, error) from error

    def appear(self, overwrite: bool | None, keep: bool) -> None:
        """Takes its name, which is never followed, in one step.

        With `keep`, what it replaces can be put back.
        """
        try:
            if overwrite:
                if keep:
                    self._keep()
                os.replace(self.hidden, self.path)
            else:
                self._take_free_name()
        except FileExistsError:
            refuse_existing(self.path, overwrite)
            raise
        except OSError as error:
            raise cannot(self.path, error) from error

    def has_appeared(self) -> bool:
        """Whether this file is what has the name now."""
        try:
            return _identity(os.lstat(self.path)) == self._identity
        except OSError:
            return False

    def withdraw(self) -> None:
        """Gives up its name, if it has it, and puts back what had it before. What others put there stays."""
        with contextlib.suppress(OSError):
            if self.has_appeared():
                try:
                    os.replace(self.kept, self.path)
                except FileNotFoundError:
                    os.unlink(self.path)
            elif not os.path.lexists(self.path):
                os.rename(self.kept, self.path)

    def forget(self) -> None:
        """Gives up its hidden names, and what it has replaced."""
        if self.file is not None:
            with contextlib.suppress(OSError):
                self.file.close()
        _remove(self.hidden)
        _remove(self.kept)

    def _keep(self) -> None:
        """Gives what is to be replaced a second, hidden name; a new one where there are no links."""
        try:
            os.link(self.path, self.kept, follow_symlinks=False)
        except FileNotFoundError:
            pass
        except OSError as error:
            # Directories have no links either.
            if error.errno not in _NO_LINKS or stat.S_ISDIR(os.lstat(self.path).st_mode):
                raise
            os.rename(self.path, self.kept)

    def _take_free_name(self) -> None:
        try:
            os.link(self.hidden, self.path, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # FAT and some network file systems have no links. There an empty file keeps the name free of
            # others for a moment.
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
            try:
                os.replace(self.hidden, self.path)
            except BaseException:
                _remove(self.path)
                raise
        else:
            _remove(self.hidden)


class NewFiles:
    """Files that appear together, or not at all: a context that leaves all as it was when it fails."""

    def __init__(self, overwrite: bool | None, secret: bool = False) -> None:
        self.overwrite = overwrite
        self.secret = secret
        self._files: list[NewFile] = []

    def __enter__(self) -> NewFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # They take their names in this order.
        complete = bool(self._files) and self._files[-1].has_appeared()
        for new in self._files:
            if not complete:
                new.withdraw()
            new.forget()

    def add(self, path: str) -> NewFile:
        """A new file that will appear at `path`. Raises `BadData` where it cannot."""
        refuse_existing(path, self.overwrite)
        new = NewFile(path, self.secret)
        # Known before it exists: a signal between the two leaves nothing behind.
        self._files.append(new)
        new.open()
        return new

    def appear(self) -> None:
        """Gives the files their names. Raises `BadData` where one of them is taken by now."""
        for new in self._files:
            new.close()
            refuse_existing(new.path, self.overwrite)
        for new in self._files:
            # Nothing can go wrong any more once the last one has its name.
            new.appear(self.overwrite, keep=new is not self._files[-1])


SETTLING: Final = frozenset({NewFiles.appear.__code__, NewFiles.__exit__.__code__})
"""Code that a signal handler should not raise in, since it may leave files behind. It takes moments."""


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
