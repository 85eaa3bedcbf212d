"""Tests that compare the profile lxd-6 byte for byte with the recordings of LXD 6.9 in `tests/data`."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.instance import Refused
from tests.simulator.simhost import RawConnection, make_guest, recording

BASICS = recording("lxd-6.9-basics.json")
CONFIG = recording("lxd-6.9-config.json")
EVENTS = recording("lxd-6.9-events.json")

# Responses whose bodies are not compared byte by byte, with the reason.
UNORDERED = {
    ("GET", "/1.0/config"): "real hosts return the keys in random order",
}


@pytest.fixture
def basics(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(tmp_path / "lxd" / "sock", make_guest(BASICS["guest"]), "lxd-6") as simulator:
        yield simulator


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(tmp_path / "lxd" / "sock", make_guest(CONFIG["guest"]), "lxd-6") as simulator:
        yield simulator


def check_exchange(simulator: Simulator, exchange: dict[str, Any]) -> None:
    request, recorded = exchange["request"], exchange["response"]
    with RawConnection(simulator.path) as connection:
        response = connection.request(**request)
    headers = response.headers
    if "headers_of" in recorded:  # the recording has only these headers
        headers = [(name, value) for name, value in headers if name in recorded["headers_of"]]
    assert response.status == recorded["status"]
    assert headers == [tuple(header) for header in recorded["headers"]]
    if "sha256" in recorded:
        assert hashlib.sha256(response.body).hexdigest() == recorded["sha256"]
        return
    body = recorded["body"].encode()
    if (request["method"], request["target"]) in UNORDERED:
        assert sorted(json.loads(response.body)) == sorted(json.loads(body))
        assert len(response.body) == len(body)
    elif recorded.get("cut"):
        assert response.body.startswith(body)
    else:
        assert response.body == body
    if "ready" in exchange:
        assert simulator.ready is exchange["ready"]


def test_basic_responses_equal_the_recording(basics: Simulator) -> None:
    for exchange in BASICS["exchanges"]:
        try:
            check_exchange(basics, exchange)
        except AssertionError as error:
            raise AssertionError(f"{exchange['request']}: {error}") from error


def test_config_responses_equal_the_recording(config: Simulator) -> None:
    for exchange in CONFIG["exchanges"]:
        try:
            check_exchange(config, exchange)
        except AssertionError as error:
            raise AssertionError(f"{exchange['request']}: {error}") from error


@pytest.mark.parametrize("key", CONFIG["refused"])
def test_keys_refused_in_the_recording_are_refused(config: Simulator, key: str) -> None:
    with pytest.raises(Refused, match=f"^{re.escape(CONFIG['refused'][key])}$"):
        config.set({key: "1"})


@pytest.mark.parametrize("target", ["/", "/1.0", "/1.0/config", "/nope"])
def test_401_for_non_root_equals_the_recording(tmp_path: Path, target: str) -> None:
    guest = make_guest(BASICS["guest"])
    with (
        Simulator(tmp_path / "sock", guest, "lxd-6", ["forbidden"]) as simulator,
        RawConnection(simulator.path) as connection,
    ):
        response = connection.request(target, headers=[("Host", "x"), ("Connection", "close")])
    assert response == (
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


def test_events_equal_the_recording(basics: Simulator) -> None:
    with RawConnection(basics.path) as websocket, RawConnection(basics.path) as plain:
        websocket.open_websocket()
        plain.send("/1.0/events")
        assert plain.read_until(b"\n\n") == (
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
            # The events of one update arrive in any order.
            recorded = sorted(map(without_timestamp, step["events"]))
            frames = [websocket.read_frame() for _ in recorded]
            assert [(fin, opcode) for fin, opcode, _ in frames] == [(True, 0x1)] * len(recorded)
            assert sorted(without_timestamp(payload) for _, _, payload in frames) == recorded
            assert sorted(without_timestamp(plain.read_until(b"\n")) for _ in recorded) == recorded


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
def test_large_value_is_chunked_as_in_the_recording(
    basics: Simulator, size: int, header: tuple[str, str]
) -> None:
    basics.set({"user.big": "x" * size})
    with RawConnection(basics.path) as connection:
        response = connection.request("/1.0/config/user.big")
        next_response = connection.request("/")
    assert response == (
        "HTTP/1.1 200 OK",
        [("Content-Type", "application/octet-stream"), header],
        b"x" * size,
    )
    assert next_response.body == b'["/1.0"]\n'
