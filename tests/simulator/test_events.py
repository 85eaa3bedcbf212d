"""The event stream: what causes events, who gets them, and when a host drops a listener."""

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.profiles import LXD_6
from tests.simulator.simhost import HANDSHAKE, LIMIT, Wire, simulator

NIC = {"type": "nic", "name": "eth0", "nictype": "p2p"}


@pytest.fixture
def host(short: Path) -> Iterator[Simulator]:
    with simulator(short, {"user.a": "1"}, {"eth0": NIC}) as running:
        yield running


def keys(events: list[Any]) -> list[str]:
    return [event["metadata"].get("key", event["metadata"].get("name")) for event in events]


def cause_everything(host: Simulator) -> None:
    host.set({"user.t": "1"})
    host.device("none", {"type": "none"})
    host.set({"user.end": "1"})
    host.device("end", {"type": "none"})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["user.t", "none", "user.end", "end"]),
        ("?type=", ["user.t", "none", "user.end", "end"]),
        ("?type=config,device", ["user.t", "none", "user.end", "end"]),
        ("?type=config", ["user.t", "user.end"]),
        ("?type=device", ["none", "end"]),
        ("?type=config&type=device", ["user.t", "user.end"]),
        ("?type=config,bogus", ["user.t", "user.end"]),
        ("?type=config,", ["user.t", "user.end"]),
        ("?type=config;device", ["user.t", "none", "user.end", "end"]),
    ],
)
def test_a_listener_gets_the_types_that_it_asked_for(
    host: Simulator, query: str, expected: list[str]
) -> None:
    with Wire(host.path) as websocket, Wire(host.path) as plain:
        websocket.upgrade(f"/1.0/events{query}")
        plain.send(f"/1.0/events{query}")
        plain.until(b"\n\n")
        cause_everything(host)
        assert keys([websocket.event() for _ in expected]) == expected
        assert keys([json.loads(plain.until(b"\n")) for _ in expected]) == expected


@pytest.mark.parametrize("query", ["?type=bogus", "?type=Config", "?type=%20config", "?type=lifecycle"])
def test_an_unknown_type_is_accepted_and_silent(short: Path, query: str) -> None:
    profile = dataclasses.replace(LXD_6, ping_every=0.1)
    with simulator(short, profile=profile) as host, Wire(host.path) as websocket:
        websocket.upgrade(f"/1.0/events{query}")
        cause_everything(host)
        # The next ping comes with nothing before it.
        assert websocket.frame() == (True, 0x9, b"")


def test_only_real_changes_of_user_keys_are_told(host: Simulator) -> None:
    with Wire(host.path) as wire:
        wire.upgrade()
        host.set({"user.a": "1"})
        host.set({"cloud-init.user-data": "#cloud-config\n"})
        host.set({"limits.cpu": "2"})
        host.set({"user.never": ""})
        host.device("eth0", NIC)
        host.device("eth0", {**NIC, "limits.ingress": "1Mbit"})
        host.set({"user.a": "2"})
        assert wire.event()["metadata"] == {"key": "user.a", "old_value": "1", "value": "2"}


@pytest.mark.parametrize("profile", ["lxd-5.0", "incus"])
def test_other_hosts_tell_a_limit_of_a_nic_as_an_update(short: Path, profile: str) -> None:
    with simulator(short, {}, {"eth0": NIC}, profile) as host, Wire(host.path) as wire:
        wire.send("/1.0/events", headers=HANDSHAKE)
        wire.until(b"\r\n\r\n")
        assert wire.frame() == (True, 0x9, b"keepalive")
        host.device("eth0", {**NIC, "limits.ingress": "1Mbit"})
        assert wire.event()["metadata"] == {
            "action": "updated",
            "config": {**NIC, "limits.ingress": "1Mbit"},
            "name": "eth0",
        }


def test_the_address_of_a_nic_is_among_the_devices_but_in_no_event(host: Simulator) -> None:
    with Wire(host.path) as wire, Wire(host.path) as other:
        wire.upgrade()
        host.device("eth1", NIC)
        assert wire.event()["metadata"]["config"] == NIC
        devices = json.loads(other.ask("/1.0/devices").body)
        assert devices["eth1"]["hwaddr"] == host.show()["config"]["volatile.eth1.hwaddr"]
        host.remove_device("eth1")
        assert "volatile.eth1.hwaddr" not in host.show()["config"]


def test_an_update_of_many_keys_is_told_wholly_but_not_in_order(host: Simulator) -> None:
    changes = {f"user.k{i}": str(i) for i in range(200)}
    with Wire(host.path) as wire:
        wire.upgrade()
        host.set(changes)
        events = [wire.event() for _ in changes]
    assert {e["metadata"]["key"]: e["metadata"]["value"] for e in events} == changes
    stamps = [e["timestamp"].rstrip("Z").ljust(29, "0") for e in events]
    assert stamps != sorted(stamps)
    assert len(set(stamps)) == len(stamps)


def test_single_updates_are_told_in_order(host: Simulator) -> None:
    with Wire(host.path) as wire:
        wire.upgrade()
        for i in range(100):
            host.set({"user.n": str(i + 1)})
        assert [wire.event()["metadata"]["value"] for _ in range(100)] == [str(i + 1) for i in range(100)]


@pytest.mark.parametrize(
    ("size", "cut"), [(100, []), (5000, [4082, None]), (600_000, [None, 0])], ids=["small", "medium", "large"]
)
def test_a_large_event_is_fragmented(host: Simulator, size: int, cut: list[int | None]) -> None:
    with Wire(host.path) as wire:
        wire.upgrade()
        host.set({"user.big": "x" * size})
        frames = [wire.frame()]
        while not frames[-1][0]:
            frames.append(wire.frame())
    payload = b"".join(part for _, _, part in frames)
    assert json.loads(payload)["metadata"]["value"] == "x" * size
    expected = [1 if i == 0 else 0 for i in range(len(cut) or 1)]
    assert [opcode for _, opcode, _ in frames] == expected
    for (_, _, part), length in zip(frames, cut, strict=False):
        assert length is None or len(part) == length


def test_upgrade_must_be_spelled_in_lower_case(host: Simulator) -> None:
    headers = [(name, value.replace("websocket", "WebSocket")) for name, value in HANDSHAKE]
    with Wire(host.path) as wire:
        wire.send("/1.0/events", headers=headers)
        assert wire.until(b"\n\n").startswith(b"HTTP/1.1 200 OK\nConnection: keep-alive\n")
        host.set({"user.a": "2"})
        assert json.loads(wire.until(b"\n"))["metadata"]["value"] == "2"


def test_http_1_0_gets_the_plain_stream(host: Simulator) -> None:
    with Wire(host.path) as wire:
        wire.send("/1.0/events", version="HTTP/1.0")
        assert wire.until(b"\n\n").startswith(b"HTTP/1.1 200 OK\n")


def test_pings_and_a_close_are_answered(host: Simulator) -> None:
    with Wire(host.path) as wire:
        wire.upgrade()
        wire.send_frame(0x9, b"are you there")
        assert wire.frame() == (True, 0xA, b"are you there")
        wire.send_frame(0x8, b"\x03\xe8bye")
        assert wire.frame() == (True, 0x8, b"\x03\xe8")
        assert wire.rest() == b""


def test_who_answers_no_ping_is_dropped(short: Path) -> None:
    profile = dataclasses.replace(LXD_6, ping_every=0.1, pong_limit=0.3)
    with simulator(short, profile=profile) as host, Wire(host.path) as silent, Wire(host.path) as lively:
        silent.upgrade()
        lively.upgrade()
        lively.send_frame(0xA)
        for _ in range(5):
            assert lively.frame() == (True, 0x9, b"")
            lively.send_frame(0xA)
        # Nothing but the pings, and then the end without a close frame.
        assert set(silent.rest()[::2]) == {0x89}


@pytest.mark.parametrize("plain", [True, False])
def test_who_takes_nothing_is_dropped_in_the_middle(short: Path, plain: bool) -> None:
    profile = dataclasses.replace(LXD_6, stall_limit=0.3)
    with simulator(short, profile=profile) as host, Wire(host.path) as wire:
        if plain:
            wire.send("/1.0/events")
            wire.until(b"\n\n")
        else:
            wire.upgrade()
        host.set({"user.big": "x" * 1_200_000})
        deadline = time.monotonic() + LIMIT
        while host.show()["listeners"]:
            assert time.monotonic() < deadline
        assert 0 < len(wire.rest()) < 1_200_000


def test_open_streams_go_on_while_the_api_is_off(host: Simulator) -> None:
    with Wire(host.path) as websocket, Wire(host.path) as plain:
        websocket.upgrade()
        plain.send("/1.0/events")
        plain.until(b"\n\n")
        host.switch(False)
        host.set({"user.a": "2"})
        assert websocket.event()["metadata"]["value"] == "2"
        assert json.loads(plain.until(b"\n"))["metadata"]["value"] == "2"


def test_a_restart_ends_streams_without_a_word(host: Simulator) -> None:
    with Wire(host.path) as websocket, Wire(host.path) as plain:
        websocket.upgrade()
        plain.send("/1.0/events")
        plain.until(b"\n\n")
        host.restart(0.05)
        assert (websocket.rest(), plain.rest()) == (b"", b"")
