"""Tests of the differences of LXD 5.0 and Incus from LXD 6, measured on LXD 5.0.2 and Incus 6.0.4."""

from pathlib import Path

import pytest

from tests.simulator.simhost import HANDSHAKE, RawConnection, Response, make_simulator, request

TEXT = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
JSON = [("Content-Type", "application/json")]
LXD_5_STATE = b'{"state":"","api_version":"1.0","instance_type":"container","location":"none"}\n'
INCUS_STATE = b'{"state":"Started","api_version":"1.0","instance_type":"container","location":"t6-host"}\n'
INCUS_READY = b'{"state":"Ready","api_version":"1.0","instance_type":"container","location":"t6-host"}\n'


def text(status: str, body: str) -> Response:
    return Response(f"HTTP/1.1 {status}", [*TEXT, ("Content-Length", str(len(body)))], body.encode())


def json(body: bytes) -> Response:
    return Response("HTTP/1.1 200 OK", [*JSON, ("Content-Length", str(len(body)))], body)


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "POST", "DELETE", "OPTIONS", "TRACE"])
def test_lxd_5_responds_to_any_method_with_its_state(short: Path, method: str) -> None:
    with make_simulator(short, profile="lxd-5.0") as simulator:
        body = None if method == "TRACE" else '{"state":"Ready"}'
        assert request(simulator.path, "/1.0", method, body=body) == json(LXD_5_STATE)
        assert simulator.ready is None


@pytest.mark.parametrize("method", ["HEAD", "PUT", "POST", "DELETE", "OPTIONS", "TRACE"])
def test_incus_responds_405_to_other_methods_on_the_state(short: Path, method: str) -> None:
    with make_simulator(short, profile="incus") as simulator:
        response = request(simulator.path, "/1.0", method)
    expected = text("405 Method Not Allowed", f'method "{method}" not allowed\n')
    assert response == (expected._replace(body=b"") if method == "HEAD" else expected)


def test_incus_stores_ready(short: Path) -> None:
    with make_simulator(short, profile="incus") as simulator:
        assert request(simulator.path, "/1.0") == json(INCUS_STATE)
        assert simulator.ready is None
        patched = request(simulator.path, "/1.0", "PATCH", body='{"state":"Ready"}')
        assert patched == (
            "HTTP/1.1 200 OK",
            [("Content-Type", "application/octet-stream"), ("Content-Length", "0")],
            b"",
        )
        assert request(simulator.path, "/1.0") == json(INCUS_READY)
        assert simulator.ready is True
        request(simulator.path, "/1.0", "PATCH", body='{"state":"Started"}')
        assert simulator.ready is False


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"state":"Bogus"}', 'Invalid state "Bogus"'),
        ("{}", 'Invalid state ""'),
        ("{bad", "invalid character 'b' looking for beginning of object key string"),
        ("", "EOF"),
        ('{"state"', "unexpected EOF"),
        (
            '{"state":5}',
            "json: cannot unmarshal number into Go struct field DevIncusPut.state of type string",
        ),
        ("[]", "json: cannot unmarshal array into Go value of type api.DevIncusPut"),
    ],
)
def test_incus_error_names_the_problem_of_an_invalid_state(short: Path, body: str, message: str) -> None:
    with make_simulator(short, profile="incus") as simulator:
        assert request(simulator.path, "/1.0", "PATCH", body=body) == text("400 Bad Request", f"{message}\n")


@pytest.mark.parametrize("profile", ["lxd-5.0", "incus"])
@pytest.mark.parametrize(
    ("target", "response"),
    [
        ("/", json(b'["/1.0"]\n')),
        ("/nope", text("404 Not Found", "404 page not found\n")),
        ("/1.0/", text("404 Not Found", "404 page not found\n")),
        ("/1.0/config/user.a/", text("404 Not Found", "404 page not found\n")),
        ("/1.0/config/user.a/b", text("404 Not Found", "404 page not found\n")),
        ("/1.0/ubuntu-pro", text("404 Not Found", "404 page not found\n")),
        ("/1.0/config/user.missing", text("404 Not Found", "not found\n")),
        ("/1.0/config/limits.cpu", text("403 Forbidden", "not authorized\n")),
        ("/1.0/images/aa/export", text("403 Forbidden", "not authorized\n")),
        (
            "//1.0",
            Response("HTTP/1.1 301 Moved Permanently", [("Location", "/1.0"), ("Content-Length", "0")], b""),
        ),
        (
            "/1.0/config/user.a//b",
            Response(
                "HTTP/1.1 301 Moved Permanently",
                [("Location", "/1.0/config/user.a/b"), ("Content-Length", "0")],
                b"",
            ),
        ),
    ],
)
def test_lxd_5_and_incus_send_the_same_responses(
    short: Path, profile: str, target: str, response: Response
) -> None:
    with make_simulator(short, {"user.a": "1", "limits.cpu": "2"}, profile=profile) as simulator:
        assert request(simulator.path, target) == response


@pytest.mark.parametrize("profile", ["lxd-5.0", "incus"])
def test_lxd_5_and_incus_treat_any_method_as_get_outside_the_state(short: Path, profile: str) -> None:
    with make_simulator(short, {"user.a": "1"}, profile=profile) as simulator:
        assert request(simulator.path, "/1.0/config/user.a", "DELETE").body == b"1"
        assert request(simulator.path, "/1.0/config", "POST", body="x") == json(b'["/1.0/config/user.a"]\n')
        assert request(simulator.path, "/", "HEAD") == json(b'["/1.0"]\n')._replace(body=b"")


@pytest.mark.parametrize(
    ("profile", "header"), [("lxd-5.0", "#cloud-config\n"), ("incus", "#cloud-config\n"), ("lxd-6", "")]
)
def test_meta_data_starts_with_the_header_of_the_profile(short: Path, profile: str, header: str) -> None:
    config = {"user.meta-data": "custom: yes\n"}
    with make_simulator(short, config, profile=profile, instance_id="0-1") as simulator:
        body = request(simulator.path, "/1.0/meta-data").body.decode()
    assert body == f"{header}instance-id: 0-1\nlocal-hostname: y1\ncustom: yes\n"


@pytest.mark.parametrize(("profile", "status"), [("lxd-5.0", b"101"), ("incus", b"101"), ("lxd-6", b"403")])
def test_only_lxd_6_refuses_a_websocket_with_foreign_origin(short: Path, profile: str, status: bytes) -> None:
    with make_simulator(short, profile=profile) as simulator, RawConnection(simulator.path) as connection:
        connection.send("/1.0/events", headers=[*HANDSHAKE, ("Origin", "http://elsewhere")])
        assert connection.read_until(b"\r\n").split()[1] == status


@pytest.mark.parametrize(
    ("profile", "statuses"),
    [
        ("lxd-5.0", ["200", "403", "403", "403"]),
        ("incus", ["200", "200", "403", "403"]),
        ("lxd-6", ["403", "403", "403", "403"]),
    ],
)
def test_open_connection_survives_switching_the_api_off(
    short: Path, profile: str, statuses: list[str]
) -> None:
    with (
        make_simulator(short, {"user.a": "1"}, profile=profile) as simulator,
        RawConnection(simulator.path) as connection,
    ):
        assert connection.request("/").body == b'["/1.0"]\n'
        simulator.switch(False)
        assert not simulator.path.exists()
        responses = [connection.request(t) for t in ("/", "/1.0", "/1.0/config", "/1.0/events")]
        assert [response.status.split()[1] for response in responses] == statuses
        simulator.switch(True)
        assert connection.request("/1.0/config/user.a").body == b"1"
        assert request(simulator.path, "/").body == b'["/1.0"]\n'


def test_only_lxd_6_responds_401_to_non_root_on_unknown_paths(short: Path) -> None:
    for profile, status in (("lxd-5.0", "404"), ("incus", "404"), ("lxd-6", "401")):
        with make_simulator(short, profile=profile, faults=["forbidden"]) as simulator:
            assert request(simulator.path, "/nope").status.split()[1] == status
            assert request(simulator.path, "/1.0").status.split()[1] == "401"


def test_virtual_machine_decodes_keys_twice(short: Path) -> None:
    config = {"user.a/b": "slash", "user.a%2Fb": "percent", "user.a": "1"}
    with make_simulator(short, config, type="virtual-machine") as simulator:
        assert request(simulator.path, "/1.0/config/user.a").body == b"1"
        assert request(simulator.path, "/1.0/config/user.a%252Fb").body == b"slash"
        assert b'"instance_type":"virtual-machine"' in request(simulator.path, "/1.0").body


def test_unknown_image_is_not_found_if_export_is_allowed(short: Path) -> None:
    bodies = {}
    for profile, key in (("lxd-6", "security.devlxd.images"), ("incus", "security.guestapi.images")):
        with make_simulator(short, {key: "true"}, profile=profile) as simulator:
            response = request(simulator.path, "/1.0/images/aa/export")
        assert (response.status, response.headers[0]) == ("HTTP/1.1 404 Not Found", JSON[0])
        bodies[profile] = response.body
    head = b'{"type":"error","status":"","status_code":0,"operation":"","error_code":404,"error":'
    assert bodies["lxd-6"] == head + b'"Not Found","metadata":null}\n\n'
    assert bodies["incus"] == head + b'"Image not found","metadata":null}\n\n'
