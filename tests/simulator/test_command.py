"""Tests of the program `devlxd-simulator`."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from devlxdctl import __version__
from devlxdctl.simulator.cli import cli
from tests.simulator.simhost import HANDSHAKE, RawConnection, request

PROGRAM = str(Path(sys.executable).with_name("devlxd-simulator"))
TIMEOUT = 20.0


def start(short: Path, *arguments: str | Path) -> "subprocess.Popen[bytes]":
    """Start the program; its temporary files are created in `short`."""
    environment = {"TMPDIR": str(short), "PATH": os.environ["PATH"]}
    return subprocess.Popen(
        [PROGRAM, *map(str, arguments)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for(process: "subprocess.Popen[bytes]", given: bytes = b"") -> tuple[int, str, str]:
    """Wait for a process; return its status, stdout and stderr."""
    try:
        out, err = process.communicate(given, TIMEOUT)
    finally:
        process.kill()
    return process.returncode, out.decode(), err.decode()


def simulate(short: Path, *arguments: str | Path, given: bytes = b"") -> tuple[int, str, str]:
    return wait_for(start(short, *arguments), given)


def read_line(process: "subprocess.Popen[bytes]") -> bytes:
    """Read the next line of its stdout."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], TIMEOUT)
    assert readable, "no output"
    return bytes(process.stdout.readline())


@contextmanager
def serving(short: Path, *arguments: str | Path) -> Iterator["subprocess.Popen[bytes]"]:
    path = short / "lxd" / "sock"
    process = start(short, "serve", "--socket", path, *arguments)
    try:
        assert read_line(process) == f"listening on {path}\n".encode()
        yield process
    finally:
        process.terminate()
        assert wait_for(process) == (-signal.SIGTERM, "", "")
        assert not path.exists()


def test_run_exits_with_the_command_status_and_removes_its_files(short: Path) -> None:
    script = 'test -S "$DEVLXD_SOCKET" && echo "$DEVLXD_SOCKET"; exit 7'
    status, out, err = simulate(short, "run", "--", "sh", "-c", script)
    assert (status, err) == (7, "")
    assert Path(out.strip()).parts[-2:] == ("lxd", "sock")
    assert list(short.iterdir()) == []


def test_incus_profile_creates_the_socket_in_a_directory_named_incus(short: Path) -> None:
    _, out, _ = simulate(short, "run", "--profile", "incus", "--", "sh", "-c", 'echo "$DEVLXD_SOCKET"')
    assert Path(out.strip()).parts[-2:] == ("incus", "sock")


def test_run_passes_stdin_and_options_to_the_command(short: Path) -> None:
    assert simulate(short, "run", "cat", "-u", given=b"through") == (0, "through", "")


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("/nowhere/at-all", 127, "devlxd-simulator: /nowhere/at-all: no such file or directory\n"),
        ("/etc/passwd", 126, "devlxd-simulator: /etc/passwd: permission denied\n"),
    ],
)
def test_run_exits_127_or_126_if_the_command_cannot_start(
    short: Path, command: str, status: int, message: str
) -> None:
    assert simulate(short, "run", "--", command) == (status, "", message)
    assert list(short.iterdir()) == []


def test_run_dies_by_the_signal_that_killed_the_command(short: Path) -> None:
    assert simulate(short, "run", "--", "sh", "-c", "kill -KILL $$")[0] == -signal.SIGKILL
    assert list(short.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_run_forwards_signals_as_sigterm_and_dies_by_the_original_signal(
    short: Path, number: signal.Signals
) -> None:
    script = "trap 'echo received; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    process = start(short, "run", "--", "sh", "-c", script)
    assert read_line(process) == b"up\n"
    process.send_signal(number)
    assert wait_for(process) == (-number, "received\n", "")
    assert list(short.iterdir()) == []


def test_run_without_command_is_a_usage_error(short: Path) -> None:
    status, out, err = simulate(short, "run")
    assert (status, out) == (2, "")
    assert "Missing argument 'COMMAND...'" in err


def test_unknown_fault_is_a_usage_error_that_lists_all_faults(short: Path) -> None:
    status, _, err = simulate(short, "run", "--fault", "boom", "true")
    assert status == 2
    assert "unknown fault 'boom'; known faults: late-socket, boot-500, restart, refuse" in " ".join(
        err.split()
    )


def test_invalid_guest_file_is_reported_in_one_line(short: Path) -> None:
    file = short / "guest.yaml"
    file.write_text("config:\n  user.a: 1\n user.b: 2\n")
    message = f"{file}, line 3: expected <block end>, but found '<block mapping start>'"
    assert simulate(short, "run", "--guest", file, "true") == (2, "", f"devlxd-simulator: {message}\n")


def test_run_simulates_the_guest_of_a_guest_file(short: Path) -> None:
    file = short / "guest.yaml"
    file.write_text("config: {user.a: 1}\nsimulator: {name: web1}\n")
    status, out, err = simulate(short, "run", "--guest", file, PROGRAM, "show")
    assert (status, err) == (0, "")
    shown = json.loads(out)
    assert (shown["name"], shown["config"]["user.a"], shown["ready"]) == ("web1", "1", None)


def test_serve_runs_until_sigterm_and_removes_its_files(short: Path) -> None:
    with serving(short):
        assert request(short / "lxd" / "sock", "/").body == b'["/1.0"]\n'
    assert list(short.iterdir()) == []


def test_serve_does_not_replace_a_file_or_a_socket_in_use(short: Path) -> None:
    (short / "file").write_text("mine")
    message = f"devlxd-simulator: {short}/file: exists and is not a socket\n"
    assert simulate(short, "serve", "--socket", short / "file") == (1, "", message)
    with serving(short):
        path = short / "lxd" / "sock"
        message = f"devlxd-simulator: {path}: already in use by another process\n"
        assert simulate(short, "serve", "--socket", path) == (1, "", message)
        assert request(path, "/").body == b'["/1.0"]\n'


def test_serve_announces_a_late_socket_when_it_listens(short: Path) -> None:
    with serving(short, "--fault", "late-socket=0.2"):
        assert request(short / "lxd" / "sock", "/").body == b'["/1.0"]\n'


def test_set_unset_and_device_commands_cause_events(short: Path) -> None:
    path = short / "lxd" / "sock"
    at = ("--socket", path)
    with serving(short), RawConnection(path) as connection:
        connection.send("/1.0/events", headers=HANDSHAKE)
        connection.read_until(b"\r\n\r\n")
        assert connection.read_frame()[1] == 0x9
        assert simulate(short, "set", *at, "user.n", "-1") == (0, "", "")
        assert connection.read_event()["metadata"] == {"key": "user.n", "old_value": "", "value": "-1"}
        assert simulate(short, "set", *at, "user.n", "-", given=b"a\n\xc3\xbc\n") == (0, "", "")
        assert connection.read_event()["metadata"] == {"key": "user.n", "old_value": "-1", "value": "a\nü\n"}
        assert simulate(short, "set", *at, "user.n", "", "user.m", "2") == (0, "", "")
        changed = {connection.read_event()["metadata"]["key"] for _ in range(2)}
        assert changed == {"user.n", "user.m"}
        assert simulate(short, "unset", *at, "user.m") == (0, "", "")
        assert connection.read_event()["metadata"] == {"key": "user.m", "old_value": "2", "value": ""}
        assert simulate(short, "device", *at, "data", "type=disk", "path=/a=b") == (0, "", "")
        data = {"path": "/a=b", "type": "disk"}
        assert connection.read_event()["metadata"] == {"action": "added", "config": data, "name": "data"}
        assert simulate(short, "device", *at, "data", "--remove") == (0, "", "")
        assert connection.read_event()["metadata"] == {"action": "removed", "config": data, "name": "data"}


def test_restart_and_switch_commands_recreate_and_remove_the_socket(short: Path) -> None:
    path = short / "lxd" / "sock"
    at = ("--socket", path)
    with serving(short):
        inode = path.stat().st_ino
        assert simulate(short, "restart", *at, "--for", "0.1") == (0, "", "")
        assert path.stat().st_ino != inode
        assert simulate(short, "switch", *at, "off") == (0, "", "")
        assert not path.exists()
        assert simulate(short, "switch", *at, "on") == (0, "", "")
        assert request(path, "/").body == b'["/1.0"]\n'


def test_refused_changes_are_reported_in_one_line(short: Path) -> None:
    errors = {
        ("set", "cloud-init.nope", "1"): '"cloud-init.nope" is not supported for "container"',
        ("set", "user.", "1"): '"user." requires a subkey',
        ("unset", "user.never"): "Can't unset key 'user.never', it's not currently set",
        ("device", "none", "--remove"): "Device doesn't exist",
    }
    with serving(short):
        for (command, *rest), message in errors.items():
            prefix = "Invalid config: " if command == "set" else ""
            expected = (1, "", f"devlxd-simulator: {prefix}{message}\n")
            assert simulate(short, command, "--socket", short / "lxd" / "sock", *rest) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["set", "user.a"], "user.a: VALUE is missing"),
        (["device", "data"], "give either --remove or type=TYPE and other options"),
        (["device", "data", "disk"], "disk: not of the form KEY=VALUE"),
    ],
)
def test_invalid_arguments_are_usage_errors(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, arguments, env={"DEVLXD_SOCKET": "/nowhere"})
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == f"Error: {message}"


def test_set_without_a_running_simulator_fails(short: Path) -> None:
    message = f"devlxd-simulator: {short}/sock: no simulator is running: no such file or directory\n"
    assert simulate(short, "set", "--socket", short / "sock", "user.a", "1") == (1, "", message)


@pytest.mark.parametrize(
    "command", [[], ["run"], ["serve"], ["set"], ["unset"], ["device"], ["show"], ["restart"], ["switch"]]
)
def test_every_help_text_has_an_example_and_a_short_summary(command: list[str]) -> None:
    done = CliRunner().invoke(cli, [*command, "-h"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert re.search(r"^  Examples?:\n    devlxd|^  Examples?:\n    lxc", done.stdout, re.MULTILINE)
    assert len(done.stdout.split("\n\n")[1].strip().partition("\n")[0]) <= 60


START = "from devlxdctl.simulator.__main__ import main; main()"


def test_commands_for_a_running_simulator_do_not_import_aiohttp(short: Path) -> None:
    path = short / "lxd" / "sock"
    with serving(short):
        python = (sys.executable, "-X", "importtime", "-c", START)
        arguments = [*python, "set", "--socket", str(path), "user.n", "1"]
        process = subprocess.run(arguments, capture_output=True, timeout=TIMEOUT, check=False)
        assert (process.returncode, process.stdout) == (0, b"")
        imported = {line.rpartition(b"|")[2].strip() for line in process.stderr.splitlines()}
        assert b"devlxdctl.simulator.control" in imported
        assert b"aiohttp" not in imported
        assert request(path, "/1.0/config/user.n").body == b"1"


def test_version_option_prints_the_package_version(short: Path) -> None:
    assert simulate(short, "--version") == (0, f"devlxd-simulator, version {__version__}\n", "")


@pytest.mark.parametrize("missing", ["aiohttp", "yaml"])
def test_missing_package_is_reported_with_an_install_hint(short: Path, missing: str) -> None:
    # None in sys.modules makes an import fail as if the package were not installed.
    block = f"import sys; sys.modules[{missing!r}] = None"
    process = subprocess.run(
        [sys.executable, "-c", f"{block}; {START}", "run", "--", "true"],
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (process.returncode, process.stdout) == (2, b"")
    assert process.stderr.decode() == (
        f"devlxd-simulator: {missing}: not installed\nhint: pip install 'devlxdctl[simulator]'\n"
    )
