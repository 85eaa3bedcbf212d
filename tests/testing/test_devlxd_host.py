"""The fixture `devlxd_host`: what programs read from its host, and what tests can do to the host."""

from __future__ import annotations

import http.client
import inspect
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devlxdctl.simulator.profiles import DEFAULT_PROFILE, PROFILES
from devlxdctl.testing import Request, SimulatedHostFactory
from devlxdctl.testing.host import simulated_host


class Connection(http.client.HTTPConnection):
    """An HTTP connection to the host that DEVLXD_SOCKET names."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(os.environ["DEVLXD_SOCKET"])


def get(path: str) -> tuple[int, bytes]:
    """Return the status and the body of a response."""
    connection = Connection("lxd")
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def devlxdctl(*argv: str) -> tuple[int, bytes]:
    """Run the command line with this process's environment, and return its exit status and stdout."""
    command = [sys.executable, "-m", "devlxdctl", *argv]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout


def test_program_reads_the_config_of_the_host(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host(config={"user.role": "db", "user.port": "5432"}):
        assert devlxdctl("-f", "json", "config", "ls", "-l") == (
            0,
            b'{"user.port":"5432","user.role":"db"}\n',
        )


def test_host_without_arguments_has_no_keys_and_no_devices(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host():
        assert get("/1.0/config") == (200, b"[]\n")
        assert get("/1.0/devices") == (200, b"{}\n")


def test_devices_are_added_replaced_and_removed(devlxd_host: SimulatedHostFactory) -> None:
    def devices() -> object:
        return json.loads(get("/1.0/devices")[1])

    root = {"type": "disk", "path": "/", "pool": "default"}
    data = {"type": "disk", "path": "/data", "source": "/srv"}
    with devlxd_host(devices={"root": root}) as host:
        assert devices() == {"root": root}
        host.device("data", data)
        assert devices() == {"root": root, "data": data}
        host.device("data", {**data, "path": "/other"})
        assert devices() == {"root": root, "data": {**data, "path": "/other"}}
        host.remove_device("data")
        assert devices() == {"root": root}


def test_keys_are_set_and_unset(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host(config={"user.role": "db"}) as host:
        host.set({"user.role": "web", "user.zone": "a"})
        assert (get("/1.0/config/user.role"), get("/1.0/config/user.zone")) == ((200, b"web"), (200, b"a"))
        host.unset("user.role")
        host.set({"user.zone": ""})
        assert get("/1.0/config") == (200, b"[]\n")


def test_change_that_a_real_host_refuses_is_an_error(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host() as host:
        with pytest.raises(ValueError, match=r"user\.role"):
            host.unset("user.role")
        with pytest.raises(ValueError, match="Device"):
            host.remove_device("data")
        with pytest.raises(ValueError, match="data"):
            host.device("data", {"path": "/data"})
        with pytest.raises(ValueError, match=r"unknown\.key"):
            host.set({"unknown.key": "1"})


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_ready_is_reported_and_lost_by_a_restart(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host() as host:
        assert host.ready is None
        assert devlxdctl("ready")[0] == 0
        assert host.ready is True
        host.restart(0.1)
        assert get("/1.0")[0] == 200
        assert host.ready is None


def test_restart_without_waiting_returns_while_the_host_is_down(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host() as host:
        host.restart(3600, wait=False)
        wait_until(lambda: not host.socket.exists())


def test_switched_off_host_has_no_socket(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host(config={"user.role": "db"}) as host:
        host.switch(False)
        assert not host.socket.exists()
        host.switch(True)
        assert get("/1.0/config/user.role") == (200, b"db")


def test_requests_are_listed_in_order(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host() as host:
        assert host.requests == []
        get("/1.0/config/user.a%2Fb?x=1")
        get("/1.0")
        assert host.requests == [("GET", "/1.0/config/user.a%2Fb?x=1"), Request("GET", "/1.0")]
    assert len(host.requests) == 2


def test_repr_has_the_socket(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host() as host:
        assert repr(host) == f"<SimulatedHost at {os.environ['DEVLXD_SOCKET']}>"


def test_environment_variable_is_restored(
    devlxd_host: SimulatedHostFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVLXD_SOCKET", "/before")
    with devlxd_host() as first:
        with devlxd_host() as second:
            assert first.socket != second.socket
            assert os.environ["DEVLXD_SOCKET"] == str(second.socket)
        assert os.environ["DEVLXD_SOCKET"] == str(first.socket)
        with pytest.raises(ZeroDivisionError), devlxd_host():
            raise ZeroDivisionError
        assert os.environ["DEVLXD_SOCKET"] == str(first.socket)
    assert os.environ["DEVLXD_SOCKET"] == "/before"
    monkeypatch.delenv("DEVLXD_SOCKET")
    with devlxd_host():
        pass
    assert "DEVLXD_SOCKET" not in os.environ


def test_files_of_the_host_are_removed(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host() as host:
        directory = host.socket.parent.parent
        assert directory.name.startswith("devlxd-")
    assert not directory.exists()


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_decides_the_kind_of_host(profile: str, devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host(profile=profile) as host:
        assert host.socket.parent.name == PROFILES[profile].directory
        fields = json.loads(get("/1.0")[1])
    assert ("supported_storage_drivers" in fields) is (profile == "lxd-6")


def test_long_temporary_directory_is_avoided(
    devlxd_host: SimulatedHostFactory, monkeypatch: pytest.MonkeyPatch, short: Path
) -> None:
    longest = f"{short}/".ljust(107 - len("/devlxd-xxxxxxxx/incus/sock.control"), "x")
    for directory, parent in ((longest, longest), (longest + "x", "/tmp")):
        Path(directory).mkdir()
        monkeypatch.setattr(tempfile, "tempdir", directory)
        with devlxd_host(profile="incus") as host:
            assert str(host.socket.parent.parent.parent) == parent
            assert get("/1.0")[0] == 200


def test_guest_file_and_faults(devlxd_host: SimulatedHostFactory, tmp_path: Path) -> None:
    guest = tmp_path / "guest.yaml"
    guest.write_text("config:\n  user.role: file\n")
    with devlxd_host(guest=guest):
        assert get("/1.0/config/user.role") == (200, b"file")
    with devlxd_host(guest=str(guest), faults=["forbidden"]):
        assert get("/1.0/config/user.role")[0] == 401


@pytest.mark.parametrize(
    "arguments, error",
    [
        ({"profile": "lxd-7"}, "profile: unknown value 'lxd-7'; known values: lxd-5.0, lxd-6, incus"),
        ({"config": {"user.port": 80}}, "config: user.port: expected a string, got 80"),
        ({"devices": {"eth0": {"type": "nic", "mtu": 9}}}, "devices: eth0: mtu: expected a string, got 9"),
        ({"devices": {"eth0": {"name": "eth0"}}}, "devices: eth0: has no type"),
        ({"config": {}, "guest": "web1.yaml"}, "guest: cannot be combined with config or devices"),
    ],
)
def test_invalid_arguments_are_errors(
    arguments: dict[str, object], error: str, devlxd_host: SimulatedHostFactory
) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        devlxd_host(**arguments).__enter__()  # type: ignore[arg-type]  # they are invalid
    assert str(raised.value) == error


@pytest.mark.parametrize("arguments", [{"faults": ["earthquake"]}, {"guest": "/proc/nowhere.yaml"}])
def test_errors_of_the_simulator_are_value_errors(
    arguments: dict[str, object], devlxd_host: SimulatedHostFactory
) -> None:
    with pytest.raises(ValueError, match=r"earthquake|/proc/nowhere\.yaml"):
        devlxd_host(**arguments).__enter__()  # type: ignore[arg-type]


def test_documented_signature_is_the_real_one() -> None:
    documented = inspect.signature(SimulatedHostFactory.__call__)
    assert list(documented.parameters.values())[1:] == list(
        inspect.signature(simulated_host).parameters.values()
    )
    assert documented.parameters["profile"].default == DEFAULT_PROFILE
