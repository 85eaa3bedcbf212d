"""Statuses of a host that restarts, switches the API off and on, or rejects a request for good."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from devlxdctl import Client, PermissionDenied, TimedOut
from tests.support.faulty_hosts import ClosingHost
from tests.support.raw_host import OCTET_STREAM, RawHost, response, websocket_accept, websocket_frame

STATE = response(b'{"state":"Ready"}')
FORBIDDEN = response(b"Forbidden\n", "text/plain", "403 Forbidden")
UNAUTHORIZED = response(b"Access denied\n", "text/plain", "401 Unauthorized")


class WatchedHost(RawHost):
    """Keeps connections for events open until the client closes them."""

    def _send(self, connection: socket.socket, given: bytes) -> None:
        super()._send(connection, given)
        if given.startswith(b"HTTP/1.1 101 "):
            connection.recv(1)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_status_of_a_restart_is_retried(status: int, socket_directory: Path) -> None:
    responses = iter([response(b"", "text/plain", f"{status} Odd"), STATE] * 2)
    with ClosingHost(socket_directory / "sock", lambda request: next(responses)) as host:
        with Client(host.path) as client:
            assert client.state() == {"state": "Ready"}
            with client.request("GET", "/1.0") as received:
                assert (received.status, received.read()) == (200, b'{"state":"Ready"}')
    assert len(host.requests) == 4


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_status_of_a_restart_has_the_hint_to_look_at_the_daemon(status: int, socket_directory: Path) -> None:
    given = response(b"later", "text/plain", f"{status} Odd")
    with ClosingHost(socket_directory / "sock", given) as host, Client(host.path, wait=0) as client:
        with pytest.raises(TimedOut) as caught:
            client.state()
    assert str(caught.value) == f"/1.0: HTTP status {status}: later; waited 0 s"
    assert caught.value.hint == "look at the daemon of the host; on the host: lxc info"


def test_403_is_retried_while_keys_are_watched_and_401_is_final(socket_directory: Path) -> None:
    lists = iter(["a", FORBIDDEN, FORBIDDEN, "b", UNAUTHORIZED])

    def script(request: bytes) -> bytes:
        if request.startswith(b"GET /1.0/events"):
            return websocket_accept(request)
        if request.startswith(b"GET /1.0/config HTTP"):
            given = next(lists)
            return (
                given
                if isinstance(given, bytes)
                else response(json.dumps([f"/1.0/config/user.{given}"]).encode())
            )
        return response(b"1", OCTET_STREAM)

    with WatchedHost(socket_directory / "sock", script) as host, Client(host.path) as client:
        changes = client.watch_config("user.*", interval=0.01)
        with closing(changes):  # type: ignore[type-var]  # it is a generator
            found = [(each.key, each.action) for each in (next(changes), next(changes), next(changes))]
            with pytest.raises(PermissionDenied) as caught:
                next(changes)
    assert found == [("user.a", "initial"), ("user.a", "removed"), ("user.b", "added")]
    assert caught.value.http_status == 401


def test_403_of_a_key_while_the_api_is_off_is_no_change_of_it(socket_directory: Path) -> None:
    """The API is switched off after the event. The list of keys shows when it is on again."""
    event = b'{"type":"config","metadata":{"key":"user.a"}}'
    values = iter([b"1", b"2"])
    lists = iter([FORBIDDEN, FORBIDDEN])
    is_on = True

    def script(request: bytes) -> bytes:
        nonlocal is_on
        if request.startswith(b"GET /1.0/events"):
            return websocket_accept(request) + websocket_frame(event)
        if request.startswith(b"GET /1.0/config HTTP"):
            given = next(lists, b"")
            is_on = is_on or not given
            return given or response(b'["/1.0/config/user.a"]')
        if not is_on:
            return FORBIDDEN
        value = next(values)
        is_on = value != b"1"
        return response(value, OCTET_STREAM)

    with WatchedHost(socket_directory / "sock", script) as host, Client(host.path) as client:
        changes = client.watch_config("user.a", interval=None)
        with closing(changes):  # type: ignore[type-var]  # it is a generator
            found = [(each.value, each.action) for each in (next(changes), next(changes))]
    assert found == [("1", "initial"), ("2", "changed")]


def test_403_is_retried_while_ready_is_held_and_401_is_final(socket_directory: Path) -> None:
    accepted, started = response(b"", OCTET_STREAM), response(b'{"state":"Started"}')
    responses: Iterator[bytes] = iter(
        [started, accepted, STATE, FORBIDDEN, FORBIDDEN, started, accepted, STATE, UNAUTHORIZED]
    )
    with RawHost(socket_directory / "sock", lambda request: next(responses)) as host:
        with Client(host.path) as client, pytest.raises(PermissionDenied) as caught:
            client.hold_ready(interval=0.01)
    methods = [request.partition(b" ")[0].decode() for request in host.requests]
    # After a retry, the state is read twice.
    assert methods == ["GET", "PATCH", "GET", "GET", "GET", "GET", "PATCH", "GET", "GET"]
    assert caught.value.http_status == 401
