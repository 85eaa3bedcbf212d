"""The log of the library on stderr: warnings always, waiting on terminals only, requests with `--verbose`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from devlxdctl.cli.output.colors import STYLES
from devlxdctl.cli.output.stdio import escape, print_error

if TYPE_CHECKING:
    from rich.console import Console


class _StderrHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print_error(f"devlxdctl: {record.getMessage()}", _meaning(record))


def _meaning(record: logging.LogRecord) -> str:
    return "warning" if record.levelno >= logging.WARNING else "log"


def enable_log(verbose: bool) -> None:
    """Print the log of the library to stderr from now on, one line per record."""
    logger = logging.getLogger("devlxdctl")
    logger.handlers = [_StderrHandler()]
    logger.propagate = False
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    logger.setLevel(logging.DEBUG if verbose else logging.INFO if is_terminal else logging.WARNING)


@contextmanager
def log_above_progress(console: Console) -> Iterator[None]:
    """Print the log to `console` during the block, so that it appears above a progress bar."""
    from rich.text import Text

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            prefix = ("devlxdctl:", STYLES[_meaning(record)])
            console.print(Text.assemble(prefix, escape(f" {record.getMessage()}")))

    logger = logging.getLogger("devlxdctl")
    handlers, logger.handlers = logger.handlers, [Handler()]
    try:
        yield
    finally:
        logger.handlers = handlers
