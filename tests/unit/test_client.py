"""The library: what it asks of the host, over how many connections, and what it makes of the answers."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import devlxdctl
from devlxdctl import (
    Client,
    InvalidRequest,
    NotFound,
    NotSupported,
    PermissionDenied,
    TimedOut,
    UnexpectedResponse,
)
from devlxdctl.simulator import Simulator
from tests.support.raw_host import RawHost, response

EMPTY = "config: {}\n"
READY = response(b'{"state":"Ready"}')
STARTED = response(b'{"state":"Started"}')
NOTHING = response(b"", "application/octet-stream")


@pytest.fixture
def simulate(short: Path) -> Iterator[Callable[..., Simulator]]:
    """Starts a host with this guest file's text; it ends with the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(guest: str = EMPTY, profile: str = "lxd-6") -> Simulator:
            (short / "lxd").mkdir()
            (short / "guest.yaml").write_text(guest)
            host = Simulator(short / "lxd" / "sock", short / "guest.yaml", profile)
            return stack.enter_context(host)

        yield start


def test_every_public_name_is_there_and_nothing_else() -> None:
    for name in devlxdctl.__all__:
        assert getattr(devlxdctl, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        devlxdctl.nope  # noqa: B018


def test_a_client_asks_nothing_until_it_is_asked() -> None:
    with Client("/nowhere/at/all") as client:
        assert client is not None


def test_one_connection_serves_one_request_after_the_other(simulate: Callable[..., Simulator]) -> None:
    host = simulate()
    with Client(host.path) as client:
        client.versions()
        client.state()
        client.set_ready()
        client.config_keys()
        client.devices()
    assert host.connections == 1
    assert [request[:2] for request in host.requests] == [
        ("GET", "/"),
        ("GET", "/1.0"),
        ("PATCH", "/1.0"),
        ("GET", "/1.0"),
        ("GET", "/1.0/config"),
        ("GET", "/1.0/devices"),
    ]


def test_hundreds_of_keys_are_read_over_a_few_connections_once_each(
    simulate: Callable[..., Simulator],
) -> None:
    host = simulate()
    expected = {f"user.k{number:03}": str(number) for number in range(300)}
    host.set(expected)
    with Client(host.path) as client:
        found = client.config()
    assert list(found.items()) == list(expected.items())
    assert host.connections <= 6
    assert sorted(request[1] for request in host.requests) == [
        "/1.0/config",
        *(f"/1.0/config/{key}" for key in expected),
    ]


def test_a_closed_client_connects_again(simulate: Callable[..., Simulator]) -> None:
    host = simulate()
    client = Client(host.path)
    for _ in range(2):
        assert client.versions() == ["/1.0"]
        client.close()
    assert host.connections == 2


def test_a_key_that_goes_between_list_and_read_is_left_out(short: Path) -> None:
    def script(request: bytes) -> bytes:
        if request.startswith(b"GET /1.0/config HTTP"):
            return response(json.dumps([f"/1.0/config/user.{name}" for name in "cab"]).encode())
        if b"user.b" in request:
            return response(b"not found\n", "text/plain", "404 Not Found")
        return response(request[len(b"GET /1.0/config/user.") :][:1], "application/octet-stream")

    with RawHost(short / "sock", script) as host, Client(host.path) as client:
        assert client.config() == {"user.a": "a", "user.c": "c"}
        assert list(client.config()) == ["user.a", "user.c"]
        with pytest.raises(NotFound, match=r"^user\.b: not set on this instance$"):
            client.config_get("user.b")


def test_a_forbidden_key_among_many_is_an_error(simulate: Callable[..., Simulator]) -> None:
    host = simulate("config: {user.a: '1'}")
    with Client(host.path) as client, pytest.raises(PermissionDenied) as caught:
        client.config_get_many(["user.a", "limits.cpu", "user.b"], default="")
    assert caught.value.http_status == 403


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map("user.{}".format),
    value=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_any_key_and_any_value_is_read_as_it_was_set(key: str, value: str, any_key_host: Simulator) -> None:
    any_key_host.set({key: value})
    with Client(any_key_host.path) as client:
        assert client.config_get(key) == value
        assert client.config([key.replace("[", "[[]").replace("?", "[?]").replace("*", "[*]")]) == {
            key: value
        }
    any_key_host.unset(key)


@pytest.fixture
def any_key_host(simulate: Callable[..., Simulator]) -> Simulator:
    return simulate()


@pytest.mark.parametrize("key", ["", ".", ".."])
def test_keys_that_would_be_another_path_are_not_asked_for(key: str, short: Path) -> None:
    with RawHost(short / "sock", None) as host, Client(host.path) as client:
        with pytest.raises(InvalidRequest):
            client.config_get(key)
        assert host.requests == []


def test_a_value_that_is_no_utf8_comes_back_to_the_byte(short: Path) -> None:
    with RawHost(short / "sock", response(b"\xff\xfe\x00a", "application/octet-stream")) as host:
        with Client(host.path) as client:
            assert client.config_get("user.a").encode("utf-8", "surrogateescape") == b"\xff\xfe\x00a"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (response(b'["/1.0"]\n'), "user.a: the answer is application/json, and no value"),
        (response(b"<a>", "text/html"), "user.a: the answer is text/html, and no value"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "user.a: the answer is of no type, and no value"),
    ],
)
def test_what_is_no_value_is_not_taken_for_one(given: bytes, error: str, short: Path) -> None:
    with RawHost(short / "sock", given) as host, Client(host.path) as client:
        with pytest.raises(UnexpectedResponse) as caught:
            client.config_get("user.a")
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("versions", b"[1]"),
        ("versions", b"{}"),
        ("config_keys", b'["user.a"]'),
        ("config_keys", b'["/1.0/config/user.a", 5]'),
        ("config_keys", b"{}"),
        ("devices", b"[]"),
        ("devices", b'{"eth0":"nic"}'),
        ("devices", b'{"eth0":null}'),
    ],
)
def test_answers_of_another_shape_are_not_taken(method: str, body: bytes, short: Path) -> None:
    with RawHost(short / "sock", response(body)) as host, Client(host.path) as client:
        with pytest.raises(UnexpectedResponse):
            getattr(client, method)()


class TestVirtualMachine:
    GUEST = "config: {user.a: '1', user.a/b: '2', user.50%: '3'}\nsimulator: {type: virtual-machine}\n"

    def test_keys_that_its_agent_decodes_twice_are_refused(self, simulate: Callable[..., Simulator]) -> None:
        host = simulate(self.GUEST)
        with Client(host.path) as client:
            assert client.config_get("user.a") == "1"
            for key in ("user.a/b", "user.50%"):
                with pytest.raises(NotSupported) as caught:
                    client.config_get(key)
                assert str(caught.value) == f"{key}: in a virtual machine, keys with % or / cannot be read"

    def test_and_are_left_out_with_a_warning(
        self, simulate: Callable[..., Simulator], caplog: pytest.LogCaptureFixture
    ) -> None:
        host = simulate(self.GUEST)
        with Client(host.path) as client, caplog.at_level(logging.WARNING, "devlxdctl"):
            assert client.config_keys() == ["user.50%", "user.a", "user.a/b"]
            assert client.config() == {"user.a": "1"}
        assert [record.getMessage() for record in caplog.records] == [
            f"{key}: in a virtual machine, keys with % or / cannot be read"
            for key in ("user.50%", "user.a/b")
        ]


class TestReady:
    def script(self, *answers: bytes) -> Callable[[bytes], bytes]:
        rest = iter(answers)
        return lambda request: next(rest)

    def test_a_restart_of_the_host_between_word_and_look_is_no_failure(self, short: Path) -> None:
        with RawHost(short / "sock", self.script(NOTHING, STARTED, NOTHING, READY)) as host:
            with Client(host.path) as client:
                client.set_ready()
        assert [request[:5] for request in host.requests] == [b"PATCH", b"GET /"] * 2
        assert host.requests[0].endswith(b'\r\n\r\n{"state":"Ready"}')

    def test_after_a_restart_there_is_a_second_look(self, short: Path) -> None:
        """The daemon is back, takes Ready, confirms it, and forgets it a moment later."""
        starting = response(b"starting\n", "text/plain", "500 Internal Server Error")
        script = self.script(starting, NOTHING, READY, STARTED, NOTHING, READY)
        with RawHost(short / "sock", script) as host, Client(host.path) as client:
            client.set_ready()
        assert [request[:5] for request in host.requests] == [
            *(b"PATCH", b"PATCH", b"GET /", b"GET /"),
            *(b"PATCH", b"GET /"),
        ]

    def test_a_host_that_says_yes_and_does_nothing_is_found_out(self, short: Path) -> None:
        script: Callable[[bytes], bytes] = lambda request: NOTHING if request[:5] == b"PATCH" else STARTED  # noqa: E731
        with RawHost(short / "sock", script) as host, Client(host.path) as client:
            with pytest.raises(NotSupported, match="the host took Ready, and the state did not change"):
                client.set_ready()

    @pytest.mark.parametrize("ready", [True, False])
    def test_an_old_host_that_answers_with_its_state(
        self, ready: bool, simulate: Callable[..., Simulator]
    ) -> None:
        host = simulate(profile="lxd-5.0")
        with Client(host.path) as client:
            with pytest.raises(NotSupported, match="this host ignores it"):
                client.set_ready(ready)
            with pytest.raises(NotSupported, match="this host knows no readiness"):
                client.is_ready()

    def test_unset(self, simulate: Callable[..., Simulator]) -> None:
        host = simulate()
        with Client(host.path) as client:
            assert not client.is_ready()
            client.set_ready()
            assert client.is_ready() and host.ready
            client.set_ready(False)
            assert not client.is_ready() and not host.ready


class TestToken:
    def test_it_is_sent_with_every_request(self, short: Path) -> None:
        tokens = iter(["one", "two"])
        with RawHost(short / "sock", response(b'["/1.0"]')) as host:
            with Client(host.path, token=lambda: next(tokens)) as client:
                client.versions()
                client.versions()
        assert [b"Authorization: Bearer one" in host.requests[0], b"Bearer two" in host.requests[1]] == [
            True
        ] * 2

    def test_without_one_nothing_is_sent(self, short: Path) -> None:
        with RawHost(short / "sock", response(b'["/1.0"]')) as host, Client(host.path) as client:
            client.versions()
        assert b"uthorization" not in host.requests[0]

    @pytest.mark.parametrize("token", ["a b", "a\nb", "ü", "\x1b"])
    def test_one_that_cannot_be_sent_is_refused_without_being_shown(self, token: str, short: Path) -> None:
        with RawHost(short / "sock", response(b'["/1.0"]')) as host, Client(host.path, token=token) as client:
            with pytest.raises(InvalidRequest) as caught:
                client.versions()
        assert str(caught.value) == "bearer token: it holds characters that no token has"
        assert host.requests == []

    def test_a_host_that_does_not_trust_it_is_warned_of(
        self, simulate: Callable[..., Simulator], caplog: pytest.LogCaptureFixture
    ) -> None:
        host = simulate()
        with Client(host.path, token="secret") as client, caplog.at_level(logging.DEBUG, "devlxdctl"):
            client.state()
        warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert [record.getMessage() for record in warnings] == [
            "the host does not trust the bearer token that was given"
        ]
        assert "secret" not in caplog.text


def test_waiting_for_a_socket_that_comes(short: Path) -> None:
    path = short / "sock"
    host = RawHost(path, STARTED)
    timer = threading.Timer(0.3, host.__enter__)
    timer.start()
    try:
        with Client(path, wait=20) as client:
            assert client.state() == {"state": "Started"}
    finally:
        timer.join()
        host.__exit__(None, None, None)


def test_the_time_to_wait_counts_from_the_first_question(short: Path) -> None:
    with Client(short / "sock", wait=0.2) as client:
        for _ in range(2):
            with pytest.raises(TimedOut, match=r"no such socket; waited 0\.2 s"):
                client.state()


def test_a_socket_that_goes_after_an_answer_is_a_restart(short: Path) -> None:
    path = short / "sock"
    with Client(path) as client:
        with RawHost(path, STARTED):
            client.state()
        path.unlink()
        host = RawHost(path, STARTED)
        timer = threading.Timer(0.3, host.__enter__)
        timer.start()
        try:
            assert client.state() == {"state": "Started"}
        finally:
            timer.join()
            host.__exit__(None, None, None)
