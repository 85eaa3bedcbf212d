"""`devlxd-simulator` as a user runs it."""

import json
import os
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
from tests.simulator.simhost import HANDSHAKE, Wire, ask

PROGRAM = str(Path(sys.executable).with_name("devlxd-simulator"))
LIMIT = 20.0


def start(short: Path, *arguments: str | Path) -> "subprocess.Popen[bytes]":
    """Start it with its temporary files in a directory of the test's."""
    environment = {"TMPDIR": str(short), "PATH": os.environ["PATH"]}
    return subprocess.Popen(
        [PROGRAM, *map(str, arguments)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def result(process: "subprocess.Popen[bytes]", given: bytes = b"") -> tuple[int, str, str]:
    """Its status, stdout and stderr."""
    try:
        out, err = process.communicate(given, LIMIT)
    finally:
        process.kill()
    return process.returncode, out.decode(), err.decode()


def simulate(short: Path, *arguments: str | Path, given: bytes = b"") -> tuple[int, str, str]:
    return result(start(short, *arguments), given)


def line(process: "subprocess.Popen[bytes]") -> bytes:
    """The next line of its stdout."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], LIMIT)
    assert readable, "it said nothing"
    return bytes(process.stdout.readline())


@contextmanager
def serving(short: Path, *arguments: str | Path) -> Iterator["subprocess.Popen[bytes]"]:
    path = short / "lxd" / "sock"
    process = start(short, "serve", "--socket", path, *arguments)
    try:
        assert line(process) == f"listening on {path}\n".encode()
        yield process
    finally:
        process.terminate()
        assert result(process) == (-signal.SIGTERM, "", "")
        assert not path.exists()


def test_run_ends_as_the_command_does_and_leaves_nothing(short: Path) -> None:
    script = 'test -S "$DEVLXD_SOCKET" && echo "$DEVLXD_SOCKET"; exit 7'
    status, out, err = simulate(short, "run", "--", "sh", "-c", script)
    assert (status, err) == (7, "")
    assert Path(out.strip()).parts[-2:] == ("lxd", "sock")
    assert list(short.iterdir()) == []


def test_the_directory_of_an_incus_guest_is_named_incus(short: Path) -> None:
    _, out, _ = simulate(short, "run", "--profile", "incus", "--", "sh", "-c", 'echo "$DEVLXD_SOCKET"')
    assert Path(out.strip()).parts[-2:] == ("incus", "sock")


def test_run_gives_the_command_its_own_stdin_and_options(short: Path) -> None:
    assert simulate(short, "run", "cat", "-u", given=b"through") == (0, "through", "")


@pytest.mark.parametrize(
    ("command", "status", "complaint"),
    [
        ("/nowhere/at-all", 127, "devlxd-simulator: /nowhere/at-all: No such file or directory\n"),
        ("/etc/passwd", 126, "devlxd-simulator: /etc/passwd: Permission denied\n"),
    ],
)
def test_a_command_that_cannot_run_has_the_status_of_a_shell(
    short: Path, command: str, status: int, complaint: str
) -> None:
    assert simulate(short, "run", "--", command) == (status, "", complaint)
    assert list(short.iterdir()) == []


def test_run_dies_by_the_signal_that_killed_the_command(short: Path) -> None:
    assert simulate(short, "run", "--", "sh", "-c", "kill -KILL $$")[0] == -signal.SIGKILL
    assert list(short.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_run_passes_a_signal_on_as_term_and_dies_by_it(short: Path, number: signal.Signals) -> None:
    script = "trap 'echo told; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    process = start(short, "run", "--", "sh", "-c", script)
    assert line(process) == b"up\n"
    process.send_signal(number)
    assert result(process) == (-number, "told\n", "")
    assert list(short.iterdir()) == []


def test_run_needs_a_command(short: Path) -> None:
    status, out, err = simulate(short, "run")
    assert (status, out) == (2, "")
    assert "Missing argument 'COMMAND...'" in err


def test_an_unknown_fault_is_a_usage_error_that_lists_them(short: Path) -> None:
    status, _, err = simulate(short, "run", "--fault", "boom", "true")
    assert status == 2
    assert "unknown fault 'boom'; there are late-socket, boot-500, restart, refuse" in " ".join(err.split())


def test_a_bad_guest_file_is_one_line(short: Path) -> None:
    file = short / "guest.yaml"
    file.write_text("config:\n  user.a: 1\n user.b: 2\n")
    complaint = f"{file}, line 3: expected <block end>, but found '<block mapping start>'"
    assert simulate(short, "run", "--guest", file, "true") == (2, "", f"devlxd-simulator: {complaint}\n")


def test_run_simulates_the_guest_of_a_file(short: Path) -> None:
    file = short / "guest.yaml"
    file.write_text("config: {user.a: 1}\nsimulator: {name: web1}\n")
    status, out, err = simulate(short, "run", "--guest", file, PROGRAM, "show")
    assert (status, err) == (0, "")
    shown = json.loads(out)
    assert (shown["name"], shown["config"]["user.a"], shown["ready"]) == ("web1", "1", None)


def test_serve_stays_until_it_is_told_to_end(short: Path) -> None:
    with serving(short):
        assert ask(short / "lxd" / "sock", "/").body == b'["/1.0"]\n'
    assert list(short.iterdir()) == []


def test_serve_refuses_what_is_no_socket_and_what_is_alive(short: Path) -> None:
    (short / "file").write_text("mine")
    complaint = f"devlxd-simulator: {short}/file: it exists and is no socket\n"
    assert simulate(short, "serve", "--socket", short / "file") == (1, "", complaint)
    with serving(short):
        path = short / "lxd" / "sock"
        complaint = f"devlxd-simulator: {path}: something listens on it already\n"
        assert simulate(short, "serve", "--socket", path) == (1, "", complaint)
        assert ask(path, "/").body == b'["/1.0"]\n'


def test_serve_announces_a_late_socket_when_it_is_there(short: Path) -> None:
    with serving(short, "--fault", "late-socket=0.2"):
        assert ask(short / "lxd" / "sock", "/").body == b'["/1.0"]\n'


def test_the_host_changes_the_guest_while_it_runs(short: Path) -> None:
    path = short / "lxd" / "sock"
    at = ("--socket", path)
    with serving(short), Wire(path) as wire:
        wire.send("/1.0/events", headers=HANDSHAKE)
        wire.until(b"\r\n\r\n")
        assert wire.frame()[1] == 0x9
        assert simulate(short, "set", *at, "user.n", "-1") == (0, "", "")
        assert wire.event()["metadata"] == {"key": "user.n", "old_value": "", "value": "-1"}
        assert simulate(short, "set", *at, "user.n", "-", given=b"a\n\xc3\xbc\n") == (0, "", "")
        assert wire.event()["metadata"] == {"key": "user.n", "old_value": "-1", "value": "a\nü\n"}
        assert simulate(short, "set", *at, "user.n", "", "user.m", "2") == (0, "", "")
        told = {wire.event()["metadata"]["key"] for _ in range(2)}
        assert told == {"user.n", "user.m"}
        assert simulate(short, "unset", *at, "user.m") == (0, "", "")
        assert wire.event()["metadata"] == {"key": "user.m", "old_value": "2", "value": ""}
        assert simulate(short, "device", *at, "data", "type=disk", "path=/a=b") == (0, "", "")
        data = {"path": "/a=b", "type": "disk"}
        assert wire.event()["metadata"] == {"action": "added", "config": data, "name": "data"}
        assert simulate(short, "device", *at, "data", "--remove") == (0, "", "")
        assert wire.event()["metadata"] == {"action": "removed", "config": data, "name": "data"}


def test_the_host_restarts_and_switches_the_api(short: Path) -> None:
    path = short / "lxd" / "sock"
    at = ("--socket", path)
    with serving(short):
        inode = path.stat().st_ino
        assert simulate(short, "restart", *at, "--for", "0.1") == (0, "", "")
        assert path.stat().st_ino != inode
        assert simulate(short, "switch", *at, "off") == (0, "", "")
        assert not path.exists()
        assert simulate(short, "switch", *at, "on") == (0, "", "")
        assert ask(path, "/").body == b'["/1.0"]\n'


def test_what_the_host_refuses_is_one_line(short: Path) -> None:
    refusals = {
        ("set", "cloud-init.nope", "1"): '"cloud-init.nope" is not supported for "container"',
        ("set", "user.", "1"): '"user." requires a subkey',
        ("unset", "user.never"): "Can't unset key 'user.never', it's not currently set",
        ("device", "none", "--remove"): "Device doesn't exist",
    }
    with serving(short):
        for (command, *rest), complaint in refusals.items():
            prefix = "Invalid config: " if command == "set" else ""
            expected = (1, "", f"devlxd-simulator: {prefix}{complaint}\n")
            assert simulate(short, command, "--socket", short / "lxd" / "sock", *rest) == expected


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["set", "user.a"], "user.a: a KEY without a VALUE"),
        (["device", "data"], "either --remove or at least type=TYPE"),
        (["device", "data", "disk"], "disk: not of the form K=V"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(arguments: list[str], complaint: str) -> None:
    done = CliRunner().invoke(cli, arguments, env={"DEVLXD_SOCKET": "/nowhere"})
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == f"Error: {complaint}"


def test_without_a_simulator_there_is_nothing_to_change(short: Path) -> None:
    complaint = f"devlxd-simulator: no simulator at {short}/sock: No such file or directory\n"
    assert simulate(short, "set", "--socket", short / "sock", "user.a", "1") == (1, "", complaint)


@pytest.mark.parametrize(
    "command", [[], ["run"], ["serve"], ["set"], ["unset"], ["device"], ["show"], ["restart"], ["switch"]]
)
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    done = CliRunner().invoke(cli, [*command, "-h"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert "  Example:\n    " in done.stdout


def test_it_tells_its_version(short: Path) -> None:
    assert simulate(short, "--version") == (0, f"devlxd-simulator, version {__version__}\n", "")


@pytest.mark.parametrize("missing", ["aiohttp", "yaml"])
def test_a_missing_package_is_one_line(short: Path, missing: str) -> None:
    # None in the list of modules is how an import is made to fail as for a package that is not there.
    block = f"import sys; sys.modules[{missing!r}] = None"
    process = subprocess.run(
        [sys.executable, "-c", f"{block}; from devlxdctl.simulator.__main__ import main; main()"],
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert (process.returncode, process.stdout) == (2, b"")
    assert process.stderr.decode() == (
        f"devlxd-simulator: it needs {missing}, which is not installed: pip install 'devlxdctl[simulator]'\n"
    )
