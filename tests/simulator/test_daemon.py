"""Tests of the daemon: start, restarts, faults, cleanup."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.faults import FaultError
from devlxdctl.simulator.instance import Refused
from devlxdctl.simulator.os_errors import SocketError
from devlxdctl.simulator.profiles import LXD_6
from tests.simulator.simhost import TIMEOUT, RawConnection, is_listening, make_simulator, request, wait_until

READY = '{"state":"Ready"}'


def test_simulator_removes_sockets_directory_and_thread(short: Path) -> None:
    threads = threading.active_count()
    with (
        make_simulator(short) as simulator,
        RawConnection(simulator.path) as idle,
        RawConnection(simulator.path) as stream,
    ):
        idle.request("/")
        stream.open_websocket()
        assert sorted(path.name for path in simulator.path.parent.iterdir()) == ["sock", "sock.control"]
        assert simulator.path.stat().st_mode & 0o777 == 0o666
        assert simulator.path.with_name("sock.control").stat().st_mode & 0o777 == 0o600
    assert list(short.iterdir()) == []
    assert threading.active_count() == threads


def test_existing_directory_is_kept(short: Path) -> None:
    (short / "lxd").mkdir()
    with make_simulator(short):
        pass
    assert list((short / "lxd").iterdir()) == []


def test_requests_and_connections_are_counted(short: Path) -> None:
    with make_simulator(short) as simulator:
        with RawConnection(simulator.path) as connection:
            connection.request("/1.0")
            connection.request("/1.0/config/user.%2Fa?x=1")
        request(simulator.path, "/", "HEAD")
        assert simulator.requests == [
            ("GET", "/1.0", 1),
            ("GET", "/1.0/config/user.%2Fa?x=1", 1),
            ("HEAD", "/", 2),
        ]
        assert simulator.connections == 2


def test_show_returns_the_whole_state_of_the_instance(short: Path) -> None:
    nic = {"type": "nic", "name": "eth0", "hwaddr": "00:16:3e:00:00:01"}
    with make_simulator(
        short, {"user.a": "1", "limits.cpu": "2"}, {"eth0": nic}, instance_id="0-1"
    ) as simulator:
        request(simulator.path, "/1.0", "PATCH", body=READY)
        shown = simulator.show()
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
        "pools": [],
        "connections": 1,
        "requests": 1,
        "listeners": 0,
    }


def test_changed_user_data_changes_the_instance_id(short: Path) -> None:
    with make_simulator(short, instance_id="0-1") as simulator:
        simulator.set({"user.a": "1"})
        assert simulator.show()["instance_id"] == "0-1"
        simulator.set({"cloud-init.user-data": "#cloud-config\n"})
        assert simulator.show()["instance_id"] != "0-1"


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
def test_config_keys_are_accepted_or_refused_per_profile(
    short: Path, profile: str, key: str, accepted: bool
) -> None:
    with make_simulator(short, profile=profile) as simulator:
        if accepted:
            simulator.set({key: "1"})
        else:
            with pytest.raises(Refused):
                simulator.set({"user.good": "1", key: "1"})
        assert (key in simulator.show()["config"]) is accepted
        assert "user.good" not in simulator.show()["config"]


def test_removing_a_missing_key_or_device_is_refused(short: Path) -> None:
    with make_simulator(short) as simulator:
        with pytest.raises(Refused, match=r"^Can't unset key 'user\.a', it's not currently set$"):
            simulator.unset("user.a")
        with pytest.raises(Refused, match=r"^Device doesn't exist$"):
            simulator.remove_device("eth0")
        simulator.set({"user.a": "1"})
        simulator.unset("user.a")
        simulator.set({"user.a": ""})
        assert request(simulator.path, "/1.0/config").body == b"[]\n"


def test_ready_is_lost_when_a_restart_returns(short: Path) -> None:
    with make_simulator(short) as simulator:
        request(simulator.path, "/1.0", "PATCH", body=READY)
        inode = simulator.path.stat().st_ino
        with RawConnection(simulator.path) as kept:
            kept.request("/")
            simulator.restart(0.1)
            assert kept.read_to_end() == b""
        assert simulator.path.stat().st_ino != inode
        assert simulator.ready is None
        assert b'"state":"Started"' in request(simulator.path, "/1.0").body


def test_ready_is_still_there_when_a_restarted_daemon_responds(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devlxdctl.simulator.host.READY_LOST_SECONDS", 5.0)
    with make_simulator(short) as simulator:
        request(simulator.path, "/1.0", "PATCH", body=READY)
        inode = simulator.path.stat().st_ino
        simulator.restart(0.1, wait=False)
        wait_until(lambda: simulator.path.exists() and simulator.path.stat().st_ino != inode)
        assert b'"state":"Ready"' in request(simulator.path, "/1.0").body


def test_stopping_daemon_responds_500_then_removes_its_socket(short: Path) -> None:
    with make_simulator(short) as simulator, RawConnection(simulator.path) as connection:
        connection.request("/")
        simulator.restart(0.3, wait=False)
        wait_until(lambda: connection.request("/").status == "HTTP/1.1 500 Internal Server Error")
        wait_until(lambda: not simulator.path.exists())
        assert simulator.path.parent.is_dir()
        wait_until(simulator.path.exists)


def test_restart_fault_restarts_the_daemon(short: Path) -> None:
    with make_simulator(short, faults=["restart=0.1,0.1"]) as simulator:
        wait_until(lambda: not simulator.path.exists())
        wait_until(simulator.path.exists)


def test_late_socket_fault_delays_the_socket(short: Path) -> None:
    with make_simulator(short, faults=["late-socket=0.2"]) as simulator:
        assert not simulator.path.exists()
        assert simulator.path.parent.is_dir()
        wait_until(lambda: is_listening(simulator.path))
        assert request(simulator.path, "/").body == b'["/1.0"]\n'


def test_boot_500_fault_responds_500_until_its_time_is_over(short: Path) -> None:
    with (
        make_simulator(short, faults=["boot-500=0.2"]) as simulator,
        RawConnection(simulator.path) as connection,
    ):
        response = connection.request("/1.0/config")
        assert response.status == "HTTP/1.1 500 Internal Server Error"
        assert response.body == b"Failed to begin transaction: sql: database is closed\n"
        wait_until(lambda: connection.request("/1.0/config").body == b"[]\n")


def test_refuse_fault_refuses_connections(short: Path) -> None:
    with make_simulator(short, faults=["refuse"]) as simulator, pytest.raises(ConnectionRefusedError):
        RawConnection(simulator.path)
    assert list(short.iterdir()) == []


def test_hang_fault_accepts_a_request_and_does_not_respond(short: Path) -> None:
    with make_simulator(short, faults=["hang"]) as simulator, RawConnection(simulator.path) as connection:
        connection.send("/1.0")
        wait_until(lambda: len(simulator.requests) == 1)
        connection.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.socket.recv(1)


def test_off_fault_creates_nothing_until_switched_on(short: Path) -> None:
    with make_simulator(short, faults=["off"]) as simulator:
        assert list(short.iterdir()) == []
        simulator.switch(True)
        assert request(simulator.path, "/").body == b'["/1.0"]\n'


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "boom",
            "unknown fault 'boom'; known faults: late-socket, boot-500, restart, refuse, hang, off, "
            "forbidden, short-image, lost-response, operation-seconds, operation-fails",
        ),
        ("late-socket", "late-socket=SECONDS: the socket appears SECONDS after the start"),
        ("late-socket=soon", "late-socket: not a number of seconds: 'soon'"),
        ("refuse=1", "refuse: the daemon was killed, the socket refuses connections"),
    ],
)
def test_invalid_fault_raises_fault_error(short: Path, fault: str, message: str) -> None:
    with pytest.raises(FaultError) as caught:
        make_simulator(short, faults=[fault])
    assert str(caught.value) == message


def test_file_and_socket_in_use_are_not_replaced(short: Path) -> None:
    (short / "file").write_text("mine")
    with pytest.raises(SocketError, match="exists and is not a socket"), Simulator(short / "file"):
        pass
    assert (short / "file").read_text() == "mine"
    with make_simulator(short) as simulator:
        with pytest.raises(SocketError, match="already in use by another process"), Simulator(simulator.path):
            pass
        assert request(simulator.path, "/").body == b'["/1.0"]\n'


def test_stale_socket_is_replaced(short: Path) -> None:
    path = short / "sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with Simulator(path) as simulator:
        assert json.loads(request(simulator.path, "/1.0").body)["state"] == "Started"


def test_too_long_socket_path_raises_socket_error(short: Path) -> None:
    with (
        pytest.raises(SocketError, match="path too long, at most 99 bytes are allowed"),
        Simulator(short / ("x" * 90) / "sock"),
    ):
        pass
    assert list(short.iterdir()) == []


def test_lxd_6_closes_an_idle_connection(short: Path) -> None:
    profile = dataclasses.replace(LXD_6, idle_timeout=0.2)
    with make_simulator(short, profile=profile) as simulator, RawConnection(simulator.path) as connection:
        connection.request("/")
        assert connection.read_to_end() == b""


def test_lxd_6_responds_400_to_a_slow_request_body(short: Path) -> None:
    profile = dataclasses.replace(LXD_6, body_timeout=0.2)
    with make_simulator(short, profile=profile) as simulator, RawConnection(simulator.path) as connection:
        connection.socket.sendall(b'PATCH /1.0 HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n{"state"')
        response = connection.read_response()
        assert (response.status, response.body) == (
            "HTTP/1.1 400 Bad Request",
            b"Invalid request body: i/o timeout\n",
        )
        assert connection.read_to_end() == b""
        assert simulator.ready is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become someone else")
def test_non_root_caller_gets_401(short: Path) -> None:
    short.chmod(0o755)
    with make_simulator(short) as simulator:
        script = (
            "import os, socket, sys; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
            "s.connect(sys.argv[1]); s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(s.recv(4096))"
        )
        command = [sys.executable, "-c", script, str(simulator.path)]
        done = subprocess.run(command, capture_output=True, check=True, timeout=TIMEOUT)
    assert done.stdout.startswith(b"b'HTTP/1.0 401 Unauthorized")


def test_connection_serves_pipelined_requests_and_is_closed_by_invalid_http(short: Path) -> None:
    with make_simulator(short) as simulator, RawConnection(simulator.path) as connection:
        connection.socket.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /1.0/config HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        assert [connection.read_response().body, connection.read_response().body] == [b'["/1.0"]\n', b"[]\n"]
        connection.socket.sendall(b"invalid http\r\n\r\n")
        assert connection.read_to_end() == (
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Connection: close\r\n\r\n400 Bad Request"
        )
