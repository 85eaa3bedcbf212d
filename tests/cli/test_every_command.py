"""What happens to every command when something is wrong with the socket, stdout or an option."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from devlxdctl import ExitStatus
from devlxdctl.simulator import Simulator
from tests.cli.command_tree import DEVLXDCTL, INVOCATIONS, LEAVES, Invocation
from tests.support.program import OBEY_FILE_MODES, PROGRAM, Result, failure, run

NEED_HOST = [name for name, invocation in INVOCATIONS.items() if invocation.needs_host]
PRINT = [name for name, invocation in INVOCATIONS.items() if invocation.prints]
STREAMING = ("config watch", "events")
"""Commands that end after changes."""


def arguments(name: str, simulator: Simulator | None = None) -> list[str]:
    """Return the words of a command and the arguments of its invocation."""
    image, directory = "0" * 64, "/nowhere"
    if simulator is not None:
        image, directory = simulator.show()["images"][0]["fingerprint"], str(simulator.path.parent)
    words = INVOCATIONS[name].arguments
    return [*name.split(), *(word.format(fingerprint=image, directory=directory) for word in words)]


class ChangingKey:
    """Changes a config key of the simulator again and again during a `with` block, from another thread."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._change)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _change(self) -> None:
        number = 0
        while not self._ended.wait(0.05):
            number += 1
            self._simulator.set({"user.role": f"web{number}"})


def run_in_shell(name: str, redirection: str, simulator: Simulator) -> Result:
    """Run the invocation of a command with a redirection, and let it end by changes where it needs them."""
    script = f'exec "$@" {redirection}'
    argv = ["sh", "-c", script, "sh", PROGRAM, *arguments(name, simulator)]
    env = {"DEVLXD_SOCKET": str(simulator.path), "PATH": os.defpath}

    def run_it() -> Result:
        done = subprocess.run(argv, env=env, capture_output=True, timeout=60, check=False)
        return Result(done.returncode, done.stdout, done.stderr)

    if name not in STREAMING:
        return run_it()
    with ChangingKey(simulator):
        return run_it()


def test_every_command_has_an_invocation() -> None:
    assert sorted(INVOCATIONS) == sorted(LEAVES)


@pytest.mark.parametrize("name", LEAVES)
def test_command_succeeds_with_its_minimal_arguments(name: str, simulator: Simulator) -> None:
    result = run_in_shell(name, "", simulator)
    assert (result.status, result.stderr) == (0, b"")
    assert bool(result.stdout) is INVOCATIONS[name].prints
    assert bool(simulator.requests) is INVOCATIONS[name].needs_host


@pytest.mark.parametrize("name", NEED_HOST)
def test_command_without_socket_prints_one_error(name: str, socket_directory: Path) -> None:
    invocation: Invocation = INVOCATIONS[name]
    path = socket_directory / "lxd" / "sock"
    result = run(*arguments(name), socket=path)
    assert result.status == invocation.without_socket
    if invocation.prints_failure:
        assert (b" does not exist" in result.stdout, result.stderr) == (True, b"")
        return
    waited = "; waited 0 s" if result.status == ExitStatus.TIMED_OUT else ""
    hint = (
        "is this a guest of LXD or Incus? If it is, on the host: lxc config set INSTANCE security.devlxd=true"
    )
    assert result == failure(invocation.without_socket, f"{path}: no such socket{waited}", hint)


@pytest.mark.parametrize("name", NEED_HOST)
def test_command_without_permission_on_the_socket_exits_4(name: str, simulator: Simulator) -> None:
    argv = arguments(name, simulator)
    simulator.path.chmod(0o400)
    result = run(*argv, socket=simulator.path, prefix=OBEY_FILE_MODES)
    if INVOCATIONS[name].prints_failure:
        assert (result.status, result.stderr) == (4, b"")
        return
    assert result == failure(
        4, f"{simulator.path}: permission denied", "only root can use it: sudo devlxdctl …"
    )


@pytest.mark.parametrize("name", LEAVES)
def test_command_needs_stdout_only_if_it_prints(name: str, simulator: Simulator) -> None:
    expected = failure(8, "stdout: is closed") if INVOCATIONS[name].prints else Result(0, b"", b"")
    assert run_in_shell(name, ">&-", simulator) == expected


@pytest.mark.parametrize("name", PRINT)
def test_command_exits_8_if_the_disk_is_full(name: str, simulator: Simulator) -> None:
    assert run_in_shell(name, ">/dev/full", simulator) == failure(8, "stdout: no space left on device")


@pytest.mark.parametrize("name", PRINT)
def test_command_dies_by_sigpipe_if_stdout_is_a_closed_pipe(name: str, simulator: Simulator) -> None:
    # The shell opens a FIFO for both, then only for writing, and so closes its reading end.
    fifo = simulator.path.parent / "fifo"
    os.mkfifo(fifo)
    result = run_in_shell(name, f"3<>{fifo} >{fifo} 3<&-", simulator)
    assert result == Result(-signal.SIGPIPE, b"", b"")


@pytest.mark.parametrize("name", DEVLXDCTL)
def test_unknown_option_is_a_usage_error_before_any_request(name: str, simulator: Simulator) -> None:
    words = name.split()
    rest = arguments(name, simulator)[len(words) :] if name in INVOCATIONS else []
    subject = f"{name}: " if name else ""
    result = run(*words, "--no-such-option", *rest, socket=simulator.path)
    assert result == failure(
        2,
        f"{subject}no such option --no-such-option",
        f"see the help: {' '.join(['devlxdctl', *words])} --help",
    )
    assert simulator.requests == []


@pytest.mark.parametrize("name", LEAVES)
def test_bad_value_of_common_option_is_a_usage_error(name: str, simulator: Simulator) -> None:
    words = name.split()
    rest = arguments(name, simulator)[len(words) :]
    result = run(*words, "--wait", "soon", *rest, socket=simulator.path)
    assert result == failure(
        2,
        f"{name}: invalid value for '--wait': 'soon' is not a number of seconds",
        f"see the help: devlxdctl {name} --help",
    )
    assert simulator.requests == []
