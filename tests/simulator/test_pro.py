"""Ubuntu Pro and bearer tokens."""

import json
import re
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.simulator.simhost import HANDSHAKE, Wire, ask, guest_of

TOKENS = {"good": "trusted", "old": "expired", "forged": "wrong"}


def simulator(directory: Path, profile: str = "lxd-6", **extra: object) -> Simulator:
    guest = guest_of({"config": {"user.a": "1"}, "simulator": {"tokens": TOKENS, **extra}})
    return Simulator(directory / "lxd" / "sock", guest, profile)


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("Host", "x"), ("Authorization", f"Bearer {token}"))


def test_every_token_for_pro_is_a_new_one(short: Path) -> None:
    with simulator(short, pro="on") as host:
        assert json.loads(ask(host.path, "/1.0/ubuntu-pro").body) == {"guest_attach": "on"}
        tokens = [json.loads(ask(host.path, "/1.0/ubuntu-pro/token", "POST").body) for _ in range(2)]
    for token in tokens:
        assert list(token) == ["expires", "guest_token", "id"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", token["expires"])
    assert tokens[0]["guest_token"] != tokens[1]["guest_token"]


def test_a_key_of_the_instance_changes_the_setting_while_it_runs(short: Path) -> None:
    with simulator(short, pro="available") as host:
        host.set({"ubuntu_pro.guest_attach": "off"})
        assert json.loads(ask(host.path, "/1.0/ubuntu-pro").body) == {"guest_attach": "off"}
        reply = ask(host.path, "/1.0/ubuntu-pro/token", "POST")
    assert (reply.status, reply.body) == (
        "HTTP/1.1 403 Forbidden",
        b"Failed getting an Ubuntu Pro guest token: Guest attachment not allowed\n",
    )


@pytest.mark.parametrize(
    ("token", "auth"), [("good", "trusted"), ("unknown", "untrusted"), ("", "untrusted")]
)
def test_a_token_is_trusted_or_ignored(token: str, auth: str, short: Path) -> None:
    with simulator(short) as host:
        reply = ask(host.path, "/1.0", headers=bearer(token))
    assert json.loads(reply.body)["auth"] == auth


@pytest.mark.parametrize("target", ["/", "/1.0", "/1.0/config/user.a", "/1.0/events", "/1.0/storage-pools/x"])
@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("old", "token has invalid claims: token is expired"),
        ("forged", "token signature is invalid: signature is invalid"),
    ],
)
def test_one_that_is_not_good_any_more_is_refused_everywhere(
    target: str, token: str, why: str, short: Path
) -> None:
    with simulator(short) as host:
        reply = ask(host.path, target, headers=bearer(token))
    assert reply.status == "HTTP/1.1 403 Forbidden"
    assert reply.body.decode() == f"Failed to verify bearer token: Token is not valid: {why}\n"


def test_a_websocket_takes_one_too(short: Path) -> None:
    with simulator(short) as host:
        with Wire(host.path) as wire:
            wire.send("/1.0/events", headers=(*HANDSHAKE, ("Authorization", "Bearer old")))
            assert wire.reply().status == "HTTP/1.1 403 Forbidden"
        with Wire(host.path) as wire:
            wire.send("/1.0/events", headers=(*HANDSHAKE, ("Authorization", "Bearer good")))
            assert wire.until(b"\r\n").startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("profile", ["lxd-5.0", "incus"])
def test_older_hosts_and_incus_know_no_tokens(profile: str, short: Path) -> None:
    with simulator(short, profile, pro="on") as host:
        assert "auth" not in json.loads(ask(host.path, "/1.0", headers=bearer("old")).body)
        assert ask(host.path, "/1.0/ubuntu-pro").status == "HTTP/1.1 404 Not Found"
        assert ask(host.path, "/1.0/storage-pools/default").status == "HTTP/1.1 404 Not Found"
