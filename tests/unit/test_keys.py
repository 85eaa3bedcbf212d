"""Reading config keys: which are read, how their names are sent, and which responses are no value."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devlxdctl import Client, InvalidRequest, NotFound, NotSupported, PermissionDenied, UnexpectedResponse
from devlxdctl.simulator import Simulator
from tests.support.raw_host import OCTET_STREAM, RawHost, response
from tests.unit.conftest import StartSimulator

VIRTUAL_MACHINE = "config: {user.a: '1', user.a/b: '2', user.50%: '3'}\nsimulator: {type: virtual-machine}\n"


def test_key_unset_between_list_and_read_is_left_out(socket_directory: Path) -> None:
    def script(request: bytes) -> bytes:
        if request.startswith(b"GET /1.0/config HTTP"):
            return response(json.dumps([f"/1.0/config/user.{name}" for name in "cab"]).encode())
        if b"user.b" in request:
            return response(b"not found\n", "text/plain", "404 Not Found")
        return response(request[len(b"GET /1.0/config/user.") :][:1], OCTET_STREAM)

    with RawHost(socket_directory / "sock", script) as raw_host, Client(raw_host.path) as client:
        assert list(client.config().items()) == [("user.a", "a"), ("user.c", "c")]
        with pytest.raises(NotFound) as caught:
            client.config_get("user.b")
    assert str(caught.value) == "user.b: not set on this instance"


def test_default_does_not_stand_for_a_forbidden_key(start_simulator: StartSimulator) -> None:
    simulator = start_simulator("config: {user.a: '1'}")
    with Client(simulator.path) as client, pytest.raises(PermissionDenied) as caught:
        client.config_get_many(["user.a", "limits.cpu", "user.b"], default="")
    assert (caught.value.subject, caught.value.http_status) == ("limits.cpu", 403)
    assert caught.value.hint == "guests can read user.* and cloud-init.* keys only"


def test_several_keys_are_returned_in_the_order_of_the_arguments(start_simulator: StartSimulator) -> None:
    simulator = start_simulator("config: {user.a: '1', user.b: '2'}")
    with Client(simulator.path) as client:
        found = client.config_get_many(["user.b", "user.x", "user.a", "user.b"], default="none")
    assert list(found.items()) == [("user.b", "2"), ("user.x", "none"), ("user.a", "1")]


def test_error_names_every_key_that_is_not_set_and_a_similar_one(start_simulator: StartSimulator) -> None:
    simulator = start_simulator("config: {user.role: web}")
    with Client(simulator.path) as client, pytest.raises(NotFound) as caught:
        client.config_get_many(["user.rol", "user.role", "user.x"])
    assert str(caught.value) == "user.rol, user.x: not set on this instance"
    assert caught.value.hint == "did you mean user.role?"


def test_named_key_must_be_set_unless_optional(start_simulator: StartSimulator) -> None:
    simulator = start_simulator("config: {user.role: web}")
    with Client(simulator.path) as client:
        for read in (client.config, client.config_keys):
            with pytest.raises(NotFound) as caught:
                read("user.port", "user.r*")
            assert str(caught.value) == "user.port: not set on this instance"
        assert client.config("user.port", "user.r*", optional=True) == {"user.role": "web"}
        assert client.config_keys("user.port", "user.r*", optional=True) == ["user.role"]
        assert client.config("nothing.*") == {}


any_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(key=any_text.map("user.{}".format), value=any_text)
def test_any_key_and_value_is_read_as_it_was_set(key: str, value: str, simulator: Simulator) -> None:
    simulator.set({key: value})
    glob = key.replace("[", "[[]").replace("?", "[?]").replace("*", "[*]")
    with Client(simulator.path) as client:
        assert client.config_get(key) == value
        assert client.config(glob) == {key: value}
    simulator.unset(key)


@pytest.mark.parametrize("key", ["", ".", "..", "user.\ud800"])
def test_invalid_key_is_not_requested(key: str, socket_directory: Path) -> None:
    """HTTP clients and servers would make another path of the first three."""
    with RawHost(socket_directory / "sock", None) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(InvalidRequest) as caught:
            client.config_get(key)
        assert str(caught.value) == f"config key {key!r}: not a valid name"
        assert raw_host.requests == []


def test_value_that_is_not_utf8_can_be_encoded_to_the_same_bytes(socket_directory: Path) -> None:
    value = b"\xff\xfe\x00a"
    with RawHost(socket_directory / "sock", response(value, OCTET_STREAM)) as raw_host:
        with Client(raw_host.path) as client:
            assert client.config_get("user.a").encode("utf-8", "surrogateescape") == value


@pytest.mark.parametrize(
    ("given", "content_type"),
    [
        (response(b'["/1.0"]\n'), "application/json"),
        (response(b"<a>", "text/html"), "text/html"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "none"),
    ],
)
def test_response_of_another_content_type_is_no_value(
    given: bytes, content_type: str, socket_directory: Path
) -> None:
    with RawHost(socket_directory / "sock", given) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(UnexpectedResponse) as caught:
            client.config_get("user.a")
    assert str(caught.value) == f"user.a: unexpected content type {content_type}"


def test_key_that_the_agent_of_a_virtual_machine_decodes_twice_is_not_supported(
    start_simulator: StartSimulator,
) -> None:
    simulator = start_simulator(VIRTUAL_MACHINE)
    with Client(simulator.path) as client:
        assert client.config_get("user.a") == "1"
        for key in ("user.a/b", "user.50%"):
            with pytest.raises(NotSupported) as caught:
                client.config_get(key)
            assert str(caught.value) == f"{key}: keys with % or / cannot be read in a virtual machine"


def test_keys_that_the_agent_decodes_twice_are_left_out_with_a_warning(
    start_simulator: StartSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    simulator = start_simulator(VIRTUAL_MACHINE)
    with Client(simulator.path) as client, caplog.at_level(logging.WARNING, "devlxdctl"):
        assert client.config_keys() == ["user.50%", "user.a", "user.a/b"]
        assert client.config() == {"user.a": "1"}
    assert [record.getMessage() for record in caplog.records] == [
        f"{key}: keys with % or / cannot be read in a virtual machine" for key in ("user.50%", "user.a/b")
    ]
