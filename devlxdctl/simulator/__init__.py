"""A simulated devLXD host, for development and tests without LXD or Incus."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devlxdctl.simulator.simulator import Simulator as Simulator

__all__ = ["Simulator"]


def __getattr__(name: str) -> object:
    # Imported late, so that the command can report a missing aiohttp in one line.
    if name == "Simulator":
        from devlxdctl.simulator.simulator import Simulator

        return Simulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
