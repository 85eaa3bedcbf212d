"""INT, TERM and HUP for commands that have to clean up."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

from devlxdctl import AtomicFiles

TERMINATING_SIGNALS: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_RETRY: Final = 0.001
"""Seconds until an exception is raised again that was lost."""


class Interrupted(BaseException):
    """A signal that ends the process was received: `number`. Commands do not catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def raise_again(
    kind: type[BaseException], handler: Callable[[int, FrameType | None], object]
) -> Iterator[None]:
    """During the block, an exception of `kind` that was lost is raised again by `handler`, at SIGALRM.

    A signal handler can raise it in a destructor or in the callback of a weak reference, and each import has
    such a callback. There, Python prints an exception and ignores it. Here, it is not printed.
    """

    def retry(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is kind:
            signal.signal(signal.SIGALRM, alarm)
            signal.setitimer(signal.ITIMER_REAL, _RETRY)
        else:
            hook(unraisable)

    def alarm(number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code is retry.__code__:  # it would be lost again
            signal.setitimer(signal.ITIMER_REAL, _RETRY)
        else:
            handler(number, frame)

    hook = sys.unraisablehook
    sys.unraisablehook = retry
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook


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
        interrupt_again(number, frame)

    def interrupt_again(number: int, frame: FrameType | None) -> None:
        if AtomicFiles.is_interruptible(frame):
            raise Interrupted(received[0])

    current = {each: signal.getsignal(each) for each in TERMINATING_SIGNALS}
    handlers = {each: handler for each, handler in current.items() if handler is not signal.SIG_IGN}
    with raise_again(Interrupted, interrupt_again):
        try:
            for each in handlers:
                signal.signal(each, interrupt)
            yield
        finally:
            if received:
                # It was not raised while files were published. The signals stay ignored until the end.
                raise Interrupted(received[0])
            for each, handler in handlers.items():
                signal.signal(each, handler)


def die_by_signal(number: int) -> NoReturn:
    """End this process by the signal that ended its work, so that its parent sees the same."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise AssertionError("a signal with its default action ends the process")
