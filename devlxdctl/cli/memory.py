"""Memory of commands that run for long."""

from __future__ import annotations

import gc
from typing import Final

_THRESHOLD: Final = 700  # the default of Python


def collect_garbage_often() -> None:
    """Undo what the program does for a fast start, so that memory stays flat over months.

    A short command ends before collecting garbage pays. In one that stays, each attempt to reach a host that
    restarts leaves some: without this, up to 20 MB. What exists by now stays, and is not looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_THRESHOLD)
