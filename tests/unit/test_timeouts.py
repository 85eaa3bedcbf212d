"""Timeouts: what limits a wait, and what does not, with hosts that stop sending."""

from __future__ import annotations

import itertools
import logging
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


def test_wait_limits_the_time_for_a_response_to_what_is_left_of_it(
    socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts = recorded_timeouts(monkeypatch)
    with RawHost(socket_directory / "sock", response(b'{"state":"Started"}')) as host:
        with Client(host.path, wait=12) as client:
            client.state()
        with Client(host.path, wait=60) as client:
            client.state()
    first, *_, last = [seconds for seconds in timeouts if seconds is not None]
    assert 1 < first <= 12
    assert last == 15


@pytest.mark.parametrize("wait", [0.02, 0.045])
def test_last_pause_between_retries_ends_with_the_wait(
    wait: float, socket_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "devlxdctl.http.retry")
    with Client(socket_directory / "sock", wait=wait) as client, pytest.raises(TimedOut):
        client.state()
    pauses = [float(record.getMessage().split()[-2]) for record in caplog.records]
    assert all(pause <= round(wait, 2) for pause in pauses)


def test_waiting_and_a_long_outage_are_logged_once(
    socket_directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The host starts some retries after the second message."""
    monkeypatch.setattr("devlxdctl.http.retry._LOG_AFTER", 0.1)
    monkeypatch.setattr("devlxdctl.http.retry.RESTART_SECONDS", 0.3)
    path = socket_directory / "sock"
    raw_host = RawHost(path, response(b'{"state":"Started"}'))
    retries_after = itertools.count()

    class StartHost(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages = [each.getMessage() for each in caplog.records if each.levelno > logging.DEBUG]
            if len(messages) > 1 and next(retries_after) == 3:
                raw_host.__enter__()

    log, handler = logging.getLogger("devlxdctl.http.retry"), StartHost()
    caplog.set_level(logging.DEBUG, log.name)
    log.addHandler(handler)
    try:
        with Client(path) as client:
            assert client.wait_for_host() == {"state": "Started"}
    finally:
        log.removeHandler(handler)
        raw_host.__exit__(None, None, None)
    found = [(each.levelname, each.getMessage()) for each in caplog.records if each.levelno > logging.DEBUG]
    assert found == [
        ("INFO", f"waiting for the host: {path}: no such socket"),
        ("WARNING", f"host unavailable, still waiting: {path}: no such socket"),
    ]


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
