"""Retries while the host is unavailable: they belong to one call, and leave the client as it was."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from devlxdctl import (
    Client,
    DevLXDError,
    HostUnavailable,
    NoDevLXD,
    PermissionDenied,
    TimedOut,
    UnexpectedResponse,
)
from devlxdctl.simulator import Simulator
from tests.support.faulty_hosts import ClosingHost
from tests.support.raw_host import OCTET_STREAM, RawHost, response

READY = response(b'{"state":"Ready"}')
STARTED = response(b'{"state":"Started"}')
UNAVAILABLE = response(b"later\n", "text/plain", "503 Service Unavailable")


def error_of(call: Callable[[], object]) -> tuple[type[DevLXDError], str, str | None]:
    with pytest.raises(DevLXDError) as caught:
        call()
    return type(caught.value), str(caught.value), caught.value.hint


def wait_until_timeout(wait: Callable[[], object]) -> None:
    with pytest.raises(TimedOut):
        wait()


def watch_first_change(client: Client) -> None:
    changes = client.watch_config("user.*")
    with closing(changes):  # type: ignore[type-var]  # it is a generator
        next(changes)


USES: dict[str, Callable[[Client], object]] = {
    "wait_for_config": lambda client: client.wait_for_config("user.a"),
    "wait_for_config without timeout": lambda client: client.wait_for_config("user.a", timeout=None),
    "wait_for_config that checks once": lambda client: client.wait_for_config("user.a", timeout=0),
    "wait_for_config that timed out": lambda client: wait_until_timeout(
        lambda: client.wait_for_config("user.never", timeout=0.2)
    ),
    "wait_for_device": lambda client: client.wait_for_device("eth0", timeout=60),
    "wait_for_device that timed out": lambda client: wait_until_timeout(
        lambda: client.wait_for_device("never", timeout=0.2)
    ),
    "wait_for_host": lambda client: client.wait_for_host(timeout=60),
    "watch_config": watch_first_change,
    "events": lambda client: client.events().close(),
    "set_ready": lambda client: client.set_ready(),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("use", USES)
def test_client_fails_as_a_new_one_after(use: str, socket_directory: Path) -> None:
    """The error of a call that had retried would end with `tried for` or `waited`."""
    path = socket_directory / "lxd" / "sock"
    with Client(path) as client:
        with Simulator(path) as simulator:
            simulator.set({"user.a": "1"})
            simulator.device("eth0", {"type": "nic"})
            USES[use](client)
            simulator.switch(False)
            # The connection is still open: through it, the host says that the API is switched off.
            if use != "events":
                with pytest.raises(PermissionDenied) as caught:
                    client.state()
                assert caught.value.http_status == 403
        assert not path.parent.exists()
        expected = error_of(Client(path).state)
        assert expected[:2] == (NoDevLXD, f"{path}: no such socket")
        assert error_of(client.state) == expected
        assert error_of(client.state) == expected


@pytest.mark.timeout(60)
def test_client_that_timed_out_works_again_with_a_new_host(socket_directory: Path) -> None:
    path = socket_directory / "sock"
    with Client(path) as client:
        with pytest.raises(TimedOut):
            client.wait_for_config("user.a", timeout=0.2)
        with RawHost(path, STARTED):
            assert client.state() == {"state": "Started"}


def test_missing_socket_is_not_retried_because_an_earlier_call_succeeded(socket_directory: Path) -> None:
    path = socket_directory / "sock"
    with Client(path) as client:
        with RawHost(path, STARTED):
            client.state()
        path.unlink()
        assert error_of(client.state)[:2] == (NoDevLXD, f"{path}: no such socket")


def test_missing_socket_is_retried_after_a_response_in_the_same_call(socket_directory: Path) -> None:
    """`set_ready` sends two requests. The host ends after the first, and a new one gets the second."""
    path = socket_directory / "sock"
    new_host = RawHost(path, READY)

    class StartNewHost(logging.Handler):
        """Starts the new host when the client has failed to connect, and says that it retries."""

        def emit(self, record: logging.LogRecord) -> None:
            assert record.getMessage() == "GET /1.0: no such socket; retry in 0.05 s"
            new_host.__enter__()

    def stop(request: bytes) -> bytes:
        path.unlink()
        return response(b"", OCTET_STREAM, extra="Connection: close\r\n")

    log, handler = logging.getLogger("devlxdctl.http.retry"), StartNewHost()
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        with RawHost(path, stop) as raw_host, Client(path) as client:
            client.set_ready()
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
        new_host.__exit__(None, None, None)
    # After a retry, the state is read twice.
    assert [len(raw_host.requests), len(new_host.requests)] == [1, 2]


def test_client_with_wait_waits_for_a_missing_socket(socket_directory: Path) -> None:
    path = socket_directory / "sock"
    raw_host = RawHost(path, STARTED)
    timer = threading.Timer(0.3, raw_host.__enter__)
    timer.start()
    try:
        with Client(path, wait=60) as client:
            assert client.state() == {"state": "Started"}
    finally:
        timer.join()
        raw_host.__exit__(None, None, None)


def test_wait_counts_from_the_first_request_of_each_call(socket_directory: Path) -> None:
    path = socket_directory / "sock"
    with Client(path, wait=0.2) as client:
        for _ in range(2):
            assert error_of(client.state)[:2] == (TimedOut, f"{path}: no such socket; waited 0.2 s")


def test_request_that_may_have_arrived_is_not_sent_again_unless_idempotent(socket_directory: Path) -> None:
    """Each `pro_token` makes the host issue one."""
    with ClosingHost(socket_directory / "sock", UNAVAILABLE) as raw_host:
        with Client(raw_host.path, wait=60) as client:
            expected = (HostUnavailable, "/1.0/ubuntu-pro/token: HTTP status 503: later")
            assert error_of(client.pro_token)[:2] == expected
    assert len(raw_host.requests) == 1


def test_server_that_closes_every_connection_at_once_is_not_an_http_server(socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", None) as raw_host, Client(raw_host.path) as client:
        expected = (UnexpectedResponse, f"{raw_host.path}: not an HTTP server")
        assert error_of(client.state)[:2] == expected
    assert raw_host.connections == 5


def test_directory_in_place_of_the_socket_is_not_retried(socket_directory: Path) -> None:
    path = socket_directory / "sock"
    path.mkdir()
    try:
        with Client(path, wait=60) as client:
            assert error_of(client.state)[:2] == (NoDevLXD, f"{path}: is a directory, not a socket")
    finally:
        shutil.rmtree(path)
