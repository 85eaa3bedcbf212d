"""A progress bar or line on stderr, if that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from devlxdctl.cli.output.colors import STYLES, uses_color

if TYPE_CHECKING:
    from rich.console import Console

_REFRESH_INTERVAL: Final = 0.1  # seconds
_BAR_WIDTH: Final = 40
_FIGURES_WIDTH: Final = len(" 1000.0/1000.0 MB 100.0 MB/s 00:00")
"""Columns of the terminal that the figures beside the bar take. rich would wrap them on a narrow terminal."""


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    """Yield a function that shows the bytes so far and the size, None where it is unknown.

    Yields None where no bar is wanted or possible. The bar disappears at the end of the block.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        FileSizeColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from devlxdctl.cli.output.logs import log_above_progress

    console = _console()
    bar_width = max(min(_BAR_WIDTH, console.width - _FIGURES_WIDTH), 1)
    known_size = (
        BarColumn(bar_width),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    bar: Progress | None = None
    refreshed = 0.0

    def show(done: int, total: int | None) -> None:
        nonlocal bar, refreshed
        now = time.monotonic()
        if now - refreshed < _REFRESH_INTERVAL:
            return
        if bar is None:
            columns = known_size if total is not None else (FileSizeColumn(), TransferSpeedColumn())
            # No refresh thread: it would draw while this thread cleans up.
            bar = Progress(*columns, console=console, auto_refresh=False, transient=True)
            bar.add_task("", total=total)
            bar.start()
        bar.update(bar.task_ids[0], completed=done, refresh=True)
        refreshed = now

    try:
        with log_above_progress(console):
            yield show
    finally:
        if bar is not None:
            bar.stop()


def _console() -> Console:
    """Return the terminal on stderr. What rich shows on it has one color, and not those of errors."""
    from rich.console import Console
    from rich.default_styles import DEFAULT_STYLES
    from rich.theme import Theme

    plain = {name: "" for name in DEFAULT_STYLES if name.startswith("progress.")}
    bar = dict.fromkeys(("bar.complete", "bar.finished", "bar.pulse", "progress.spinner"), STYLES["progress"])
    return Console(
        stderr=True,
        color_system="standard" if uses_color(sys.stderr) else None,
        theme=Theme({**plain, **bar, "bar.back": "dim"}),
        highlight=False,
        markup=False,
        emoji=False,
    )


@contextmanager
def progress_line(text: str, quiet: bool) -> Iterator[None]:
    """Show `text` with the time so far during the block, and remove it at its end."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from devlxdctl.cli.output.logs import log_above_progress
    from devlxdctl.cli.output.stdio import escape

    console = _console()
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    line = Progress(*columns, console=console, transient=True)
    line.add_task(escape(text), total=None)
    with log_above_progress(console), line:
        yield
