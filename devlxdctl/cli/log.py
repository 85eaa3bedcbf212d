"""The library's log on stderr: warnings always, waiting only for people, every request with `--verbose`."""

from __future__ import annotations

import logging
import sys

from devlxdctl.cli.render import say


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
