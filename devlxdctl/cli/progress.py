"""A progress bar on stderr, for people: nothing where stderr is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_REFRESH: Final = 0.1  # seconds


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    """A function that shows how many bytes are done, and of how many: None means that nobody knows.

    None instead of it where nothing is to be shown. The bar goes when the block ends.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        FileSizeColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from devlxdctl.cli.log import log_above

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    known = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(compact=True))
    bar: Progress | None = None
    shown = 0.0

    def show(done: int, total: int | None) -> None:
        nonlocal bar, shown
        now = time.monotonic()
        if now - shown < _REFRESH:
            return
        if bar is None:
            columns = known if total is not None else (FileSizeColumn(), TransferSpeedColumn())
            # Without a thread of its own: that would draw while this one cleans up.
            bar = Progress(*columns, console=console, auto_refresh=False, transient=True)
            bar.add_task("", total=total)
            bar.start()
        bar.update(bar.task_ids[0], completed=done, refresh=True)
        shown = now

    try:
        with log_above(console):
            yield show
    finally:
        if bar is not None:
            bar.stop()
