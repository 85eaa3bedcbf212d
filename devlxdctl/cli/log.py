"""The library's log on stderr: warnings always, waiting only for people, every request with `--verbose`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from devlxdctl.cli.streams import clean, say

if TYPE_CHECKING:
    from rich.console import Console


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"devlxdctl: {record.getMessage()}")


def show_log(verbose: bool) -> None:
    """Lets the library's log appear on stderr from now on, each record on a line."""
    log = logging.getLogger("devlxdctl")
    log.handlers = [_Handler()]
    log.propagate = False
    terminal = sys.stderr is not None and sys.stderr.isatty()
    log.setLevel(logging.DEBUG if verbose else logging.INFO if terminal else logging.WARNING)


@contextmanager
def log_above(console: Console) -> Iterator[None]:
    """While it lasts, the log goes to `console`, where a bar of its own moves on below each record."""
    from rich.text import Text

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            console.print(Text(clean(f"devlxdctl: {record.getMessage()}")))

    log = logging.getLogger("devlxdctl")
    handlers, log.handlers = log.handlers, [Handler()]
    try:
        yield
    finally:
        log.handlers = handlers
