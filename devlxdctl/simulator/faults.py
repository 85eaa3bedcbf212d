"""What can go wrong with a real host, chosen by name when the simulator starts."""

from collections.abc import Iterable
from dataclasses import dataclass


class FaultError(ValueError):
    """A fault that does not exist or whose argument makes no sense."""


@dataclass(frozen=True)
class Faults:
    """The faults of one run. Times are seconds, 0 is never."""

    late_socket: float = 0.0
    """The socket appears so long after the start."""
    boot_500: float = 0.0
    """From the first connection on every answer is a 500 for so long."""
    restart: float = 0.0
    """The daemon restarts once, so long after the start."""
    restart_down: float = 1.0
    """For so long it is down then."""
    refuse: bool = False
    """The daemon was killed: the socket is there and refuses connections."""
    hang: bool = False
    """Connections are accepted and never answered."""
    off: bool = False
    """The guest API is switched off: neither socket nor directory."""
    forbidden: bool = False
    """Every caller counts as an ordinary user."""
    short_image: bool = False
    """Connections break off in the middle of an image."""


FAULTS = {
    "late-socket": "=S: the socket appears S seconds after the start",
    "boot-500": "=S: every answer is a 500 for S seconds from the first connection on",
    "restart": "=S[,DOWN]: the daemon restarts after S seconds and is down for DOWN (1)",
    "refuse": ": the daemon was killed, the socket refuses connections",
    "hang": ": connections are accepted and never answered",
    "off": ": the guest API is switched off, there is neither socket nor directory",
    "forbidden": ": 401 for everyone",
    "short-image": ": every answer with an image breaks off at its half",
}


def parse_faults(texts: Iterable[str]) -> Faults:
    """Read `NAME` and `NAME=ARG` texts; raises FaultError."""
    chosen: dict[str, float | bool] = {}
    for text in texts:
        name, given, argument = text.partition("=")
        if name not in FAULTS:
            raise FaultError(f"unknown fault {name!r}; there are {', '.join(FAULTS)}")
        timed = FAULTS[name].startswith("=")
        if timed != bool(given):
            raise FaultError(f"{name}{FAULTS[name]}")
        attribute = name.replace("-", "_")
        if not timed:
            chosen[attribute] = True
            continue
        first, more, second = argument.partition(",")
        chosen[attribute] = _seconds(name, first)
        if more:
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
        raise FaultError(f"{name}: {text!r} is not a number of seconds")
    return seconds
