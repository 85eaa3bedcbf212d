"""What devlxdctl.pyz does first: it sees to a cache of what Python compiles, and runs the program."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

DIGEST = "@DIGEST@"


def unpacked(archive: str) -> str | None:
    """The directory with the archive's contents, unpacked when it is not there; None where that cannot be.

    From there Python keeps what it compiles. From the archive it compiles everything at each start.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = os.environ.get("HOME", "")
        base = os.path.join(home, ".cache") if os.path.isabs(home) else "/var/cache"
    top = os.path.join(base, "devlxdctl")
    target = os.path.join(top, DIGEST)
    try:
        if not os.path.isdir(target):
            os.makedirs(base, 0o700, exist_ok=True)
            if not ours(base):
                return None
            os.makedirs(top, 0o700, exist_ok=True)
            if not ours(top):
                return None
            unpack(archive, top, target)
        return target if ours(top) and ours(target) else None
    except OSError:
        return None


def ours(directory: str) -> bool:
    """Whether nobody else may write there: what lies there is going to be run."""
    found = os.lstat(directory)
    return found.st_uid == os.geteuid() and found.st_mode & 0o170022 == 0o040000


def unpack(archive: str, top: str, target: str) -> None:
    """Unpacks the archive to `target`: all of it, or nothing."""
    import shutil
    import tempfile
    import zipfile

    made = tempfile.mkdtemp(dir=top)
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(made)
        try:
            os.rename(made, target)
        except OSError:
            if not os.path.isdir(target):  # not made by another that started meanwhile, either
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def run() -> NoReturn:
    """Runs the program, from the cache where there can be one."""
    archive = sys.path[0]
    directory = unpacked(archive)
    if directory is not None:
        sys.path[0] = directory
    import warnings

    # requests misses a guesser of encodings, which is left out: nothing here is ever guessed.
    warnings.filterwarnings("ignore", "Unable to find acceptable character detection dependency")
    from devlxdctl.__main__ import main

    main()
