"""Tests of the event stream: causes of events, event types, and dropped listeners."""

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.profiles import LXD_6
from tests.simulator.simhost import HANDSHAKE, TIMEOUT, RawConnection, make_simulator

NIC = {"type": "nic", "name": "eth0", "nictype": "p2p"}


@pytest.fixture
def simulator(short: Path) -> Iterator[Simulator]:
    with make_simulator(short, {"user.a": "1"}, {"eth0": NIC}) as running:
        yield running


def keys(events: list[Any]) -> list[str]:
    return [event["metadata"].get("key", event["metadata"].get("name")) for event in events]


def cause_all_events(simulator: Simulator) -> None:
    simulator.set({"user.t": "1"})
    simulator.device("none", {"type": "none"})
    simulator.set({"user.end": "1"})
    simulator.device("end", {"type": "none"})


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
def test_listener_receives_only_requested_event_types(
    simulator: Simulator, query: str, expected: list[str]
) -> None:
    with RawConnection(simulator.path) as websocket, RawConnection(simulator.path) as plain:
        websocket.open_websocket(f"/1.0/events{query}")
        plain.send(f"/1.0/events{query}")
        plain.read_until(b"\n\n")
        cause_all_events(simulator)
        assert keys([websocket.read_event() for _ in expected]) == expected
        assert keys([json.loads(plain.read_until(b"\n")) for _ in expected]) == expected


@pytest.mark.parametrize("query", ["?type=bogus", "?type=Config", "?type=%20config", "?type=lifecycle"])
def test_unknown_event_type_is_accepted_and_sends_no_events(short: Path, query: str) -> None:
    profile = dataclasses.replace(LXD_6, ping_interval=0.1)
    with make_simulator(short, profile=profile) as simulator, RawConnection(simulator.path) as websocket:
        websocket.open_websocket(f"/1.0/events{query}")
        cause_all_events(simulator)
        # The next frame is a ping: no event was sent.
        assert websocket.read_frame() == (True, 0x9, b"")


def test_only_changed_user_keys_cause_config_events(simulator: Simulator) -> None:
    with RawConnection(simulator.path) as connection:
        connection.open_websocket()
        simulator.set({"user.a": "1"})
        simulator.set({"cloud-init.user-data": "#cloud-config\n"})
        simulator.set({"limits.cpu": "2"})
        simulator.set({"user.never": ""})
        simulator.device("eth0", NIC)
        simulator.device("eth0", {**NIC, "limits.ingress": "1Mbit"})
        simulator.set({"user.a": "2"})
        assert connection.read_event()["metadata"] == {"key": "user.a", "old_value": "1", "value": "2"}


@pytest.mark.parametrize("profile", ["lxd-5.0", "incus"])
def test_lxd_5_and_incus_send_updated_event_for_nic_limits(short: Path, profile: str) -> None:
    with (
        make_simulator(short, {}, {"eth0": NIC}, profile) as simulator,
        RawConnection(simulator.path) as connection,
    ):
        connection.send("/1.0/events", headers=HANDSHAKE)
        connection.read_until(b"\r\n\r\n")
        assert connection.read_frame() == (True, 0x9, b"keepalive")
        simulator.device("eth0", {**NIC, "limits.ingress": "1Mbit"})
        assert connection.read_event()["metadata"] == {
            "action": "updated",
            "config": {**NIC, "limits.ingress": "1Mbit"},
            "name": "eth0",
        }


def test_generated_nic_address_is_in_devices_but_not_in_events(simulator: Simulator) -> None:
    with RawConnection(simulator.path) as connection, RawConnection(simulator.path) as other:
        connection.open_websocket()
        simulator.device("eth1", NIC)
        assert connection.read_event()["metadata"]["config"] == NIC
        devices = json.loads(other.request("/1.0/devices").body)
        assert devices["eth1"]["hwaddr"] == simulator.show()["config"]["volatile.eth1.hwaddr"]
        simulator.remove_device("eth1")
        assert "volatile.eth1.hwaddr" not in simulator.show()["config"]


def test_large_update_sends_all_events_out_of_order(simulator: Simulator) -> None:
    changes = {f"user.k{i}": str(i) for i in range(200)}
    with RawConnection(simulator.path) as connection:
        connection.open_websocket()
        simulator.set(changes)
        events = [connection.read_event() for _ in changes]
    assert {e["metadata"]["key"]: e["metadata"]["value"] for e in events} == changes
    stamps = [e["timestamp"].rstrip("Z").ljust(29, "0") for e in events]
    assert stamps != sorted(stamps)
    assert len(set(stamps)) == len(stamps)


def test_single_updates_send_events_in_order(simulator: Simulator) -> None:
    with RawConnection(simulator.path) as connection:
        connection.open_websocket()
        for i in range(100):
            simulator.set({"user.n": str(i + 1)})
        assert [connection.read_event()["metadata"]["value"] for _ in range(100)] == [
            str(i + 1) for i in range(100)
        ]


@pytest.mark.parametrize(
    ("size", "cut"), [(100, []), (5000, [4082, None]), (600_000, [None, 0])], ids=["small", "medium", "large"]
)
def test_large_event_is_fragmented(simulator: Simulator, size: int, cut: list[int | None]) -> None:
    with RawConnection(simulator.path) as connection:
        connection.open_websocket()
        simulator.set({"user.big": "x" * size})
        frames = [connection.read_frame()]
        while not frames[-1][0]:
            frames.append(connection.read_frame())
    payload = b"".join(part for _, _, part in frames)
    assert json.loads(payload)["metadata"]["value"] == "x" * size
    expected = [1 if i == 0 else 0 for i in range(len(cut) or 1)]
    assert [opcode for _, opcode, _ in frames] == expected
    for (_, _, part), length in zip(frames, cut, strict=False):
        assert length is None or len(part) == length


def test_upgrade_header_in_mixed_case_opens_a_plain_stream(simulator: Simulator) -> None:
    headers = [(name, value.replace("websocket", "WebSocket")) for name, value in HANDSHAKE]
    with RawConnection(simulator.path) as connection:
        connection.send("/1.0/events", headers=headers)
        assert connection.read_until(b"\n\n").startswith(b"HTTP/1.1 200 OK\nConnection: keep-alive\n")
        simulator.set({"user.a": "2"})
        assert json.loads(connection.read_until(b"\n"))["metadata"]["value"] == "2"


def test_http_1_0_opens_a_plain_stream(simulator: Simulator) -> None:
    with RawConnection(simulator.path) as connection:
        connection.send("/1.0/events", version="HTTP/1.0")
        assert connection.read_until(b"\n\n").startswith(b"HTTP/1.1 200 OK\n")


def test_client_ping_gets_pong_and_close_gets_close(simulator: Simulator) -> None:
    with RawConnection(simulator.path) as connection:
        connection.open_websocket()
        connection.send_frame(0x9, b"payload")
        assert connection.read_frame() == (True, 0xA, b"payload")
        connection.send_frame(0x8, b"\x03\xe8bye")
        assert connection.read_frame() == (True, 0x8, b"\x03\xe8")
        assert connection.read_to_end() == b""


def test_listener_without_pongs_is_dropped(short: Path) -> None:
    profile = dataclasses.replace(LXD_6, ping_interval=0.1, pong_timeout=1.0)
    with (
        make_simulator(short, profile=profile) as simulator,
        RawConnection(simulator.path) as mute,
        RawConnection(simulator.path) as active,
    ):
        mute.open_websocket()
        active.open_websocket()
        active.send_frame(0xA)
        for _ in range(5):
            assert active.read_frame() == (True, 0x9, b"")
            active.send_frame(0xA)
        # Only pings arrive, then the connection is closed without a close frame.
        assert set(mute.read_to_end()[::2]) == {0x89}


@pytest.mark.parametrize("plain", [True, False])
def test_listener_that_does_not_read_is_dropped_in_the_middle_of_an_event(short: Path, plain: bool) -> None:
    profile = dataclasses.replace(LXD_6, stall_timeout=0.3)
    with make_simulator(short, profile=profile) as simulator, RawConnection(simulator.path) as connection:
        if plain:
            connection.send("/1.0/events")
            connection.read_until(b"\n\n")
        else:
            connection.open_websocket()
        simulator.set({"user.big": "x" * 1_200_000})
        deadline = time.monotonic() + TIMEOUT
        while simulator.show()["listeners"]:
            assert time.monotonic() < deadline
        assert 0 < len(connection.read_to_end()) < 1_200_000


def test_open_streams_keep_receiving_while_the_api_is_off(simulator: Simulator) -> None:
    with RawConnection(simulator.path) as websocket, RawConnection(simulator.path) as plain:
        websocket.open_websocket()
        plain.send("/1.0/events")
        plain.read_until(b"\n\n")
        simulator.switch(False)
        simulator.set({"user.a": "2"})
        assert websocket.read_event()["metadata"]["value"] == "2"
        assert json.loads(plain.read_until(b"\n"))["metadata"]["value"] == "2"


def test_restart_closes_streams_without_close_frame(simulator: Simulator) -> None:
    with RawConnection(simulator.path) as websocket, RawConnection(simulator.path) as plain:
        websocket.open_websocket()
        plain.send("/1.0/events")
        plain.read_until(b"\n\n")
        simulator.restart(0.05)
        assert (websocket.read_to_end(), plain.read_to_end()) == (b"", b"")
