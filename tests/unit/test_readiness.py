"""Reporting Ready, while the host restarts or ignores it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl import Client, HostUnavailable, NotSupported, PermissionDenied, UnexpectedResponse
from devlxdctl.simulator import Simulator
from tests.support.raw_host import OCTET_STREAM, RawHost, Script, response

READY = response(b'{"state":"Ready"}')
STARTED = response(b'{"state":"Started"}')
ACCEPTED = response(b"", OCTET_STREAM)
STARTING = response(b"starting\n", "text/plain", "500 Internal Server Error")
UNAUTHORIZED = response(b"Access denied\n", "text/plain", "401 Unauthorized")


def in_turn(*responses: bytes) -> Script:
    remaining: Iterator[bytes] = iter(responses)
    return lambda request: next(remaining)


def methods(raw_host: RawHost) -> list[bytes]:
    return [request.partition(b" ")[0] for request in raw_host.requests]


def test_set_ready_is_read_back(simulator: Simulator) -> None:
    with Client(simulator.path) as client:
        assert not client.is_ready()
        client.set_ready()
        assert client.is_ready() and simulator.ready
        client.set_ready(False)
        assert not client.is_ready() and not simulator.ready


def test_ready_lost_by_a_restart_before_the_read_back_is_reported_again(socket_directory: Path) -> None:
    script = in_turn(ACCEPTED, STARTED, ACCEPTED, READY)
    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        client.set_ready()
    assert methods(raw_host) == [b"PATCH", b"GET"] * 2
    assert raw_host.requests[0].endswith(b'\r\n\r\n{"state":"Ready"}')


def test_ready_is_read_back_twice_after_a_retry(socket_directory: Path) -> None:
    """A daemon that has just restarted accepts Ready, confirms it, and loses it a moment later."""
    script = in_turn(STARTING, ACCEPTED, READY, STARTED, ACCEPTED, READY)
    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        client.set_ready()
    assert methods(raw_host) == [b"PATCH", b"PATCH", b"GET", b"GET", b"PATCH", b"GET"]


def test_host_that_accepts_ready_without_effect_is_not_supported(socket_directory: Path) -> None:
    def script(request: bytes) -> bytes:
        return ACCEPTED if request.startswith(b"PATCH") else STARTED

    started = time.monotonic()
    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(NotSupported) as caught:
            client.set_ready()
    assert time.monotonic() - started >= 3.7  # the host gets this time
    assert str(caught.value) == "ready: the host accepted Ready, but the state did not change"
    assert caught.value.hint == "upgrade LXD on the host: this version does not support readiness"


def test_malformed_answer_to_ready_is_no_host_without_readiness(socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", response(b"Ready")) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(UnexpectedResponse):
            client.set_ready()


def test_ready_that_stays_after_a_retry_is_not_reported_again(socket_directory: Path) -> None:
    script = in_turn(STARTING, ACCEPTED, READY, READY)
    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        client.set_ready()
    assert methods(raw_host) == [b"PATCH", b"PATCH", b"GET", b"GET"]


def test_ready_that_is_lost_half_a_second_after_a_restart_is_reported_again(socket_directory: Path) -> None:
    accepted: list[float] = []
    starting = iter([STARTING])

    def script(request: bytes) -> bytes:
        if request.startswith(b"PATCH"):
            answer = next(starting, ACCEPTED)
            accepted.extend([time.monotonic()] * (answer == ACCEPTED))
            return answer
        return STARTED if len(accepted) == 1 and time.monotonic() > accepted[0] + 0.5 else READY

    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        client.set_ready()
    assert len(accepted) == 2


def test_ready_is_verified_after_a_restart_during_an_earlier_attempt(socket_directory: Path) -> None:
    script = in_turn(STARTING, ACCEPTED, STARTED, ACCEPTED, READY, STARTED, ACCEPTED, READY)
    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        client.set_ready()
    assert len(raw_host.requests) == 8


def test_ready_that_was_seen_and_lost_is_no_host_without_readiness(
    socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devlxdctl.events.readiness._PAUSES", (0.01,))
    once = (STARTING, ACCEPTED, STARTED)
    # The first of each two attempts has a retry. The second sees Ready and loses it.
    script = in_turn(*(*once, ACCEPTED, READY, STARTED) * 3, ACCEPTED, READY)
    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        client.set_ready()
    assert len(raw_host.requests) == 20


def test_one_restart_does_not_hide_that_the_host_ignores_ready(socket_directory: Path) -> None:
    starting = iter([STARTING])

    def script(request: bytes) -> bytes:
        return next(starting, ACCEPTED) if request.startswith(b"PATCH") else STARTED

    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(NotSupported):
            client.set_ready()
    assert methods(raw_host).count(b"GET") == 6


def test_held_ready_is_checked_at_the_interval(socket_directory: Path) -> None:
    times: list[float] = []
    responses = in_turn(STARTED, ACCEPTED, READY, READY, READY, UNAUTHORIZED)

    def script(request: bytes) -> bytes | None:
        times.append(time.monotonic())
        return responses(request)

    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(PermissionDenied):
            client.hold_ready(interval=0.2)
    assert len(times) == 6
    assert all(later - earlier >= 0.2 for earlier, later in itertools.pairwise(times[2:]))


def test_restarts_during_the_attempts_are_no_proof_that_ready_has_no_effect(
    socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devlxdctl.events.readiness._RESET_DELAY", 0.01)
    lost_at_once = (STARTING, ACCEPTED, STARTED)
    lost_later = (ACCEPTED, STARTING, READY, STARTED)
    script = in_turn(*lost_at_once * 5, *lost_later * 4, ACCEPTED, READY)
    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        client.set_ready()
    assert len(raw_host.requests) == 5 * 3 + 4 * 4 + 2


def test_host_that_restarts_during_every_attempt_is_unavailable(
    socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devlxdctl.events.readiness._RESET_DELAY", 0.01)
    script = in_turn(*(STARTING, ACCEPTED, STARTED) * 10)
    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(HostUnavailable) as caught:
            client.set_ready()
    assert str(caught.value) == "ready: the host restarted during each of 10 attempts"
    assert len(raw_host.requests) == 30


@pytest.mark.parametrize("restarts", [10, 15])
def test_held_ready_outlives_a_host_that_restarts_during_every_attempt(
    restarts: int,
    socket_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("devlxdctl.events.readiness._PAUSES", (0.01,))
    monkeypatch.setattr("devlxdctl.events.readiness._RESET_DELAY", 0.01)
    attempts = (STARTING, ACCEPTED, STARTED) * restarts + (ACCEPTED, READY, READY)
    # At the start, and again when Ready is lost later.
    script = in_turn(STARTED, *attempts, STARTED, *attempts, UNAUTHORIZED)
    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(PermissionDenied):
            client.hold_ready(interval=0.01)
    assert len(raw_host.requests) == 2 * (1 + len(attempts)) + 1
    # It does not wait for the next check after some attempts, with a warning.
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == []


def test_held_ready_outlives_an_absence_before_the_host_accepted_it(
    socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time to wait for the host ends with its first response."""
    monkeypatch.setattr("devlxdctl.events.readiness._RESET_DELAY", 0.01)
    script = in_turn(STARTED, *(STARTING,) * 4, ACCEPTED, READY, READY, READY, UNAUTHORIZED)
    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path, wait=0.1) as client:
        with pytest.raises(PermissionDenied):
            client.hold_ready(interval=0.01)
    assert len(raw_host.requests) == 10


def test_held_ready_ends_at_the_start_on_a_host_that_accepts_ready_without_effect(
    socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devlxdctl.events.readiness._PAUSES", (0.01, 0.01))
    script = in_turn(STARTED, *(ACCEPTED, STARTED) * 2, STARTING, *(ACCEPTED, STARTED) * 4)
    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(NotSupported):
            client.hold_ready(interval=0.01)
    # Three attempts in a row: those before a restart do not count.
    assert len(raw_host.requests) == 1 + 4 + 1 + 8
