"""`LimitedSocket`: limits on the time spent waiting for a number of bytes, and on their number."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException

import pytest

from devlxdctl.http.limits import MAX_FRAMING, MAX_HEAD, MIN_RATE, LimitedResponse, LimitedSocket
from devlxdctl.http.streaming import MAX_BODY
from tests.support.program import REPOSITORY
from tests.support.raw_host import chunked_response


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


def test_new_socket_has_not_waited_yet(connected: tuple[LimitedSocket, socket.socket]) -> None:
    limited, peer = connected
    limited.settimeout(0.9)
    peer.sendall(b"x")
    assert limited.recv(1) == b"x"


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


def wait_for_pieces(limited: LimitedSocket, peer: socket.socket, size: int) -> int:
    """Read pieces of `size` bytes that arrive late, until 0.3 s were spent waiting. Return their bytes."""
    is_reading, is_over = threading.Event(), threading.Event()

    def send() -> None:
        while is_reading.wait(60) and not is_over.is_set():
            is_reading.clear()
            is_over.wait(0.02)
            peer.sendall(b"x" * size)

    sender = threading.Thread(target=send)
    sender.start()
    received, waited = 0, 0.0
    try:
        while waited < 0.3:
            start = time.monotonic()
            is_reading.set()
            left = size
            while left:
                left -= len(limited.recv(left))
            waited += time.monotonic() - start
            received += size
    finally:
        is_over.set()
        is_reading.set()
        sender.join()
    return received


@pytest.mark.parametrize(
    ("size", "min_rate", "is_framing", "is_too_slow"),
    [
        (1, MIN_RATE, False, True),
        (1, 0, False, False),
        (4 * MIN_RATE, MIN_RATE, False, False),
        (MIN_RATE, MIN_RATE, True, True),
    ],
    ids=["slow", "slow, without a rate", "fast", "fast, without a body"],
)
def test_wait_beyond_the_timeout_is_an_error_unless_enough_of_the_body_arrives(
    size: int,
    min_rate: int,
    is_framing: bool,
    is_too_slow: bool,
    connected: tuple[LimitedSocket, socket.socket],
) -> None:
    limited, peer = connected
    limited.reset_limits(min_rate=min_rate)
    received = wait_for_pieces(limited, peer, size)
    if is_framing:
        limited.count_framing(received)
    limited.settimeout(0.1)
    peer.sendall(b"end")
    if is_too_slow:
        with pytest.raises(TimeoutError, match="response too slow"):
            limited.recv(3)
        limited.reset_limits()
        peer.sendall(b"end")
    assert limited.recv(3) == b"end"


def test_more_bytes_than_the_limit_are_an_error(connected: tuple[LimitedSocket, socket.socket]) -> None:
    limited, peer = connected
    limited.reset_limits(100)
    peer.sendall(b"x" * 101)
    assert limited.recv(100) == b"x" * 100
    with pytest.raises(OSError, match="response too large") as caught:
        limited.recv(1)
    assert caught.value.errno == errno.EMSGSIZE


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("excess", [0, 1])
def test_head_with_its_interim_responses_has_a_limit(
    excess: int, connected: tuple[LimitedSocket, socket.socket]
) -> None:
    limited, peer = connected
    interim = INTERIM * ((MAX_HEAD - len(EMPTY)) // len(INTERIM) - 1)
    rest = MAX_HEAD - len(EMPTY) - len(interim) + excess
    interim += INTERIM.replace(b"Continue", b"Continue" + b"!" * (rest - len(INTERIM)))

    def send() -> None:
        with contextlib.suppress(OSError):  # the response was rejected
            peer.sendall(interim + EMPTY)

    threading.Thread(target=send, daemon=True).start()
    with contextlib.closing(LimitedResponse(limited)) as response:
        if excess:
            with pytest.raises(OSError, match="response too large") as caught:
                response.begin()
            assert caught.value.errno == errno.EMSGSIZE
        else:
            response.begin()
            assert (response.status, response.read()) == (200, b"")


def test_framing_that_arrives_with_the_head_is_accepted_up_to_its_limit() -> None:
    with LimitedSocket() as limited:
        limited.reset_limits()
        limited.count_framing(MAX_FRAMING)
        with pytest.raises(HTTPException, match="too many bytes of chunk headers or trailers"):
            limited.count_framing(1)


def test_framing_may_exceed_its_limit_by_as_many_bytes_as_the_body_has(
    connected: tuple[LimitedSocket, socket.socket],
) -> None:
    limited, peer = connected
    body, framing = 100, MAX_FRAMING + 100
    peer.sendall(b"x" * (body + framing))
    rest = body + framing
    while rest:
        rest -= len(limited.recv(rest))
    limited.count_framing(framing)
    with pytest.raises(HTTPException, match="too many bytes of chunk headers or trailers"):
        limited.count_framing(1)


ONE_BYTE_CHUNKS = (MAX_FRAMING - 5) // 5
"""Chunks of one byte that a response can have. Each has 5 bytes besides, as has the end of the body."""


def test_every_byte_of_chunk_headers_counts_as_framing(
    connected: tuple[LimitedSocket, socket.socket],
) -> None:
    limited, peer = connected
    peer.sendall(chunked_response(*[(b"1", b"x")] * ONE_BYTE_CHUNKS))
    response = LimitedResponse(limited)
    response.begin()
    assert response.read() == b"x" * ONE_BYTE_CHUNKS
    response.close()
    peer.sendall(chunked_response(*[(b"1", b"x")] * (ONE_BYTE_CHUNKS + 1)))
    response = LimitedResponse(limited)
    response.begin()
    with pytest.raises(HTTPException, match="too many bytes of chunk headers or trailers"):
        response.read()
    response.close()


def test_limits_are_those_that_the_security_policy_names() -> None:
    text = (REPOSITORY / "SECURITY.md").read_text()
    assert f"less than {MIN_RATE / 1024:.9g} KiB/s" in text
    assert f"a head of more than {MAX_HEAD / 1024**2:.9g} MiB" in text
    assert f"a body of more than {MAX_BODY / 1024**2:.9g} MiB" in text
    assert f"are limited, for `query` too: {MAX_FRAMING / 1024:.9g} KiB besides" in text
