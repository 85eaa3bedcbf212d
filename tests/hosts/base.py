"""What every host of the contract tests offers, be it a daemon or a simulation of one."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from .jobs import Job

PROGRAM = str(Path(sys.prefix, "bin", "devlxdctl"))
"""The program under test, at the same path inside every guest."""


class HostError(Exception):
    """The host did not do what it was told: what it said, and the end of its log where that helps."""


@dataclass(frozen=True)
class Result:
    """How a command inside the guest ended."""

    status: int
    """The exit status; -n where signal n killed the process."""
    stdout: bytes
    stderr: bytes


class Host(Protocol):
    """A host with one running guest. Every call returns when the host has done it, or raises HostError."""

    name: str
    """``lxd``, ``incus``; the simulator's profiles have names of their own."""
    version: str
    """The daemon's own, as in ``5.0.2``."""
    socket: str
    """The guest API's path inside the guest."""

    def start(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        user: int = 0,
        stdin: bytes = b"",
        cwd: str = "/",
    ) -> Job:
        """Start a command inside the guest, independent of the daemon: it lives on when that stops.

        env is the whole environment; without it there are HOME, LANG and a PATH with the program on it. user
        is the uid and the gid.
        """
        ...

    def run(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        user: int = 0,
        stdin: bytes = b"",
        cwd: str = "/",
        timeout: float = 60,
    ) -> Result:
        """Run a command inside the guest to its end. TimeoutError, with its output so far, past timeout."""
        ...

    def set(self, config: Mapping[str, str | None], /) -> None:
        """Set the instance's keys in one update; None unsets."""
        ...

    def add_device(self, name: str, options: Mapping[str, str]) -> None:
        """Add an instance's device, or replace the one of that name."""
        ...

    def remove_device(self, name: str) -> None: ...

    def ready(self) -> bool | None:
        """Whether the guest has said that it is ready; None where nothing was recorded."""
        ...

    def offer(self, on: bool) -> None:
        """Switch the guest API on or off while the guest runs."""
        ...

    def stop(self, how: Literal["TERM", "KILL"]) -> None:
        """End the daemon by that signal and wait until it is gone; the guest runs on."""
        ...

    def resume(self) -> None:
        """Start the daemon again and wait until the guest can connect."""
        ...
