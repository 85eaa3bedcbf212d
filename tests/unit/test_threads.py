"""One client in several threads, while the host restarts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from devlxdctl import Client, DevLXDError, HostUnavailable, NoDevLXD
from devlxdctl.simulator import Simulator

THREADS = 10
RESTARTS = 4
TIMEOUT = 90.0


def read_in_threads(
    client: Client, simulator: Simulator, accept: tuple[type[DevLXDError], ...]
) -> tuple[list[int], list[BaseException]]:
    """Read values in threads while the host restarts several times.

    Each thread reads a key of its own, until it has read it after the last restart. Returns how often each
    thread read its value, and all errors except those of the classes `accept`.
    """
    deadline = time.monotonic() + TIMEOUT
    is_over = threading.Event()
    reads = [0] * THREADS
    errors: list[BaseException] = []

    def read(number: int) -> None:
        try:
            is_last = False
            while not is_last:
                assert time.monotonic() < deadline
                is_over_before = is_over.is_set()
                try:
                    assert client.config_get(f"user.k{number}") == str(number)
                    assert client.state()["state"] == "Started"
                except accept:
                    continue
                reads[number] += 1
                is_last = is_over_before
        except BaseException as error:
            errors.append(error)

    simulator.set({f"user.k{number}": str(number) for number in range(THREADS)})
    threads = [threading.Thread(target=read, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(RESTARTS):
            simulator.restart(0.1)
    finally:
        is_over.set()
        for thread in threads:
            thread.join(TIMEOUT)
    assert not any(thread.is_alive() for thread in threads)
    return reads, errors


@pytest.mark.parametrize(
    ("make_client", "accept"),
    [
        # The simulator's socket is missing during a restart, which only a client with `wait` retries.
        (Client, (HostUnavailable, NoDevLXD)),
        (lambda path: Client(path, wait=TIMEOUT), ()),
    ],
    ids=["without wait", "with wait"],
)
def test_ten_threads_with_one_client_get_their_own_values_during_restarts(
    make_client: Callable[[object], Client], accept: tuple[type[DevLXDError], ...], simulator: Simulator
) -> None:
    with make_client(simulator.path) as client:
        reads, errors = read_in_threads(client, simulator, accept)
    assert errors == []
    assert all(reads)
