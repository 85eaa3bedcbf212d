"""Several requests at a time, over all connections of the session."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from devlxdctl.http.session import MAX_CONNECTIONS

_T = TypeVar("_T")
_R = TypeVar("_R")


def as_completed(function: Callable[[_T], _R], items: Sequence[_T]) -> Iterator[tuple[_T, _R]]:
    """Yield each of `items` with `function` of it, in the order in which they complete.

    Raises the first error, without waiting for calls that still run. Where no thread can be started, the
    calls are made one after the other.
    """
    if len(items) < 2:
        yield from ((item, function(item)) for item in items)
        return
    # Not concurrent.futures: its futures take a tenth of the time of a request, and its import is slow.
    pending = deque(items)
    results: SimpleQueue[tuple[_T, _R] | BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            while True:
                try:
                    item = pending.popleft()
                except IndexError:
                    break
                results.put((item, function(item)))
            results.put(None)
        except BaseException as error:  # raised in the thread of the caller
            results.put(error)

    running = 0
    try:
        for _ in range(min(MAX_CONNECTIONS, len(items))):
            try:
                Thread(target=work, name="devlxd-read", daemon=True).start()
            except RuntimeError:  # no more threads can be started
                break
            running += 1
        if not running:
            work()
            running = 1
        while running:
            result = results.get()
            if result is None:
                running -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                yield result
    finally:
        pending.clear()


def map_parallel(function: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    """Return `function` of each of `items`, in order. The items are hashable and differ."""
    results = dict(as_completed(function, items))
    return [results[item] for item in items]
