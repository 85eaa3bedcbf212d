"""Commands of the user's that this program runs: what they get to know, and how they end."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from devlxdctl.cli.streams import say

if TYPE_CHECKING:
    from devlxdctl.watch import Change

_LONGEST = 128 * 1024 - 1
"""Bytes of the longest string that Linux takes into an environment, less its NUL."""


def own_environment() -> dict[str, str]:
    """This process's environment as it came, less the bearer token."""
    environment = dict(os.environ)
    environment.pop("DEVLXD_BEARER_TOKEN", None)
    # In the C locale, Python sets LC_CTYPE for itself and its children. The kernel knows what it was before.
    with contextlib.suppress(OSError), open("/proc/self/environ", "rb") as file:
        if b"\0LC_CTYPE=" not in b"\0" + file.read():
            environment.pop("LC_CTYPE", None)
    return environment


def run_hook(command: list[str], change: Change[str]) -> None:
    """Runs the command of `config watch --exec` for one change. Its failure is told on stderr, no more."""
    import subprocess

    value = (change.value or "").encode("utf-8", "surrogateescape")
    environment = {**own_environment(), "DEVLXD_ACTION": change.action}
    if _fits("DEVLXD_KEY", change.key):
        environment["DEVLXD_KEY"] = change.key
    larger = {"DEVLXD_VALUE": change.value, "DEVLXD_OLD_VALUE": change.old_value}
    fitting = {name: text for name, text in larger.items() if text is not None and _fits(name, text)}
    for variables in ({**environment, **fitting}, environment):
        try:
            status = subprocess.run(command, input=value, env=variables, check=False).returncode
        except OSError as error:
            if error.errno == errno.E2BIG and variables is not environment:
                continue  # each fits, but not all
            say(f"devlxdctl: {command[0]}: {(error.strerror or 'cannot be run').lower()}")
            return
        if status != 0:
            how = f"status {status}" if status > 0 else f"signal {-status}"
            say(f"devlxdctl: {change.key}: {command[0]} ended with {how}")
        return


def _fits(name: str, text: str) -> bool:
    return "\0" not in text and len(f"{name}={text}".encode("utf-8", "surrogateescape")) <= _LONGEST
