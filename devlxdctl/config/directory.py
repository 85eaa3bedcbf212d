"""Opening the directory of a file that is written, without being led elsewhere by another user."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from devlxdctl.atomic_files import write_error
from devlxdctl.errors import BadData

_MAX_LINKS: Final = 40  # as in the kernel
_ROOT: Final = 0


@contextmanager
def open_directory(path: str) -> Iterator[int]:
    """Open the directory of the file `path`, and yield its descriptor.

    For root, raises `BadData` where another user could lead the path elsewhere. That is a directory on the
    way that others can write to, without the sticky bit. It is also what belongs to another user than the
    directory that contains it, unless that is root's. What is done with the descriptor happens in the
    directory that was checked.
    """
    parent = os.path.dirname(path) or "."
    try:
        descriptor = _walk(parent) if os.geteuid() == _ROOT else _open(parent)
    except OSError as error:
        raise write_error(path, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_directory(descriptor: int) -> None:
    """Write the names in a directory to the disk, where its file system and this process can do that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF):
            raise


def _open(path: str, directory: int | None = None) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        return os.open(path, flags, dir_fd=directory)
    except PermissionError:  # to create files in it does not need the permission to list it
        return os.open(path, flags | os.O_PATH, dir_fd=directory)


def _walk(path: str) -> int:
    """Open a directory, one name at a time, and check each directory and each link on the way."""
    names = deque(os.path.join(os.getcwd(), path).split("/"))
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    here, place = os.open("/", flags), "/"
    try:
        owner = _check(os.fstat(here), place, _ROOT)
        links = 0
        while names:
            name = names.popleft()
            if name in ("", "."):
                continue
            found = os.open(name, flags, dir_fd=here)
            try:
                status = os.fstat(found)
                at = os.path.normpath(os.path.join(place, name))
                owner = _check(status, at, owner)
                if stat.S_ISLNK(status.st_mode):
                    links += 1
                    if links > _MAX_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                    target = os.readlink("", dir_fd=found)
                    names.extendleft(reversed(target.split("/")))
                    if target.startswith("/"):
                        here, found = os.open("/", flags), here
                        place = "/"
                elif stat.S_ISDIR(status.st_mode):
                    here, found = found, here
                    place = at
                else:
                    raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            finally:
                os.close(found)
        return _open(".", here)
    finally:
        os.close(here)


def _check(status: os.stat_result, place: str, owner: int) -> int:
    """Return the owner of what is at `place`, found in a directory or by a link of `owner`."""
    if owner not in (_ROOT, status.st_uid):
        problem = f"unsafe: it belongs to user {status.st_uid}, and user {owner} controls the path to it"
        raise BadData(place, problem)
    is_shared = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and status.st_gid != _ROOT)
    if stat.S_ISDIR(status.st_mode) and is_shared and not status.st_mode & stat.S_ISVTX:
        advice = f"chmod go-w {place}" if place.isprintable() and " " not in place else None
        raise BadData(place, "other users can write to this directory", hint=advice)
    return status.st_uid
