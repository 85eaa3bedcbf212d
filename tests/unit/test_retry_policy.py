"""`RetryPolicy` alone: which errors are retried, and how long the pauses are."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator

import pytest

from devlxdctl import (
    BadData,
    Conflict,
    DevLXDError,
    HostUnavailable,
    InvalidRequest,
    NoDevLXD,
    NotFound,
    NotSupported,
    PermissionDenied,
    TimedOut,
    UnexpectedResponse,
)
from devlxdctl.http.endpoints import OPERATION_WAIT, STATE, Endpoint
from devlxdctl.http.messages import Request
from devlxdctl.http.retry import RetryPolicy

FINAL: list[tuple[DevLXDError, Endpoint]] = [
    (BadData("file", "is empty"), STATE),
    (Conflict("/1.0", "HTTP status 409", http_status=409), STATE),
    (InvalidRequest("/1.0", "not a valid name"), STATE),
    (NotFound("/1.0", "no such object", http_status=404), STATE),
    (NotSupported("/1.0", "not supported by this host", http_status=404), STATE),
    (PermissionDenied("/1.0", "permission denied", http_status=401), STATE),
    (PermissionDenied("/1.0", "permission denied", http_status=403), STATE),
    (UnexpectedResponse("/1.0", "response is not valid JSON", http_status=200), STATE),
    (HostUnavailable("/1.0", "HTTP status 500", http_status=500), OPERATION_WAIT),
]
"""Errors that no time changes. Status 500 is one where it does not mean a restart."""


class Failure:
    """An attempt that fails `times` times with `error`, and then returns its number."""

    def __init__(self, error: DevLXDError, times: float = math.inf) -> None:
        self.error = error
        self.times = times
        self.attempts = 0

    def __call__(self, request: Request) -> int:
        self.attempts += 1
        if self.attempts <= self.times:
            raise self.error
        return self.attempts


@pytest.mark.parametrize("wait", [None, 60, math.inf])
@pytest.mark.parametrize(("error", "endpoint"), FINAL, ids=lambda each: type(each).__name__)
def test_final_error_is_raised_at_once(error: DevLXDError, endpoint: Endpoint, wait: float | None) -> None:
    failure = Failure(error)
    with pytest.raises(type(error)) as caught:
        RetryPolicy(wait).run(failure, Request("GET", "/1.0", endpoint))
    assert caught.value is error
    assert failure.attempts == 1


def test_pauses_between_retries_grow_to_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    policy = RetryPolicy(math.inf)
    failure = Failure(HostUnavailable("/1.0", "HTTP status 503", http_status=503), 7)
    assert policy.run(failure, Request("GET", "/1.0", STATE)) == 8
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5, 0.5]
    assert policy.retries == 7


def test_request_that_is_not_idempotent_is_not_sent_again() -> None:
    failure = Failure(HostUnavailable("/1.0", "HTTP status 503", http_status=503))
    with pytest.raises(HostUnavailable) as caught:
        RetryPolicy(math.inf).run(failure, Request("POST", "/1.0", STATE, idempotent=False))
    assert (str(caught.value), failure.attempts) == ("/1.0: HTTP status 503", 1)


def in_turn(*errors: DevLXDError) -> Callable[[Request], str]:
    """An attempt that raises one error after the other, and then succeeds."""
    left = list(errors)

    def attempt(request: Request) -> str:
        if left:
            raise left.pop(0)
        return "response"

    return attempt


def is_retried(policy: RetryPolicy, request: Request, *errors: DevLXDError) -> bool:
    """Whether the last of `errors` is retried, as those before it are."""
    try:
        return policy.run(in_turn(*errors), request) == "response"
    except DevLXDError as error:
        assert error is errors[-1]
        return False


@pytest.mark.parametrize(("status", "expected"), [(401, False), (403, True)])
def test_403_is_retried_after_the_socket_was_missing(status: int, expected: bool) -> None:
    """A host that switches the API on creates the socket shortly before it accepts requests."""
    missing = NoDevLXD("/tmp/sock", "no such socket")
    missing.__cause__ = FileNotFoundError()
    denied = PermissionDenied("/1.0", "permission denied", http_status=status)
    request = Request("GET", "/1.0", STATE)
    assert is_retried(RetryPolicy(60), request, missing, denied) is expected


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], float]]:
    """A monotonic clock that only pauses advance. It starts at 0."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        patch.setattr(time, "sleep", sleep)
        yield lambda: now


@pytest.mark.parametrize(
    ("wait", "timeout", "kind", "suffix"),
    [
        (None, None, HostUnavailable, "tried for 10 s"),
        (None, 60, HostUnavailable, "tried for 10 s"),
        (20, 60, TimedOut, "waited 20 s"),
        (20, 1 / 3, TimedOut, "waited 0.33 s"),
    ],
)
def test_final_error_says_how_long_requests_were_retried(
    wait: float | None,
    timeout: float | None,
    kind: type[DevLXDError],
    suffix: str,
    clock: Callable[[], float],
) -> None:
    failure = Failure(HostUnavailable("/1.0", "HTTP status 503", http_status=503))
    with pytest.raises(DevLXDError) as caught:
        RetryPolicy(wait, timeout=timeout).run(failure, Request("GET", "/1.0", STATE))
    assert (type(caught.value), str(caught.value)) == (kind, f"/1.0: HTTP status 503; {suffix}")


@pytest.mark.parametrize("is_forever", [False, True])
def test_ten_seconds_are_no_limit_after_retry_forever(is_forever: bool, clock: Callable[[], float]) -> None:
    policy = RetryPolicy()
    if is_forever:
        policy.retry_forever()
    error = HostUnavailable("/1.0", "HTTP status 503", hint="start it", http_status=503)
    failure = Failure(error, 1000)
    request = Request("GET", "/1.0", STATE)
    if is_forever:
        assert policy.run(failure, request) == 1001
        assert clock() > 400
    else:
        with pytest.raises(HostUnavailable, match="HTTP status 503; tried for 10 s") as caught:
            policy.run(failure, request)
        assert (caught.value.hint, caught.value.http_status) == ("start it", 503)


@pytest.mark.parametrize(
    ("cause", "expected"),
    [(ConnectionRefusedError(), True), (ConnectionResetError(), False), (None, False)],
)
def test_request_that_is_not_idempotent_is_retried_if_it_was_not_sent(
    cause: OSError | None, expected: bool
) -> None:
    error = HostUnavailable("/dev/lxd/sock", "unavailable")
    error.__cause__ = cause
    request = Request("POST", "/1.0", STATE, idempotent=False)
    assert is_retried(RetryPolicy(), request, error) is expected


@pytest.mark.parametrize(("user", "expected"), [(0, True), (1000, False)])
def test_socket_that_root_may_not_use_yet_is_retried(
    user: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LXD and Incus create the socket of a container, and only then change its mode."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    error = PermissionDenied("/dev/lxd/sock", "permission denied")
    request = Request("GET", "/1.0", STATE)
    assert is_retried(RetryPolicy(), request, error) is expected
