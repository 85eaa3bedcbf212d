"""The first code of devlxdctl.pyz: imports the program from the archive, and caches compiled modules.

Root's cache is in /var/cache/devlxdctl, that of other users in .cache/devlxdctl below the home directory that
the password database names. HOME and XDG_CACHE_HOME are ignored: `sudo -E` and `su -m` leave them at another
user's directories. A cache that anybody but root and its user could change is not used.

shiv and PEX unpack their archive below $HOME and import what they find there, whoever owns it and whatever a
crash left of it. With this program they also start 1.7 and 3 times as slowly, so this loader stays.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER, source_hash, spec_from_file_location
from types import CodeType, ModuleType
from typing import NoReturn

DIGEST = "@DIGEST@"
MODULES = """@MODULES@"""
"""A line for each module of the archive: its path, and the offset and size of its source."""

CACHE_NAME = f"{DIGEST}-{sys.implementation.cache_tag}-{sys.flags.optimize}"
_OPEN_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW


def open_cache() -> int | None:
    """Open this archive's cache directory, create it if needed; None where none can be trusted or created."""
    user = os.geteuid()
    try:
        if user == 0:
            base, missing = "/var/cache/devlxdctl", 1
        else:
            import pwd

            base, missing = os.path.join(pwd.getpwuid(user).pw_dir, ".cache/devlxdctl"), 2
        parent = _open_path(os.path.realpath(base), user, 0 if sys.dont_write_bytecode else missing)
        try:
            return above_stderr(_open_child(CACHE_NAME, parent, user))
        except FileNotFoundError:
            if sys.dont_write_bytecode:
                return None
            _remove_outdated(parent)
            return above_stderr(_open_child(CACHE_NAME, parent, user, create=True))
        finally:
            os.close(parent)
    except (OSError, KeyError):
        return None


def _open_path(path: str, user: int, missing: int) -> int:
    """Open an absolute path without links, and create up to `missing` directories at its end.

    Each directory is checked after it has been opened, and the next one is opened in it. So no other user can
    exchange a part of the path, neither during the check nor later.
    """
    names = path.split("/")[1:]
    directory = _trusted(os.open("/", _OPEN_DIRECTORY), user)
    for left, name in zip(reversed(range(len(names))), names, strict=True):
        try:
            child = _open_child(name, directory, user, create=left < missing)
        finally:
            os.close(directory)
        directory = child
    return directory


def _open_child(name: str, parent: int, user: int, create: bool = False) -> int:
    """Open a directory in another one."""
    try:
        directory = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
        with contextlib.suppress(FileExistsError):  # created by another start of the program
            os.mkdir(name, 0o700, dir_fd=parent)
        directory = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
    return _trusted(directory, user)


def _trusted(descriptor: int, user: int) -> int:
    """Return a descriptor, or close it and raise PermissionError if others than root and `user` can write.

    A sticky directory such as /tmp is refused too: once an entry has been deleted there, as cleaners of /tmp
    do, any user can create another one under its name. With an access control list, the group's bits are its
    mask, so they cover all that it permits.
    """
    status = os.fstat(descriptor)
    if status.st_uid in (0, user) and not status.st_mode & 0o022:
        return descriptor
    os.close(descriptor)
    raise PermissionError


def above_stderr(descriptor: int) -> int:
    """Duplicate a descriptor until it is none of the standard streams, which may have been closed."""
    if descriptor > 2:
        return descriptor
    try:
        return above_stderr(os.dup(descriptor))
    finally:
        os.close(descriptor)


def _remove_outdated(parent: int) -> None:
    """Remove the caches of other archives. A program that still runs from one compiles what it needs."""
    listed = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=parent)
    try:
        names = [name for name in os.listdir(listed) if _is_outdated(name)]
    finally:
        os.close(listed)
    for name in names:
        try:
            directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
            try:
                for entry in os.listdir(directory):
                    os.unlink(entry, dir_fd=directory)
            finally:
                os.close(directory)
            os.rmdir(name, dir_fd=parent)
        except OSError:  # removed by another start, or nothing that this program put there
            pass


def _is_outdated(name: str) -> bool:
    digest, _, python = name.partition("-")
    return len(digest) == len(DIGEST) and python != "" and digest != DIGEST


class Importer:
    """Finds and loads the modules of the archive.

    zipimport would compile each module twice at each start, since it keeps nothing compiled. Here a compiled
    module is a file in the cache, with a checksum. A file that does not match, such as one that a crash or a
    full disk left, counts as missing: it is compiled and written again. So nothing needs fsync or a rename.
    """

    def __init__(self, archive: str, cache: int | None) -> None:
        self._archive = archive
        self._cache = cache
        self._user = os.geteuid()
        # Stays open: the archive's path may name the next version before this process ends.
        self._source = above_stderr(os.open(archive, os.O_RDONLY))
        self._modified = os.fstat(self._source).st_mtime_ns
        self._modules = {}
        for line in MODULES.splitlines():
            path, offset, size = line.split(" ")
            name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            self._modules[name] = (path, int(offset), int(size))

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find a module, whatever `path` is: packages here have no directory."""
        if name not in self._modules:
            return None
        location = self._modules[name][0]
        return spec_from_file_location(
            name,
            f"{self._archive}/{location}",
            loader=self,  # type: ignore[arg-type]  # only this file's own methods are ever called
            submodule_search_locations=[] if location.endswith("/__init__.py") else None,
        )

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave the creation of the module to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name: str) -> CodeType:
        """The module's code, from the cache or from its source."""
        if (code := self._read(name)) is None:
            path = self._modules[name][0]
            code = compile(self._read_source(name), f"devlxdctl.pyz/{path}", "exec", dont_inherit=True)
            self._write(name, code)
        return code

    def get_source(self, name: str) -> str:
        """The module's source, for tracebacks."""
        return self._read_source(name).decode()

    def _read_source(self, name: str) -> bytes:
        if os.fstat(self._source).st_mtime_ns != self._modified:
            raise ImportError(f"{self._archive}: overwritten while the program was running", name=name)
        _, offset, size = self._modules[name]
        return os.pread(self._source, size, offset)

    def _read(self, name: str) -> CodeType | None:
        if self._cache is None:
            return None
        try:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self._cache)
            _trusted(file, self._user)  # others may have had access to the directory before
            try:
                data = os.read(file, os.fstat(file).st_size)
            finally:
                os.close(file)
        except OSError:
            return None
        body = memoryview(data)[12:]
        if data[:12] != MAGIC_NUMBER + source_hash(body):
            return None
        code: CodeType = marshal.loads(body)
        return code

    def _write(self, name: str, code: CodeType) -> None:
        if self._cache is None or sys.dont_write_bytecode:
            return
        body = marshal.dumps(code)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._cache)
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._cache)
            try:
                os.write(file, MAGIC_NUMBER + source_hash(body) + body)
            finally:
                os.close(file)
        except OSError:  # the disk is full or read-only, or another start writes this module now
            pass


def run() -> NoReturn:
    """Run the program."""
    archive = sys.path.pop(0)
    sys.meta_path.insert(0, Importer(archive, open_cache()))
    from devlxdctl.__main__ import main

    main()
