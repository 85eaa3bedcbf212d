"""How LXD 5.0 and Incus differ from LXD 6: measured on LXD 5.0.2 and Incus 6.0.4."""

from pathlib import Path

import pytest

from tests.simulator.simhost import HANDSHAKE, Reply, Wire, ask, simulator

TEXT = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
JSON = [("Content-Type", "application/json")]
LXD_5_STATE = b'{"state":"","api_version":"1.0","instance_type":"container","location":"none"}\n'
INCUS_STATE = b'{"state":"Started","api_version":"1.0","instance_type":"container","location":"t6-host"}\n'
INCUS_READY = b'{"state":"Ready","api_version":"1.0","instance_type":"container","location":"t6-host"}\n'


def text(status: str, body: str) -> Reply:
    return Reply(f"HTTP/1.1 {status}", [*TEXT, ("Content-Length", str(len(body)))], body.encode())


def json(body: bytes) -> Reply:
    return Reply("HTTP/1.1 200 OK", [*JSON, ("Content-Length", str(len(body)))], body)


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "POST", "DELETE", "OPTIONS", "TRACE"])
def test_lxd_5_answers_any_method_with_its_state(short: Path, method: str) -> None:
    with simulator(short, profile="lxd-5.0") as host:
        body = None if method == "TRACE" else '{"state":"Ready"}'
        assert ask(host.path, "/1.0", method, body=body) == json(LXD_5_STATE)
        assert host.ready is None


@pytest.mark.parametrize("method", ["HEAD", "PUT", "POST", "DELETE", "OPTIONS", "TRACE"])
def test_incus_refuses_other_methods_on_the_state(short: Path, method: str) -> None:
    with simulator(short, profile="incus") as host:
        reply = ask(host.path, "/1.0", method)
    expected = text("405 Method Not Allowed", f'method "{method}" not allowed\n')
    assert reply == (expected._replace(body=b"") if method == "HEAD" else expected)


def test_incus_keeps_ready(short: Path) -> None:
    with simulator(short, profile="incus") as host:
        assert ask(host.path, "/1.0") == json(INCUS_STATE)
        assert host.ready is None
        patched = ask(host.path, "/1.0", "PATCH", body='{"state":"Ready"}')
        assert patched == (
            "HTTP/1.1 200 OK",
            [("Content-Type", "application/octet-stream"), ("Content-Length", "0")],
            b"",
        )
        assert ask(host.path, "/1.0") == json(INCUS_READY)
        assert host.ready is True
        ask(host.path, "/1.0", "PATCH", body='{"state":"Started"}')
        assert host.ready is False


@pytest.mark.parametrize(
    ("body", "complaint"),
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
def test_incus_names_what_is_wrong_with_a_state(short: Path, body: str, complaint: str) -> None:
    with simulator(short, profile="incus") as host:
        assert ask(host.path, "/1.0", "PATCH", body=body) == text("400 Bad Request", f"{complaint}\n")


@pytest.mark.parametrize("profile", ["lxd-5.0", "incus"])
@pytest.mark.parametrize(
    ("target", "reply"),
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
            Reply("HTTP/1.1 301 Moved Permanently", [("Location", "/1.0"), ("Content-Length", "0")], b""),
        ),
        (
            "/1.0/config/user.a//b",
            Reply(
                "HTTP/1.1 301 Moved Permanently",
                [("Location", "/1.0/config/user.a/b"), ("Content-Length", "0")],
                b"",
            ),
        ),
    ],
)
def test_lxd_5_and_incus_agree(short: Path, profile: str, target: str, reply: Reply) -> None:
    with simulator(short, {"user.a": "1", "limits.cpu": "2"}, profile=profile) as host:
        assert ask(host.path, target) == reply


@pytest.mark.parametrize("profile", ["lxd-5.0", "incus"])
def test_elsewhere_any_method_is_a_get(short: Path, profile: str) -> None:
    with simulator(short, {"user.a": "1"}, profile=profile) as host:
        assert ask(host.path, "/1.0/config/user.a", "DELETE").body == b"1"
        assert ask(host.path, "/1.0/config", "POST", body="x") == json(b'["/1.0/config/user.a"]\n')
        assert ask(host.path, "/", "HEAD") == json(b'["/1.0"]\n')._replace(body=b"")


@pytest.mark.parametrize(
    ("profile", "header"), [("lxd-5.0", "#cloud-config\n"), ("incus", "#cloud-config\n"), ("lxd-6", "")]
)
def test_the_meta_data_begins_as_the_host_has_it(short: Path, profile: str, header: str) -> None:
    config = {"user.meta-data": "custom: yes\n"}
    with simulator(short, config, profile=profile, instance_id="0-1") as host:
        body = ask(host.path, "/1.0/meta-data").body.decode()
    assert body == f"{header}instance-id: 0-1\nlocal-hostname: y1\ncustom: yes\n"


@pytest.mark.parametrize(("profile", "status"), [("lxd-5.0", b"101"), ("incus", b"101"), ("lxd-6", b"403")])
def test_a_foreign_origin_is_refused_by_lxd_6_only(short: Path, profile: str, status: bytes) -> None:
    with simulator(short, profile=profile) as host, Wire(host.path) as wire:
        wire.send("/1.0/events", headers=[*HANDSHAKE, ("Origin", "http://elsewhere")])
        assert wire.until(b"\r\n").split()[1] == status


@pytest.mark.parametrize(
    ("profile", "answers"),
    [
        ("lxd-5.0", ["200", "403", "403", "403"]),
        ("incus", ["200", "200", "403", "403"]),
        ("lxd-6", ["403", "403", "403", "403"]),
    ],
)
def test_an_open_connection_outlives_the_api(short: Path, profile: str, answers: list[str]) -> None:
    with simulator(short, {"user.a": "1"}, profile=profile) as host, Wire(host.path) as wire:
        assert wire.ask("/").body == b'["/1.0"]\n'
        host.switch(False)
        assert not host.path.exists()
        replies = [wire.ask(t) for t in ("/", "/1.0", "/1.0/config", "/1.0/events")]
        assert [reply.status.split()[1] for reply in replies] == answers
        host.switch(True)
        assert wire.ask("/1.0/config/user.a").body == b"1"
        assert ask(host.path, "/").body == b'["/1.0"]\n'


def test_unknown_paths_tell_an_ordinary_user_nothing_on_lxd_6_only(short: Path) -> None:
    for profile, status in (("lxd-5.0", "404"), ("incus", "404"), ("lxd-6", "401")):
        with simulator(short, profile=profile, faults=["forbidden"]) as host:
            assert ask(host.path, "/nope").status.split()[1] == status
            assert ask(host.path, "/1.0").status.split()[1] == "401"


def test_the_agent_of_a_virtual_machine_decodes_twice(short: Path) -> None:
    config = {"user.a/b": "slash", "user.a%2Fb": "percent", "user.a": "1"}
    with simulator(short, config, type="virtual-machine") as host:
        assert ask(host.path, "/1.0/config/user.a").body == b"1"
        assert ask(host.path, "/1.0/config/user.a%252Fb").body == b"slash"
        assert b'"instance_type":"virtual-machine"' in ask(host.path, "/1.0").body


def test_images_that_are_permitted_are_not_found(short: Path) -> None:
    bodies = {}
    for profile, key in (("lxd-6", "security.devlxd.images"), ("incus", "security.guestapi.images")):
        with simulator(short, {key: "true"}, profile=profile) as host:
            reply = ask(host.path, "/1.0/images/aa/export")
        assert (reply.status, reply.headers[0]) == ("HTTP/1.1 404 Not Found", JSON[0])
        bodies[profile] = reply.body
    head = b'{"type":"error","status":"","status_code":0,"operation":"","error_code":404,"error":'
    assert bodies["lxd-6"] == head + b'"Not Found","metadata":null}\n\n'
    assert bodies["incus"] == head + b'"Image not found","metadata":null}\n\n'
