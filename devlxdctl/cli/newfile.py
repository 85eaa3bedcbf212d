"""A new file with a secret: whole or not there at all, and for nobody else to read."""

from __future__ import annotations

import os
import secrets
import signal
from contextlib import suppress

from devlxdctl.errors import BadData

_ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def check_new(path: str) -> None:
    """Raises `BadData` where `write_new` would surely fail. To be called before what costs something."""
    directory = os.path.dirname(path) or "."
    if os.path.lexists(path):
        raise BadData(path, "file exists")
    if not os.path.isdir(directory):
        raise BadData(path, "no such directory")
    if not os.path.basename(path) or not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        raise BadData(path, "no file can be made there")


def write_new(path: str, data: bytes) -> None:
    """Makes the file `path`, mode 0600, with `data`. Raises `BadData`, and leaves nothing, where it cannot.

    It appears under its name when it is whole. What is there already, be it a dangling link, is left alone.
    """
    directory, name = os.path.split(path)
    # Not cut off at 255 bytes, which is what a name may have.
    temporary = os.path.join(directory, f".{name[:40]}.{secrets.token_hex(8)}")
    # A signal that ends this program would leave the temporary file behind; it takes effect afterwards.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        try:
            _write(temporary, data)
            os.link(temporary, path, follow_symlinks=False)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
    except OSError as error:
        raise BadData(path, (error.strerror or "cannot be written").lower()) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # whatever the umask took away
        file.write(data)
