"""`Client`: the requests of its methods, over how many connections, and responses of another shape."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from devlxdctl import Client, InvalidRequest, NotFound, NotSupported, UnexpectedResponse
from devlxdctl.simulator import Simulator
from tests.support.raw_host import OCTET_STREAM, RawHost, response
from tests.unit.conftest import StartSimulator


def test_constructor_and_context_manager_send_no_request(socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", None) as raw_host:
        with Client(raw_host.path):
            pass
    assert raw_host.connections == 0


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (Client(), "Client(socket=None, timeout=15, wait=None)"),
        (
            Client(Path("/run/sock"), timeout=0.5, wait=60, token="secret"),
            "Client(socket='/run/sock', timeout=0.5, wait=60)",
        ),
    ],
)
def test_repr_shows_the_arguments_without_the_token(client: Client, expected: str) -> None:
    assert repr(client) == expected


def test_sequential_requests_share_one_connection(simulator: Simulator) -> None:
    with Client(simulator.path) as client:
        client.versions()
        client.state()
        client.set_ready()
        client.config_keys()
        client.devices()
    assert simulator.connections == 1
    assert [request[:2] for request in simulator.requests] == [
        ("GET", "/"),
        ("GET", "/1.0"),
        ("PATCH", "/1.0"),
        ("GET", "/1.0"),
        ("GET", "/1.0/config"),
        ("GET", "/1.0/devices"),
    ]


def test_300_keys_are_read_once_each_over_at_most_six_connections(simulator: Simulator) -> None:
    expected = {f"user.k{number:03}": str(number) for number in range(300)}
    simulator.set(expected)
    with Client(simulator.path) as client:
        found = client.config()
    assert list(found.items()) == list(expected.items())
    assert simulator.connections <= 6
    assert sorted(request[1] for request in simulator.requests) == [
        "/1.0/config",
        *(f"/1.0/config/{key}" for key in expected),
    ]


def test_ten_threads_with_one_client_open_at_most_six_connections(socket_directory: Path) -> None:
    """The host holds its responses until there are more connections, at most half a second."""
    is_seventh = threading.Event()

    def script(request: bytes) -> bytes:
        if raw_host.connections > 6:
            is_seventh.set()
        is_seventh.wait(0.5)
        return response(b'["/1.0"]')

    results: list[list[str]] = []
    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        threads = [threading.Thread(target=lambda: results.append(client.versions())) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    assert results == [["/1.0"]] * 10
    assert raw_host.connections <= 6


def test_closed_client_connects_again(simulator: Simulator) -> None:
    client = Client(simulator.path)
    for _ in range(2):
        assert client.versions() == ["/1.0"]
        client.close()
    assert simulator.connections == 2


def test_replaced_socket_gets_the_next_request(socket_directory: Path) -> None:
    """The connection that the client keeps belongs to a host that has ended."""
    path = socket_directory / "sock"
    with Client(path, wait=0) as client:
        for number in range(3):
            with RawHost(path, response(b"%d" % number, OCTET_STREAM)):
                assert client.config_get("user.a") == str(number)
                assert client.config_get("user.a") == str(number)
            path.unlink()


@pytest.mark.parametrize(
    ("call", "body", "problem"),
    [
        (Client.versions, b"[1]", "/: response is not a list of strings"),
        (Client.versions, b"{}", "/: response is not a JSON list"),
        (Client.state, b"[]", "/1.0: response is not a JSON object"),
        (Client.config_keys, b'["user.a"]', "/1.0/config: response is not a list of config keys"),
        (
            Client.config_keys,
            b'["/1.0/config/user.a", 5]',
            "/1.0/config: response is not a list of config keys",
        ),
        (Client.config_keys, b"{}", "/1.0/config: response is not a JSON list"),
        (Client.devices, b"[]", "/1.0/devices: response is not a JSON object"),
        (Client.devices, b'{"eth0":"nic"}', "/1.0/devices: response is not a map of devices"),
        (Client.devices, b'{"eth0":null}', "/1.0/devices: response is not a map of devices"),
        (Client.pro_token, b'{"guest_token":5}', "/1.0/ubuntu-pro/token: response contains no token"),
        (Client.pro_token, b'{"guest_token":""}', "/1.0/ubuntu-pro/token: response contains no token"),
    ],
)
def test_json_of_another_shape_is_an_unexpected_response(
    call: Callable[[Client], object], body: bytes, problem: str, socket_directory: Path
) -> None:
    with RawHost(socket_directory / "sock", response(body)) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(UnexpectedResponse) as caught:
            call(client)
    assert (str(caught.value), caught.value.http_status) == (problem, 200)


def test_token_function_is_called_for_each_request(socket_directory: Path) -> None:
    tokens = iter(["one", "two"])
    with RawHost(socket_directory / "sock", response(b'["/1.0"]')) as raw_host:
        with Client(raw_host.path, token=lambda: next(tokens)) as client:
            client.versions()
            client.versions()
    first, second = raw_host.requests
    assert b"\r\nAuthorization: Bearer one\r\n" in first
    assert b"\r\nAuthorization: Bearer two\r\n" in second


@pytest.mark.parametrize("token", [None, "", lambda: None])
def test_client_without_token_sends_no_authorization(
    token: str | Callable[[], str | None] | None, socket_directory: Path
) -> None:
    with RawHost(socket_directory / "sock", response(b'["/1.0"]')) as raw_host:
        with Client(raw_host.path, token=token) as client:
            client.versions()
    assert b"authorization" not in raw_host.requests[0].lower()


@pytest.mark.parametrize("token", ["a b", "a\nb", "ü", "\x1b"])
def test_token_with_invalid_characters_is_neither_sent_nor_shown(token: str, socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", response(b'["/1.0"]')) as raw_host:
        with Client(raw_host.path, token=token) as client, pytest.raises(InvalidRequest) as caught:
            client.versions()
    assert str(caught.value) == "bearer token: contains invalid characters"
    assert raw_host.requests == []


def test_untrusted_token_logs_one_warning_without_the_token(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    with Client(simulator.path, token="secret") as client, caplog.at_level(logging.DEBUG, "devlxdctl"):
        client.state()
        client.state()
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warnings] == ["the host does not trust the bearer token"]
    assert "secret" not in caplog.text


def test_dump_has_none_for_parts_that_the_host_does_not_support(socket_directory: Path) -> None:
    def script(request: bytes) -> bytes:
        if request.startswith(b"GET /1.0/meta-data HTTP"):
            return response(b"404 page not found\n", "text/plain", "404 Not Found")
        if request.startswith(b"GET /1.0 HTTP"):
            return response(b'{"state":"Started"}')
        return response(b'["/1.0"]\n')  # LXD 6.9 responds with this to every unknown path

    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        assert client.dump() == {
            "versions": ["/1.0"],
            "state": {"state": "Started"},
            "config": None,
            "devices": None,
            "metadata": None,
        }


def test_ready_is_not_supported_by_lxd_5_0(start_simulator: StartSimulator) -> None:
    simulator = start_simulator(profile="lxd-5.0")
    with Client(simulator.path) as client:
        for ready in (True, False):
            with pytest.raises(NotSupported) as caught:
                client.set_ready(ready)
            assert str(caught.value) == "ready: ignored by this host"
        with pytest.raises(NotSupported) as caught:
            client.is_ready()
        assert str(caught.value) == "ready: not supported by this host"


def test_closing_a_raw_response_closes_its_connection(socket_directory: Path) -> None:
    peers: list[socket.socket] = []

    def respond() -> None:
        peer, _ = listener.accept()
        peers.append(peer)
        peer.recv(1000)
        peer.sendall(response(b"value", OCTET_STREAM))

    with socket.socket(socket.AF_UNIX) as listener, Client(socket_directory / "sock") as client:
        listener.bind(str(socket_directory / "sock"))
        listener.listen()
        thread = threading.Thread(target=respond)
        thread.start()
        received = client.request("GET", "/1.0/config/user.role")
        thread.join(60)
        (peer,) = peers
        with peer:
            received.close()
            peer.settimeout(60)
            assert peer.recv(1) == b""
        assert received.status == 200


def test_list_of_versions_in_place_of_an_object_means_not_supported(socket_directory: Path) -> None:
    """LXD 6 answers every unknown path with it, and with status 200."""
    with RawHost(socket_directory / "sock", response(b'["/1.0"]', "application/json")) as raw_host:
        with Client(raw_host.path) as client, pytest.raises(NotSupported) as caught:
            client.pro_status()
    error = caught.value
    advice = "use a host with LXD 5.21 or later: Incus and older LXD do not offer Ubuntu Pro"
    assert (str(error), error.hint, error.http_status) == (
        "/1.0/ubuntu-pro: not supported by this host",
        advice,
        200,
    )


def test_hint_names_the_key_quoted_for_a_shell(simulator: Simulator) -> None:
    with Client(simulator.path) as client, pytest.raises(NotFound) as caught:
        client.config_get("user.$nope")
    assert caught.value.hint == "on the host: lxc config set INSTANCE 'user.$nope' VALUE"


@pytest.mark.parametrize("content_type", ["text/html", ""])
def test_another_content_type_is_named(content_type: str, socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", response(b"<html>", content_type)) as raw_host:
        with Client(raw_host.path) as client, pytest.raises(UnexpectedResponse) as caught:
            client.state()
    assert str(caught.value) == f"/1.0: unexpected content type {content_type or 'none'}"
