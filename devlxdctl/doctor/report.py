"""The results of the checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NoReturn

from devlxdctl.errors import DevLXDError, ExitStatus

__all__ = ["Check"]

CHECKS: Final = (
    *("guest", "directory", "socket", "permission", "user", "connection", "answer", "api", "instance"),
    *("config", "keys", "devices", "events", "images", "pro", "ready", "token", "volumes", "credentials"),
)
"""The names of all checks, in their order: a later check needs the earlier ones."""


@dataclass(frozen=True)
class Check:
    """The result of one check.

    * `status`: `skip` for what could not be checked, or what the host does not offer.
    * `detail`: what was found.
    * `fix`: what to do about it, None without advice.
    * `exit_status`: the exit status that the check causes: OK, unless an essential check failed.
    """

    check: str
    status: Literal["ok", "fail", "skip"]
    detail: str
    fix: str | None = None
    exit_status: ExitStatus = ExitStatus.OK


class Stop(Exception):
    """No further check can be made."""


class Report:
    """Collects the results, one for each check that was made."""

    def __init__(self) -> None:
        self.results: dict[str, Check] = {}

    def ok(self, name: str, detail: str) -> None:
        self.results[name] = Check(name, "ok", detail)

    def skip(self, name: str, detail: str, fix: str | None = None) -> None:
        self.results[name] = Check(name, "skip", detail, fix)

    def fail(self, name: str, detail: str, fix: str | None, status: ExitStatus = ExitStatus.OK) -> None:
        self.results[name] = Check(name, "fail", detail, fix, status)

    def stop(self, name: str, detail: str, error: DevLXDError, fix: str | None = None) -> NoReturn:
        """Record a failure without which no further check can be made."""
        self.fail(name, detail, fix or error.hint, error.exit_status)
        raise Stop

    def in_order(self) -> list[Check]:
        """Return the results in the order of `CHECKS`."""
        return [self.results[name] for name in (*CHECKS, "remaining") if name in self.results]
