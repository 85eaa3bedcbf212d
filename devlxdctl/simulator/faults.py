"""Faults of real hosts that the simulator can reproduce, chosen by name when it starts."""

from collections.abc import Iterable
from dataclasses import dataclass


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


FAULTS = {
    "late-socket": "=SECONDS: the socket appears SECONDS after the start",
    "boot-500": "=SECONDS: every response is a 500 for SECONDS after the first connection",
    "restart": "=SECONDS[,DOWN]: the daemon restarts after SECONDS and is down for DOWN seconds (1)",
    "refuse": ": the daemon was killed, the socket refuses connections",
    "hang": ": connections are accepted, requests get no response",
    "off": ": the guest API is switched off, neither socket nor directory exists",
    "forbidden": ": every response is 401",
    "short-image": ": every image is truncated in the middle",
}


def parse_faults(texts: Iterable[str]) -> Faults:
    """Parse texts of the form `NAME` or `NAME=ARGUMENT`; raises FaultError."""
    chosen: dict[str, float | bool] = {}
    for text in texts:
        name, equals, argument = text.partition("=")
        if name not in FAULTS:
            raise FaultError(f"unknown fault {name!r}; known faults: {', '.join(FAULTS)}")
        timed = FAULTS[name].startswith("=")
        if timed != bool(equals):
            raise FaultError(f"{name}{FAULTS[name]}")
        attribute = name.replace("-", "_")
        if not timed:
            chosen[attribute] = True
            continue
        first, comma, second = argument.partition(",")
        chosen[attribute] = _seconds(name, first)
        if comma:
            if name != "restart":
                raise FaultError(f"{name}{FAULTS[name]}")
            chosen["restart_down"] = _seconds(name, second)
    return Faults(**chosen)  # type: ignore[arg-type]  # floats and bools by construction


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise FaultError(f"{name}: not a number of seconds: {text!r}")
    return seconds
