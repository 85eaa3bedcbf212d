"""Reporting Ready, while the host restarts or ignores it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl import Client, NotSupported
from devlxdctl.simulator import Simulator
from tests.support.raw_host import OCTET_STREAM, RawHost, Script, response

READY = response(b'{"state":"Ready"}')
STARTED = response(b'{"state":"Started"}')
ACCEPTED = response(b"", OCTET_STREAM)
STARTING = response(b"starting\n", "text/plain", "500 Internal Server Error")


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

    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(NotSupported) as caught:
            client.set_ready()
    assert str(caught.value) == "ready: the host accepted Ready, but the state did not change"
