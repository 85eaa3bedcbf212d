"""Timeouts: what limits a wait, and what does not, with hosts that stop sending."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from devlxdctl import Client, Event, Gap, TimedOut
from devlxdctl.http.limits import LimitedSocket
from tests.support.exports import FINGERPRINT, IMAGE, unified
from tests.support.faulty_hosts import HoldingHost, WebSocketHost
from tests.support.raw_host import RawHost, response, websocket_accept, websocket_frame

WAITS: dict[str, Callable[[Client], object]] = {
    "config": lambda client: client.wait_for_config("user.a", timeout=0.2),
    "device": lambda client: client.wait_for_device("eth0", timeout=0.2),
    "host": lambda client: client.wait_for_host(timeout=0.2),
}
"""Waits with a timeout that is shorter than any read timeout."""


@pytest.mark.parametrize("name", WAITS)
def test_timeout_of_a_wait_limits_the_first_request_to_a_silent_host(
    name: str, socket_directory: Path
) -> None:
    """Each attempt has a second, however little time is left: less than the 15 s of other requests."""
    with HoldingHost(socket_directory / "sock", b"") as host, Client(host.path) as client:
        with pytest.raises(TimedOut) as caught:
            WAITS[name](client)
    assert str(caught.value) == f"{host.path}: no response within 1 s; waited 0.2 s"


@pytest.mark.parametrize("name", ["config", "device"])
def test_timeout_of_a_wait_limits_reads_after_the_connection_for_events(
    name: str, socket_directory: Path
) -> None:
    def script(request: bytes) -> bytes:
        return websocket_accept(request) if request.startswith(b"GET /1.0/events") else b""

    with HoldingHost(socket_directory / "sock", script) as host, Client(host.path) as client:
        with pytest.raises(TimedOut) as caught:
            WAITS[name](client)
    assert str(caught.value) == f"{host.path}: no response within 1 s; waited 0.2 s"


def test_wait_for_host_without_timeout_waits_for_a_missing_socket(socket_directory: Path) -> None:
    path = socket_directory / "sock"
    raw_host = RawHost(path, response(b'{"state":"Started"}'))
    timer = threading.Timer(0.3, raw_host.__enter__)
    timer.start()
    try:
        with Client(path, wait=0) as client:
            assert client.wait_for_host() == {"state": "Started"}
    finally:
        timer.join()
        raw_host.__exit__(None, None, None)


def test_connection_for_events_without_a_ping_is_replaced(
    socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first connection stays open and silent, the second has an event."""
    monkeypatch.setattr("devlxdctl.events.websocket._IDLE_TIMEOUT", 0.2)
    event = b'{"type":"config"}'
    handshakes = 0

    def script(request: bytes) -> bytes:
        nonlocal handshakes
        handshakes += 1
        return websocket_accept(request) + (websocket_frame(event) if handshakes > 1 else b"")

    with HoldingHost(socket_directory / "sock", script) as host, Client(host.path).events() as events:
        assert isinstance(events.get(60), Gap)
        assert events.get(60) == Event(event.decode())


def recorded_timeouts(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """The timeouts that are set on sockets from now on."""
    found: list[float | None] = []

    def settimeout(sock: LimitedSocket, seconds: float | None) -> None:
        found.append(seconds)
        socket.socket.settimeout(sock, seconds)

    monkeypatch.setattr(LimitedSocket, "settimeout", settimeout)
    return found


def test_connection_for_events_may_miss_three_pings(
    socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts send a ping every 10 s."""
    timeouts = recorded_timeouts(monkeypatch)
    with WebSocketHost(socket_directory / "sock", [b""]) as host:
        Client(host.path).events().close()
    assert timeouts[-1] == 45.0


def test_request_for_a_pro_token_has_90_seconds(
    socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host asks Canonical's servers."""
    timeouts = recorded_timeouts(monkeypatch)
    with RawHost(socket_directory / "sock", response(b'{"guest_token":"secret"}')) as host:
        with Client(host.path, timeout=0.5) as client:
            assert client.pro_token() == {"guest_token": "secret"}
    assert set(timeouts) == {90.0}


class PausingBodyHost(RawHost):
    """Sends half of the body 1.5 s after the rest of the response."""

    def _send(self, connection: socket.socket, given: bytes) -> None:
        half = len(given) - len(IMAGE) // 2
        connection.sendall(given[:half])
        threading.Event().wait(1.5)  # longer than the second that an attempt has at least
        connection.sendall(given[half:])


def test_time_left_to_wait_for_a_response_does_not_limit_pauses_in_its_body(image_directory: Path) -> None:
    with PausingBodyHost(image_directory.parent / "sock", unified()) as host:
        with Client(host.path, wait=0.1) as client:
            [exported] = client.export_image(FINGERPRINT, image_directory).files
    assert Path(exported.path).read_bytes() == IMAGE
    assert len(host.requests) == 1
