"""`wait`: keys and devices that appear, change or disappear, and the timeout."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.cli.background import Programs
from tests.support.program import PROGRAM, Result, failure, run
from tests.support.terminal import PROMPT, Terminal


def test_wait_config_ends_at_once_if_the_key_is_set(simulator: Simulator) -> None:
    assert run("wait", "config", "user.role", socket=simulator.path) == Result(0, b"web\n", b"")
    assert run("wait", "config", "user.role", "web", "-f", "json", socket=simulator.path) == Result(
        0, b'{"key":"user.role","value":"web"}\n', b""
    )


def test_wait_config_ends_when_the_key_is_set_to_the_value(simulator: Simulator, programs: Programs) -> None:
    job = programs.start("wait", "config", "user.go", "yes", "--timeout", "60")
    for value in ("no", "yes"):
        simulator.set({"user.go": value})
    assert (job.wait(), job.stdout(), job.stderr()) == (0, b"yes\n", b"")


@pytest.mark.parametrize(("form", "stdout"), [("text", b""), ("json", b'{"key":"user.role","value":null}\n')])
def test_wait_config_gone_ends_when_the_key_is_unset(
    form: str, stdout: bytes, simulator: Simulator, programs: Programs
) -> None:
    job = programs.start("wait", "config", "user.role", "--gone", "-f", form)
    simulator.unset("user.role")
    assert (job.wait(), job.stdout(), job.stderr()) == (0, stdout, b"")


@pytest.mark.parametrize(
    ("form", "added", "removed"),
    [("text", b"usb\tnone\t-\n", b""), ("json", b'{"type":"none"}\n', b"null\n")],
)
def test_wait_device_ends_when_the_device_is_added_or_removed(
    form: str, added: bytes, removed: bytes, simulator: Simulator, programs: Programs
) -> None:
    job = programs.start("wait", "device", "usb", "-f", form)
    simulator.device("usb", {"type": "none"})
    assert (job.wait(), job.stdout(), job.stderr()) == (0, added, b"")
    job = programs.start("wait", "device", "usb", "--gone", "-f", form)
    simulator.remove_device("usb")
    assert (job.wait(), job.stdout(), job.stderr()) == (0, removed, b"")


@pytest.mark.parametrize("timeout", ["0", "0.3"])
@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["config", "user.go"], "user.go: not set"),
        (["config", "user.role", "db"], "user.role: not set to that value"),
        (["config", "user.role", "--gone"], "user.role: still set"),
        (["device", "usb"], "usb: no such device"),
        (["device", "root", "--gone"], "root: still there"),
    ],
)
def test_wait_exits_124_after_the_timeout(
    argv: list[str], error: str, timeout: str, simulator: Simulator
) -> None:
    after = "" if timeout == "0" else f" after {timeout} s"
    result = run("wait", *argv, "--timeout", timeout, socket=simulator.path)
    assert result == failure(124, error + after)


def test_timeout_of_0_reads_the_key_once_and_does_not_listen_to_events(simulator: Simulator) -> None:
    result = run("wait", "config", "user.role", "--timeout", "0", socket=simulator.path)
    assert result == Result(0, b"web\n", b"")
    assert [path for _, path, _ in simulator.requests] == ["/1.0/config/user.role"]


def test_wait_config_continues_after_a_restart_of_the_host(simulator: Simulator, programs: Programs) -> None:
    job = programs.start("wait", "config", "user.go", "--timeout", "60")
    simulator.restart(0.3)
    simulator.set({"user.go": "1"})
    assert (job.wait(), job.stdout(), job.stderr()) == (0, b"1\n", b"")


def test_wait_config_exits_124_if_the_timeout_ends_while_the_host_is_down(
    simulator: Simulator, programs: Programs
) -> None:
    job = programs.start("wait", "config", "user.go", "--timeout", "1")
    simulator.restart(3, wait=False)
    assert (job.wait(20), job.stdout()) == (124, b"")
    assert job.stderr().startswith(b"devlxdctl: ")


@pytest.mark.parametrize("condition", [["config", "user.go"], ["device", "usb"], ["host"]])
def test_wait_with_timeout_waits_for_a_missing_socket(condition: list[str], socket_directory: Path) -> None:
    path = socket_directory / "lxd" / "sock"
    result = run("wait", *condition, "--timeout", "0.3", socket=path)
    hint = (
        "is this a guest of LXD or Incus? If it is, on the host: lxc config set INSTANCE security.devlxd=true"
    )
    assert result == failure(124, f"{path}: no such socket; waited 0.3 s", hint)


def test_wait_host_reports_on_a_terminal_that_it_waits(socket_directory: Path) -> None:
    path = socket_directory / "lxd" / "sock"
    env = {"PS1": PROMPT.decode(), "PATH": os.defpath, "DEVLXD_SOCKET": str(path)}
    with Terminal(["sh"], env) as terminal:
        terminal.type(f"{PROGRAM} wait host\r")
        terminal.until(re.escape(f"waiting for the host: {path}: no such socket\r\n".encode()))
        terminal.type("\x03")
        terminal.until(re.escape(PROMPT))
        assert terminal.run("echo $?") == "130\n"


def test_wait_config_exits_4_for_a_key_that_guests_cannot_read(simulator: Simulator) -> None:
    assert run("wait", "config", "limits.cpu", socket=simulator.path) == failure(
        4, "limits.cpu: permission denied", "guests can read user.* and cloud-init.* keys only"
    )


def test_wait_config_exits_2_for_a_pattern(simulator: Simulator) -> None:
    assert run("wait", "config", "user.*", socket=simulator.path) == failure(
        2, "user.*: is a pattern, expected a key"
    )


def test_gone_and_value_cannot_be_combined(simulator: Simulator) -> None:
    assert run("wait", "config", "user.go", "1", "--gone", socket=simulator.path) == failure(
        2, "wait config: --gone cannot be combined with VALUE", "see the help: devlxdctl wait config --help"
    )
