"""INT, TERM and HUP for commands that have something to clean up."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

from devlxdctl.files import SETTLING

ENDING: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """One of the signals that end a process came; `number` says which. Not to be caught by commands."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def cleaning_up() -> Iterator[None]:
    """While it lasts, a signal that ends the process raises `Interrupted` instead, once.

    What is left of the block can then clean up undisturbed; the root group ends the process by that signal.
    Where files are just taking their names, or are being removed, that is done first. A signal that is
    ignored, as under nohup, stays so. For the main thread.
    """

    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        if received:  # the next one came before they were ignored
            return
        received.append(number)
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        if not _settling(frame):
            raise Interrupted(number)

    handlers = {each: signal.getsignal(each) for each in ENDING}
    before = {each: handler for each, handler in handlers.items() if handler is not signal.SIG_IGN}
    try:
        for each in before:
            signal.signal(each, interrupt)
        yield
    finally:
        if received:
            # Or again: what is raised in a destructor is lost. They stay ignored, only the end is to come.
            raise Interrupted(received[0])
        for each, handler in before.items():
            signal.signal(each, handler)


def _settling(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code not in SETTLING:
        frame = frame.f_back
    return frame is not None


def die_by(number: int) -> NoReturn:
    """Ends this process by the signal that ended its work, so that who started it sees the same."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise AssertionError("a signal with its default action ends the process")
