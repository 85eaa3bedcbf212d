"""The log on stderr: text of the host cannot control the terminal, beside a progress bar neither."""

from __future__ import annotations

import io
import logging
import os
import pty
import sys
from collections.abc import Iterator

import pytest
from rich.console import Console

from devlxdctl.cli.output.logs import enable_log, log_above_progress
from devlxdctl.cli.output.progress import progress_line
from devlxdctl.cli.output.stdio import print_error

UNSAFE = "a\x1b[2Jb\x9b2Jc\u202ed"
SAFE = r"a\x1b[2Jb\xc2\x9b2Jc\xe2\x80\xaed"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """The logger of the library, whose settings are restored after the test."""
    logger = logging.getLogger("devlxdctl")
    before = (logger.handlers, logger.propagate, logger.level)
    yield logger
    logger.handlers, logger.propagate = before[:2]
    logger.setLevel(before[2])


def test_error_and_log_have_no_unsafe_character(
    logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    enable_log(verbose=False)
    logger.warning("%s", UNSAFE)
    print_error(UNSAFE)
    assert capfd.readouterr() == ("", f"devlxdctl: {SAFE}\n{SAFE}\n")


def test_log_above_a_progress_bar_has_no_unsafe_character(logger: logging.Logger) -> None:
    screen = io.StringIO()
    with log_above_progress(Console(file=screen, force_terminal=True, color_system=None, width=200)):
        logger.warning("%s", UNSAFE)
    assert screen.getvalue() == f"devlxdctl: {SAFE}\n"


def test_progress_line_has_no_unsafe_character(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, terminal = pty.openpty()
    try:
        with os.fdopen(terminal, "w") as stderr:
            monkeypatch.setattr(sys, "stderr", stderr)
            with progress_line(UNSAFE, quiet=False):
                pass
            stderr.flush()
            shown = os.read(controller, 65536).decode()
    finally:
        os.close(controller)
    assert SAFE in shown
    assert not {"\x1b[2J", "\x9b", "\u202e"} & {
        shown[at : at + size] for at in range(len(shown)) for size in (1, 4)
    }
