"""The daemon: restarts, faults, and what is left behind."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.faults import FaultError
from devlxdctl.simulator.host import SocketError
from devlxdctl.simulator.instance import Refused
from devlxdctl.simulator.profiles import LXD_6
from tests.simulator.simhost import LIMIT, Wire, ask, simulator

READY = '{"state":"Ready"}'


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


def test_it_leaves_nothing_behind(short: Path) -> None:
    threads = threading.active_count()
    with simulator(short) as host, Wire(host.path) as idle, Wire(host.path) as stream:
        idle.ask("/")
        stream.upgrade()
        assert sorted(path.name for path in host.path.parent.iterdir()) == ["sock", "sock.control"]
        assert host.path.stat().st_mode & 0o777 == 0o666
        assert host.path.with_name("sock.control").stat().st_mode & 0o777 == 0o600
    assert list(short.iterdir()) == []
    assert threading.active_count() == threads


def test_a_directory_that_was_there_stays(short: Path) -> None:
    (short / "lxd").mkdir()
    with simulator(short):
        pass
    assert list((short / "lxd").iterdir()) == []


def test_requests_and_connections_are_counted(short: Path) -> None:
    with simulator(short) as host:
        with Wire(host.path) as wire:
            wire.ask("/1.0")
            wire.ask("/1.0/config/user.%2Fa?x=1")
        ask(host.path, "/", "HEAD")
        assert host.requests == [
            ("GET", "/1.0", 1),
            ("GET", "/1.0/config/user.%2Fa?x=1", 1),
            ("HEAD", "/", 2),
        ]
        assert host.connections == 2


def test_the_host_sees_what_the_guest_does_not(short: Path) -> None:
    nic = {"type": "nic", "name": "eth0", "hwaddr": "00:16:3e:00:00:01"}
    with simulator(short, {"user.a": "1", "limits.cpu": "2"}, {"eth0": nic}, instance_id="0-1") as host:
        ask(host.path, "/1.0", "PATCH", body=READY)
        shown = host.show()
    assert shown == {
        "name": "y1",
        "type": "container",
        "profile": "lxd-6",
        "location": "t6-host",
        "instance_id": "0-1",
        "ready": True,
        "enabled": True,
        "config": {
            "limits.cpu": "2",
            "user.a": "1",
            "volatile.cloud-init.instance-id": "0-1",
            "volatile.last_state.ready": "true",
        },
        "devices": {"eth0": nic},
        "images": [],
        "connections": 1,
        "requests": 1,
        "listeners": 0,
    }


def test_a_seed_gives_the_instance_a_new_identity(short: Path) -> None:
    with simulator(short, instance_id="0-1") as host:
        host.set({"user.a": "1"})
        assert host.show()["instance_id"] == "0-1"
        host.set({"cloud-init.user-data": "#cloud-config\n"})
        assert host.show()["instance_id"] != "0-1"


@pytest.mark.parametrize(
    ("profile", "key", "accepted"),
    [
        ("lxd-6", "user.", False),
        ("lxd-5.0", "user.", True),
        ("incus", "user.", True),
        ("lxd-6", "cloud-init.ssh-keys.k", True),
        ("lxd-5.0", "cloud-init.ssh-keys.k", False),
        ("incus", "cloud-init.ssh-keys.k", False),
        ("incus", "cloud-init.nope", False),
        ("lxd-6", "usr.role", False),
        ("lxd-6", "limits.cpu", True),
    ],
)
def test_keys_are_accepted_and_refused_as_by_the_host(
    short: Path, profile: str, key: str, accepted: bool
) -> None:
    with simulator(short, profile=profile) as host:
        if accepted:
            host.set({key: "1"})
        else:
            with pytest.raises(Refused):
                host.set({"user.good": "1", key: "1"})
        assert (key in host.show()["config"]) is accepted
        assert "user.good" not in host.show()["config"]


def test_what_is_not_there_cannot_be_removed(short: Path) -> None:
    with simulator(short) as host:
        with pytest.raises(Refused, match=r"^Can't unset key 'user\.a', it's not currently set$"):
            host.unset("user.a")
        with pytest.raises(Refused, match=r"^Device doesn't exist$"):
            host.remove_device("eth0")
        host.set({"user.a": "1"})
        host.unset("user.a")
        host.set({"user.a": ""})
        assert ask(host.path, "/1.0/config").body == b"[]\n"


def test_a_restart_forgets_ready_shortly_after_it(short: Path) -> None:
    with simulator(short) as host:
        ask(host.path, "/1.0", "PATCH", body=READY)
        inode = host.path.stat().st_ino
        with Wire(host.path) as kept:
            kept.ask("/")
            host.restart(0.1)
            assert b'"state":"Ready"' in ask(host.path, "/1.0").body
            assert kept.rest() == b""
        assert host.path.stat().st_ino != inode
        eventually(lambda: host.ready is None)
        assert b'"state":"Started"' in ask(host.path, "/1.0").body


def test_a_daemon_that_stops_says_500_and_then_goes(short: Path) -> None:
    with simulator(short) as host, Wire(host.path) as wire:
        wire.ask("/")
        host.restart(0.3, wait=False)
        eventually(lambda: wire.ask("/").status == "HTTP/1.1 500 Internal Server Error")
        eventually(lambda: not host.path.exists())
        assert host.path.parent.is_dir()
        eventually(host.path.exists)


def test_the_daemon_restarts_by_itself(short: Path) -> None:
    with simulator(short, faults=["restart=0.1,0.1"]) as host:
        eventually(lambda: not host.path.exists())
        eventually(host.path.exists)


def test_a_late_socket_is_late(short: Path) -> None:
    with simulator(short, faults=["late-socket=0.2"]) as host:
        assert not host.path.exists()
        assert host.path.parent.is_dir()
        eventually(host.path.exists)
        assert ask(host.path, "/").body == b'["/1.0"]\n'


def test_a_host_that_boots_answers_500(short: Path) -> None:
    with simulator(short, faults=["boot-500=0.2"]) as host, Wire(host.path) as wire:
        reply = wire.ask("/1.0/config")
        assert reply.status == "HTTP/1.1 500 Internal Server Error"
        assert reply.body == b"Failed to begin transaction: sql: database is closed\n"
        eventually(lambda: wire.ask("/1.0/config").body == b"[]\n")


def test_a_killed_host_refuses(short: Path) -> None:
    with simulator(short, faults=["refuse"]) as host, pytest.raises(ConnectionRefusedError):
        Wire(host.path)
    assert list(short.iterdir()) == []


def test_a_hung_host_takes_a_request_and_is_silent(short: Path) -> None:
    with simulator(short, faults=["hang"]) as host, Wire(host.path) as wire:
        wire.send("/1.0")
        eventually(lambda: len(host.requests) == 1)
        wire.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            wire.socket.recv(1)


def test_a_host_that_is_switched_off_can_be_switched_on(short: Path) -> None:
    with simulator(short, faults=["off"]) as host:
        assert list(short.iterdir()) == []
        host.switch(True)
        assert ask(host.path, "/").body == b'["/1.0"]\n'


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (
            "boom",
            "unknown fault 'boom'; there are late-socket, boot-500, restart, refuse, hang, off, forbidden, "
            "short-image",
        ),
        ("late-socket", "late-socket=S: the socket appears S seconds after the start"),
        ("late-socket=soon", "late-socket: 'soon' is not a number of seconds"),
        ("refuse=1", "refuse: the daemon was killed, the socket refuses connections"),
    ],
)
def test_a_fault_that_makes_no_sense_is_an_error(short: Path, fault: str, complaint: str) -> None:
    with pytest.raises(FaultError) as caught:
        simulator(short, faults=[fault])
    assert str(caught.value) == complaint


def test_neither_a_file_nor_a_live_socket_is_replaced(short: Path) -> None:
    (short / "file").write_text("mine")
    with pytest.raises(SocketError, match="it exists and is no socket"), Simulator(short / "file"):
        pass
    assert (short / "file").read_text() == "mine"
    with simulator(short) as host:
        with pytest.raises(SocketError, match="something listens on it already"), Simulator(host.path):
            pass
        assert ask(host.path, "/").body == b'["/1.0"]\n'


def test_a_stale_socket_is_replaced(short: Path) -> None:
    path = short / "sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with Simulator(path) as host:
        assert json.loads(ask(host.path, "/1.0").body)["state"] == "Started"


def test_a_path_too_long_for_a_socket_is_an_error(short: Path) -> None:
    with (
        pytest.raises(SocketError, match="too long, a socket's path ends at 107 bytes"),
        Simulator(short / ("x" * 90) / "sock"),
    ):
        pass
    assert list(short.iterdir()) == []


def test_an_idle_connection_is_closed_by_lxd_6(short: Path) -> None:
    profile = dataclasses.replace(LXD_6, idle_limit=0.2)
    with simulator(short, profile=profile) as host, Wire(host.path) as wire:
        wire.ask("/")
        assert wire.rest() == b""


def test_a_slow_body_is_refused_by_lxd_6(short: Path) -> None:
    profile = dataclasses.replace(LXD_6, body_limit=0.2)
    with simulator(short, profile=profile) as host, Wire(host.path) as wire:
        wire.socket.sendall(b'PATCH /1.0 HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n{"state"')
        reply = wire.reply()
        assert (reply.status, reply.body) == (
            "HTTP/1.1 400 Bad Request",
            b"Invalid request body: i/o timeout\n",
        )
        assert wire.rest() == b""
        assert host.ready is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become someone else")
def test_an_ordinary_user_of_the_guest_is_refused(short: Path) -> None:
    short.chmod(0o755)
    with simulator(short) as host:
        script = (
            "import os, socket, sys; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
            "s.connect(sys.argv[1]); s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(s.recv(4096))"
        )
        command = [sys.executable, "-c", script, str(host.path)]
        done = subprocess.run(command, capture_output=True, check=True, timeout=LIMIT)
    assert done.stdout.startswith(b"b'HTTP/1.0 401 Unauthorized")


def test_one_connection_serves_many_requests_and_garbage_ends_it(short: Path) -> None:
    with simulator(short) as host, Wire(host.path) as wire:
        wire.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /1.0/config HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [wire.reply().body, wire.reply().body] == [b'["/1.0"]\n', b"[]\n"]
        wire.socket.sendall(b"what is this\r\n\r\n")
        assert wire.rest() == (
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Connection: close\r\n\r\n400 Bad Request"
        )
