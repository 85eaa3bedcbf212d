"""`as_completed` and `map_parallel`: how many calls run at a time, and what an error ends."""

from __future__ import annotations

import string
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from devlxdctl.http.parallel import as_completed, map_parallel

TIMEOUT = 60.0  # seconds until a test that waits for a call fails


def join_readers() -> None:
    """Wait until all threads that make calls have ended."""
    for thread in threading.enumerate():
        if thread.name == "devlxd-read":
            thread.join(TIMEOUT)
            assert not thread.is_alive()


@pytest.mark.parametrize("number", [20, 300])
def test_two_of_many_calls_run_at_a_time(number: int) -> None:
    barrier = threading.Barrier(2)
    lock = threading.Lock()
    running = most = 0

    def double(item: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait(TIMEOUT)
        with lock:
            running -= 1
        return 2 * item

    assert map_parallel(double, range(number)) == [2 * item for item in range(number)]
    assert most == 2
    join_readers()


@pytest.mark.parametrize("number", [0, 1, 19])
def test_few_calls_are_made_without_a_thread(number: int) -> None:
    threads = map_parallel(lambda item: threading.current_thread(), range(number))
    assert threads == [threading.current_thread()] * number


def test_results_are_yielded_in_the_order_in_which_calls_complete() -> None:
    are_others_read = threading.Event()

    def call(item: str) -> str:
        if item == "slow":
            assert are_others_read.wait(TIMEOUT)
        return item.upper()

    others = string.ascii_lowercase
    results = as_completed(call, ["slow", *others])
    assert [next(results) for _ in others] == [(each, each.upper()) for each in others]
    are_others_read.set()
    assert list(results) == [("slow", "SLOW")]


@pytest.fixture
def may_end() -> Iterator[threading.Event]:
    """Lets the calls of a test end, at the latest when it is over."""
    event = threading.Event()
    yield event
    event.set()
    join_readers()


def test_first_error_is_raised_while_another_call_runs_and_ends_the_rest(may_end: threading.Event) -> None:
    begun: list[int] = []
    barrier = threading.Barrier(2)

    def call(item: int) -> None:
        begun.append(item)
        barrier.wait(TIMEOUT)
        if item == 0:
            raise ValueError("the first error")
        may_end.wait(TIMEOUT)

    with pytest.raises(ValueError, match="the first error"):
        map_parallel(call, range(20))
    assert not may_end.is_set()
    may_end.set()
    join_readers()
    assert sorted(begun) == [0, 1]


def test_reader_that_stops_early_ends_the_calls_that_have_not_begun(may_end: threading.Event) -> None:
    begun: list[int] = []

    def call(item: int) -> None:
        begun.append(item)
        if item:
            may_end.wait(TIMEOUT)

    results = as_completed(call, range(50))
    assert next(results) == (0, None)
    results.close()  # type: ignore[attr-defined]  # a generator
    may_end.set()
    join_readers()
    assert len(begun) <= 3


@pytest.mark.parametrize("possible", [0, 1])
def test_all_calls_are_made_where_not_all_threads_can_be_started(
    possible: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    left = possible

    def start_some(thread: threading.Thread) -> None:
        nonlocal left
        if not left:
            raise RuntimeError("can't start new thread")
        left -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    assert map_parallel(str, range(50)) == [str(item) for item in range(50)]
    join_readers()


def test_call_that_hangs_does_not_keep_the_process() -> None:
    code = (
        "import threading; from devlxdctl.http.parallel import map_parallel\n"
        "def call(item):\n"
        "    if item: threading.Event().wait()\n"
        "    raise ValueError('the error')\n"
        "map_parallel(call, range(20))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.endswith(b"ValueError: the error\n")
