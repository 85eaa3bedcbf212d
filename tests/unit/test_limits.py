"""`LimitedSocket`: limits on the time spent waiting for a number of bytes, and on their number."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from devlxdctl.http.limits import MIN_RATE, LimitedSocket


@pytest.fixture
def connected() -> Iterator[tuple[LimitedSocket, socket.socket]]:
    """A limited socket and its peer."""
    limited = LimitedSocket()
    with limited, socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen(1)
        limited.connect(listener.getsockname())
        peer, _ = listener.accept()
        with peer:
            yield limited, peer


def test_time_between_reads_does_not_count_as_waiting(
    connected: tuple[LimitedSocket, socket.socket],
) -> None:
    limited, peer = connected
    limited.settimeout(0.2)
    for _ in range(3):
        peer.sendall(b"x" * MIN_RATE)
        time.sleep(0.3)  # the reader is slow, not the peer
        assert limited.recv(MIN_RATE) == b"x" * MIN_RATE


def test_timeout_is_for_all_bytes_together(connected: tuple[LimitedSocket, socket.socket]) -> None:
    """A peer that sends a byte every 50 ms never exceeds a timeout between two bytes."""
    limited, peer = connected
    limited.settimeout(1)
    is_over = threading.Event()

    def send() -> None:
        while not is_over.wait(0.05):
            peer.sendall(b"x")

    sender = threading.Thread(target=send)
    sender.start()
    try:
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                limited.recv(1)
    finally:
        is_over.set()
        sender.join()


def test_more_bytes_than_the_limit_are_an_error(connected: tuple[LimitedSocket, socket.socket]) -> None:
    limited, peer = connected
    limited.reset_limits(100)
    peer.sendall(b"x" * 150)
    assert limited.recv(100) == b"x" * 100
    with pytest.raises(OSError, match="response too large") as caught:
        limited.recv(100)
    assert caught.value.errno == errno.EMSGSIZE
