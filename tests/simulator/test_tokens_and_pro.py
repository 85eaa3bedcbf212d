"""Tests of Ubuntu Pro and bearer tokens."""

import json
import re
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.simulator.simhost import HANDSHAKE, RawConnection, make_guest, request

TOKENS = {"good": "trusted", "old": "expired", "forged": "wrong"}


def make_simulator(directory: Path, profile: str = "lxd-6", **extra: object) -> Simulator:
    guest = make_guest({"config": {"user.a": "1"}, "simulator": {"tokens": TOKENS, **extra}})
    return Simulator(directory / "lxd" / "sock", guest, profile)


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("Host", "x"), ("Authorization", f"Bearer {token}"))


def test_pro_issues_a_new_token_each_time(short: Path) -> None:
    with make_simulator(short, pro="on") as simulator:
        assert json.loads(request(simulator.path, "/1.0/ubuntu-pro").body) == {"guest_attach": "on"}
        tokens = [json.loads(request(simulator.path, "/1.0/ubuntu-pro/token", "POST").body) for _ in range(2)]
    for token in tokens:
        assert list(token) == ["expires", "guest_token", "id"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", token["expires"])
    assert tokens[0]["guest_token"] != tokens[1]["guest_token"]


def test_instance_key_changes_the_pro_setting_live(short: Path) -> None:
    with make_simulator(short, pro="available") as simulator:
        simulator.set({"ubuntu_pro.guest_attach": "off"})
        assert json.loads(request(simulator.path, "/1.0/ubuntu-pro").body) == {"guest_attach": "off"}
        response = request(simulator.path, "/1.0/ubuntu-pro/token", "POST")
    assert (response.status, response.body) == (
        "HTTP/1.1 403 Forbidden",
        b"Failed getting an Ubuntu Pro guest token: Guest attachment not allowed\n",
    )


@pytest.mark.parametrize(
    ("token", "auth"), [("good", "trusted"), ("unknown", "untrusted"), ("", "untrusted")]
)
def test_known_token_is_trusted_and_unknown_token_is_ignored(token: str, auth: str, short: Path) -> None:
    with make_simulator(short) as simulator:
        response = request(simulator.path, "/1.0", headers=bearer(token))
    assert json.loads(response.body)["auth"] == auth


@pytest.mark.parametrize("target", ["/", "/1.0", "/1.0/config/user.a", "/1.0/events", "/1.0/storage-pools/x"])
@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("old", "token has invalid claims: token is expired"),
        ("forged", "token signature is invalid: signature is invalid"),
    ],
)
def test_expired_or_forged_token_gets_403_everywhere(
    target: str, token: str, reason: str, short: Path
) -> None:
    with make_simulator(short) as simulator:
        response = request(simulator.path, target, headers=bearer(token))
    assert response.status == "HTTP/1.1 403 Forbidden"
    assert response.body.decode() == f"Failed to verify bearer token: Token is not valid: {reason}\n"


def test_websocket_checks_the_token(short: Path) -> None:
    with make_simulator(short) as simulator:
        with RawConnection(simulator.path) as connection:
            connection.send("/1.0/events", headers=(*HANDSHAKE, ("Authorization", "Bearer old")))
            assert connection.read_response().status == "HTTP/1.1 403 Forbidden"
        with RawConnection(simulator.path) as connection:
            connection.send("/1.0/events", headers=(*HANDSHAKE, ("Authorization", "Bearer good")))
            assert connection.read_until(b"\r\n").startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("profile", ["lxd-5.0", "incus"])
def test_lxd_5_and_incus_ignore_tokens(profile: str, short: Path) -> None:
    with make_simulator(short, profile, pro="on") as simulator:
        assert "auth" not in json.loads(request(simulator.path, "/1.0", headers=bearer("old")).body)
        assert request(simulator.path, "/1.0/ubuntu-pro").status == "HTTP/1.1 404 Not Found"
        assert request(simulator.path, "/1.0/storage-pools/default").status == "HTTP/1.1 404 Not Found"
