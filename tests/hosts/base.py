"""What a host of the contract tests offers, whether it is a real daemon or the simulator."""

from collections.abc import Mapping
from typing import Literal, Protocol

from tests.support.program import Result

from .jobs import Job

StopSignal = Literal["TERM", "KILL"]
"""The signal that ends a daemon."""


class HostError(Exception):
    """The host failed to do something: its error, and the end of its log where that helps."""


class Host(Protocol):
    """A host with one running guest. Each method returns when the host has finished, or raises HostError."""

    name: str
    """`lxd` or `incus`; `simulated PROFILE` for the simulator."""
    version: str
    """The version of the daemon, as in `5.0.2`."""
    socket: str
    """The path of the devLXD socket inside the guest."""

    def start(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        user: int = 0,
        stdin: bytes = b"",
        cwd: str = "/",
    ) -> Job:
        """Start a command inside the guest. It does not depend on the daemon, and survives its end.

        * `env`: the whole environment; by default HOME, LANG and a PATH that includes the program.
        * `user`: the uid and the gid of the command.
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
        """Run a command inside the guest until it ends. Raises TimeoutError, with the output so far."""
        ...

    def set(self, config: Mapping[str, str | None], /) -> None:
        """Set config keys of the instance in one update; None unsets a key."""
        ...

    def add_device(self, name: str, options: Mapping[str, str]) -> None:
        """Add a device to the instance, or replace the one with this name."""
        ...

    def remove_device(self, name: str) -> None: ...

    def ready(self) -> bool | None:
        """Whether the host has the instance as Ready; None if nothing was reported."""
        ...

    def switch_api(self, on: bool) -> None:
        """Switch the guest API on or off while the guest runs."""
        ...

    def stop_daemon(self, signal_name: StopSignal) -> None:
        """Stop the daemon with this signal and wait until it has ended. The guest keeps running."""
        ...

    def start_daemon(self) -> None:
        """Start the daemon again and wait until the guest can connect."""
        ...

    def revive_daemon(self) -> bool:
        """Start the daemon again if it has ended by its known defect, as systemd does. Return whether it had.

        Raises HostError, with the end of its log, if it has ended otherwise.
        """
        ...
