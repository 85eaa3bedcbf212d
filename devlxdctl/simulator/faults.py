"""Faults of real hosts that the simulator can reproduce, chosen by name when it starts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from devlxdctl.simulator.storage.model import OperationPlan


class FaultError(ValueError):
    """An unknown fault, or a fault with an invalid argument."""


@dataclass(frozen=True)
class Faults:
    """The faults of one run. Times are in seconds; 0 means never."""

    late_socket: float = 0.0
    """The socket appears this long after the start."""
    boot_500: float = 0.0
    """Every response is a 500 for this long after the first connection."""
    restart: float = 0.0
    """The daemon restarts once, this long after the start."""
    restart_down: float = 1.0
    """The daemon is down for this long during that restart."""
    refuse: bool = False
    """The daemon was killed: the socket exists and refuses connections."""
    hang: bool = False
    """Connections are accepted, requests get no response."""
    off: bool = False
    """The guest API is switched off: neither socket nor directory exists."""
    forbidden: bool = False
    """Every caller is treated as a non-root user."""
    short_image: bool = False
    """Connections are closed in the middle of an image."""
    lost_response: bool = False
    """The response to the first POST is lost: its connection is closed instead."""
    operation_seconds: float = 0.0
    """Every storage operation takes this long."""
    operation_error: str | None = None
    """Every storage operation fails with this text."""
    operation_status: int = 500
    """The HTTP status of that error."""

    def operation_plan(self) -> OperationPlan | None:
        """Return how storage operations go; None: as the guest file says."""
        if not self.operation_seconds and self.operation_error is None:
            return None
        return OperationPlan(self.operation_seconds, self.operation_error, self.operation_status)


FAULTS = {
    "late-socket": "=SECONDS: the socket appears SECONDS after the start",
    "boot-500": "=SECONDS: every response is a 500 for SECONDS after the first connection",
    "restart": "=SECONDS[,DOWN]: the daemon restarts after SECONDS and is down for DOWN seconds (1)",
    "refuse": ": the daemon was killed, the socket refuses connections",
    "hang": ": connections are accepted, requests get no response",
    "off": ": the guest API is switched off, neither socket nor directory exists",
    "forbidden": ": every response is 401",
    "short-image": ": every image is truncated in the middle",
    "lost-response": ": the connection is closed instead of the response to the first POST",
    "operation-seconds": "=SECONDS: every storage operation takes SECONDS",
    "operation-fails": "=[STATUS:]TEXT: every storage operation fails with TEXT and HTTP STATUS (500)",
}


def parse_faults(texts: Iterable[str]) -> Faults:
    """Parse texts of the form `NAME` or `NAME=ARGUMENT`; raises FaultError."""
    chosen: dict[str, float | bool | str] = {}
    for text in texts:
        name, equals, argument = text.partition("=")
        if name not in FAULTS:
            raise FaultError(f"unknown fault {name!r}; known faults: {', '.join(FAULTS)}")
        takes_argument = FAULTS[name].startswith("=")
        if takes_argument != bool(equals):
            raise FaultError(f"{name}{FAULTS[name]}")
        attribute = name.replace("-", "_")
        if not takes_argument:
            chosen[attribute] = True
            continue
        if name == "operation-fails":
            status, error = _status_and_text(argument)
            chosen |= {"operation_status": status, "operation_error": error}
            continue
        first, comma, second = argument.partition(",")
        chosen[attribute] = _seconds(name, first)
        if comma:
            if name != "restart":
                raise FaultError(f"{name}{FAULTS[name]}")
            chosen["restart_down"] = _seconds(name, second)
    return Faults(**chosen)  # type: ignore[arg-type]  # types match by construction


def _status_and_text(argument: str) -> tuple[int, str]:
    status, colon, text = argument.partition(":")
    if not colon or not re.fullmatch(r"[45][0-9][0-9]", status):
        status, text = "500", argument
    if not text:
        raise FaultError(f"operation-fails{FAULTS['operation-fails']}")
    return int(status), text


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise FaultError(f"{name}: not a number of seconds: {text!r}")
    return seconds
