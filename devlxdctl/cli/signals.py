"""INT, TERM and HUP for commands that have to clean up."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

from devlxdctl import AtomicFiles

TERMINATING_SIGNALS: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal that ends the process was received: `number`. Commands do not catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def raise_on_signals() -> Iterator[None]:
    """During the block, a signal that ends the process raises `Interrupted` instead, once.

    The rest of the block can then clean up without another interruption, and the root group ends the process
    by that signal. While files are published or removed, that is finished first. A signal that is ignored, as
    with nohup, stays ignored. Only for the main thread.
    """

    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        if received:  # another signal arrived before they were ignored
            return
        received.append(number)
        for each in handlers:
            signal.signal(each, signal.SIG_IGN)
        if AtomicFiles.is_interruptible(frame):
            raise Interrupted(number)

    current = {each: signal.getsignal(each) for each in TERMINATING_SIGNALS}
    handlers = {each: handler for each, handler in current.items() if handler is not signal.SIG_IGN}
    try:
        for each in handlers:
            signal.signal(each, interrupt)
        yield
    finally:
        if received:
            # Raised again, since an exception in a destructor is lost. The signals stay ignored until the
            # end.
            raise Interrupted(received[0])
        for each, handler in handlers.items():
            signal.signal(each, handler)


def die_by_signal(number: int) -> NoReturn:
    """End this process by the signal that ended its work, so that its parent sees the same."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise AssertionError("a signal with its default action ends the process")
