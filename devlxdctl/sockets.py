"""Where the host's socket is."""

from __future__ import annotations

import os
from typing import Final

from devlxdctl.errors import InvalidRequest

SOCKETS: Final = ("/dev/lxd/sock", "/dev/incus/sock")
"""Where LXD and Incus put their sockets in a guest."""

_PATH_LIMIT: Final = 107  # bytes, of sockaddr_un's 108 with its closing NUL


def socket_path(given: str | os.PathLike[str] | None = None) -> str:
    """The socket to use: `given`, else `$DEVLXD_SOCKET`, else the first that exists of LXD's and Incus's.

    Where neither exists, it is the one whose directory does, else that of the product that the machine shows
    signs of, else LXD's. Raises `InvalidRequest` for a path that no socket can have.
    """
    path = os.fspath(given) if given else os.environ.get("DEVLXD_SOCKET", "")
    if not path:
        for candidate in SOCKETS:
            if os.path.lexists(candidate):
                return candidate
        for candidate in SOCKETS:
            if os.path.isdir(os.path.dirname(candidate)):
                return candidate
        from devlxdctl.guestsigns import guest_signs

        return SOCKETS[1 if any(sign.product == "Incus" for sign in guest_signs()) else 0]
    length = len(os.fsencode(path))
    if length > _PATH_LIMIT or "\0" in path:
        why = f"the path of a socket has at most {_PATH_LIMIT} bytes and no NUL, this one has {length}"
        raise InvalidRequest(path, why)
    return path
