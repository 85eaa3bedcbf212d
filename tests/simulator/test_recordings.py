"""The profile lxd-6 answers as LXD 6.9 did, byte for byte: `tests/data` has what was recorded there."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.instance import Refused
from tests.simulator.simhost import Wire, data, guest_of

BASICS = data("lxd-6.9-basics.json")
CONFIG = data("lxd-6.9-config.json")
EVENTS = data("lxd-6.9-events.json")

# Where bodies are not compared byte by byte, and why.
UNORDERED = {
    ("GET", "/1.0/config"): "a host too lists the keys in another order each time",
}


@pytest.fixture
def basics(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(tmp_path / "lxd" / "sock", guest_of(BASICS["guest"]), "lxd-6") as host:
        yield host


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(tmp_path / "lxd" / "sock", guest_of(CONFIG["guest"]), "lxd-6") as host:
        yield host


def check(host: Simulator, exchange: dict[str, Any]) -> None:
    request, recorded = exchange["request"], exchange["response"]
    with Wire(host.path) as wire:
        reply = wire.ask(**request)
    headers = reply.headers
    if "headers_of" in recorded:  # only these were kept
        headers = [(name, value) for name, value in headers if name in recorded["headers_of"]]
    assert reply.status == recorded["status"]
    assert headers == [tuple(header) for header in recorded["headers"]]
    if "sha256" in recorded:
        assert hashlib.sha256(reply.body).hexdigest() == recorded["sha256"]
        return
    body = recorded["body"].encode()
    if (request["method"], request["target"]) in UNORDERED:
        assert sorted(json.loads(reply.body)) == sorted(json.loads(body))
        assert len(reply.body) == len(body)
    elif recorded.get("cut"):
        assert reply.body.startswith(body)
    else:
        assert reply.body == body
    if "ready" in exchange:
        assert host.ready is exchange["ready"]


def test_it_answers_as_recorded_one_request_after_the_other(basics: Simulator) -> None:
    for exchange in BASICS["exchanges"]:
        try:
            check(basics, exchange)
        except AssertionError as error:
            raise AssertionError(f"{exchange['request']}: {error}") from error


def test_it_serves_config_as_recorded(config: Simulator) -> None:
    for exchange in CONFIG["exchanges"]:
        try:
            check(config, exchange)
        except AssertionError as error:
            raise AssertionError(f"{exchange['request']}: {error}") from error


@pytest.mark.parametrize("key", CONFIG["refused"])
def test_it_refuses_the_keys_that_the_host_refused(config: Simulator, key: str) -> None:
    with pytest.raises(Refused, match=f"^{re.escape(CONFIG['refused'][key])}$"):
        config.set({key: "1"})


@pytest.mark.parametrize("target", ["/", "/1.0", "/1.0/config", "/nope"])
def test_an_ordinary_user_is_refused_as_recorded(tmp_path: Path, target: str) -> None:
    guest = guest_of(BASICS["guest"])
    with Simulator(tmp_path / "sock", guest, "lxd-6", ["forbidden"]) as host, Wire(host.path) as wire:
        reply = wire.ask(target, headers=[("Host", "x"), ("Connection", "close")])
    assert reply == (
        "HTTP/1.1 401 Unauthorized",
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Length", "32"),
            ("Connection", "close"),
        ],
        b"Access denied for non-root user\n",
    )


def without_timestamp(line: bytes | str) -> str:
    text = line.decode() if isinstance(line, bytes) else line
    return re.sub(r'"timestamp":"[0-9-]{10}T[0-9:]{8}(\.\d{0,8}[1-9])?Z"', '"timestamp":""', text)


def test_it_sends_the_recorded_events(basics: Simulator) -> None:
    with Wire(basics.path) as websocket, Wire(basics.path) as plain:
        websocket.upgrade()
        plain.send("/1.0/events")
        assert plain.until(b"\n\n") == (
            b"HTTP/1.1 200 OK\nConnection: keep-alive\nContent-Type: application/json\n"
            b"X-Content-Type-Options: nosniff\n\n"
        )
        for step in EVENTS:
            if "set" in step:
                basics.set(step["set"])
            elif step["config"] is None:
                basics.remove_device(step["device"])
            else:
                basics.device(step["device"], step["config"])
            # Those of one update come in either order.
            recorded = sorted(map(without_timestamp, step["events"]))
            frames = [websocket.frame() for _ in recorded]
            assert [(fin, opcode) for fin, opcode, _ in frames] == [(True, 0x1)] * len(recorded)
            assert sorted(without_timestamp(payload) for _, _, payload in frames) == recorded
            assert sorted(without_timestamp(plain.until(b"\n")) for _ in recorded) == recorded


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (2040, ("Content-Length", "2040")),
        (2048, ("Content-Length", "2048")),
        (2049, ("Transfer-Encoding", "chunked")),
        (4096, ("Transfer-Encoding", "chunked")),
        (1 << 20, ("Transfer-Encoding", "chunked")),
    ],
)
def test_a_large_value_is_chunked_as_recorded(basics: Simulator, size: int, header: tuple[str, str]) -> None:
    basics.set({"user.big": "x" * size})
    with Wire(basics.path) as wire:
        reply = wire.ask("/1.0/config/user.big")
        again = wire.ask("/")
    assert reply == (
        "HTTP/1.1 200 OK",
        [("Content-Type", "application/octet-stream"), header],
        b"x" * size,
    )
    assert again.body == b'["/1.0"]\n'
