"""A devLXD host to develop and test against where there is no LXD and no Incus."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devlxdctl.simulator.simulator import Simulator as Simulator

__all__ = ["Simulator"]


def __getattr__(name: str) -> object:
    # Late, so that the command can say in one line that aiohttp is missing.
    if name == "Simulator":
        from devlxdctl.simulator.simulator import Simulator

        return Simulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
