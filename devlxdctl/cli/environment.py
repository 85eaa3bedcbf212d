"""The environment of the commands that users let this program run."""

from __future__ import annotations

import contextlib
import os
from typing import Final

_MAX_STRING: Final = 128 * 1024 - 1
"""Bytes of the longest string that Linux accepts in an environment, without its NUL."""


def inherited_environment() -> dict[str, str]:
    """Return the environment of this process as it was at its start, without the bearer token."""
    environment = dict(os.environ)
    environment.pop("DEVLXD_BEARER_TOKEN", None)
    # In the C locale, Python sets LC_CTYPE for itself and its children. The kernel has the original value.
    with contextlib.suppress(OSError), open("/proc/self/environ", "rb") as file:
        if b"\0LC_CTYPE=" not in b"\0" + file.read():
            environment.pop("LC_CTYPE", None)
    return environment


def fits_environment(name: str, text: str) -> bool:
    """Whether a variable can have this value."""
    return "\0" not in text and len(f"{name}={text}".encode("utf-8", "surrogateescape")) <= _MAX_STRING
