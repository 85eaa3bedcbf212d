"""Completion in the real shells, at a terminal of their own, and its cost when the host is in trouble."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.cli.completion.values import TIMEOUT
from devlxdctl.simulator import Simulator
from devlxdctl.simulator.faults import parse_faults
from tests.support.program import PROGRAM, Result, run
from tests.support.terminal import Shell

KEYS = {
    "user.role": "1",
    "user.colon:ed": "1",
    "user.eq=ual": "1",
    "user.sp ace": "1",
    "user.do$lar*": "1",
    "user.quo'te": "1",
    "user.ünï☃": "1",
    "user.li\nne": "1",
    "user.esc\x1b[31m": "1",
}


@pytest.fixture
def simulator(short: Path) -> Iterator[Simulator]:
    with Simulator(short / "sock") as host:
        host.set({**dict.fromkeys(("user.role", "user.domain", "cloud-init.user-data"), ""), **KEYS})
        host.device("data", {"type": "disk", "path": "/data"})
        host.device("eth0", {"type": "nic"})
        host.device("odd", {"type": "teapot"})
        yield host


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest, tmp_path: Path, simulator: Simulator) -> Iterator[Shell]:
    with Shell(request.param, tmp_path, PROGRAM, {"DEVLXD_SOCKET": str(simulator.path)}) as shell:
        yield shell


def completes(shell: Shell, keys: str, words: str) -> None:
    """A busy machine may be late for a TAB, which then offers nothing: seen three times, it is no chance."""
    seen = [shell.words(keys)]
    while seen[-1] != words and len(seen) < 3:
        seen.append(shell.words(keys))
    assert seen[-1] == words, seen


def test_words_in_a_real_shell(shell: Shell) -> None:
    completes(shell, "devlxdctl conf\tge\tuser.r\t", "[config][get][user.role]")
    completes(shell, "devlxdctl config watch user.r\t", "[config][watch][user.role]")
    completes(shell, "devlxdctl wait conf\tuser.r\t", "[wait][config][user.role]")
    completes(shell, "devlxdctl config ls --val\t user.r\t", "[config][ls][--values][user.role]")
    completes(shell, "devlxdctl devices e\t", "[devices][eth0]")
    completes(shell, "devlxdctl wait device da\t", "[wait][device][data]")
    completes(shell, "devlxdctl devices --type tea\t", "[devices][--type][teapot]")
    completes(shell, "devlxdctl devices --type=infi\t", "[devices][--type=infiniband]")
    completes(shell, "devlxdctl events --type dev\t", "[events][--type][device]")
    completes(shell, "devlxdctl events --type config,d\t", "[events][--type][config,device]")
    completes(shell, "devlxdctl --form\tjs\tstate loc\t", "[--format][json][state][location]")
    completes(shell, "devlxdctl help exit\t", "[help][exit-codes]")
    completes(shell, "devlxdctl config get none\t", "[config][get][none]")


def test_keys_that_a_shell_would_misread(shell: Shell) -> None:
    completes(shell, "devlxdctl config get user.co\t", "[config][get][user.colon:ed]")
    completes(shell, "devlxdctl config get user.colon:e\t", "[config][get][user.colon:ed]")
    completes(shell, "devlxdctl config get user.eq=\t", "[config][get][user.eq=ual]")
    completes(shell, "devlxdctl config get user.sp\t", "[config][get][user.sp ace]")
    completes(shell, "devlxdctl config get 'user.sp\t", "[config][get][user.sp ace]")
    completes(shell, 'devlxdctl config get "user.sp\t', "[config][get][user.sp ace]")
    completes(shell, "devlxdctl config get user.do\t", "[config][get][user.do$lar*]")
    completes(shell, "devlxdctl config get user.quo\t", "[config][get][user.quo'te]")
    completes(shell, "devlxdctl config get user.ü\t", "[config][get][user.ünï☃]")
    for control in ("user.li", "user.es"):
        completes(shell, f"devlxdctl config get {control}\t", f"[config][get][{control}]")


def test_files(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a token").touch()
    assert shell.words("devlxdctl --token-file a\\ to\t state") == "[--token-file][a token][state]"


def test_several_that_fit_are_shown(shell: Shell) -> None:
    shell.type("devlxdctl devices \t\t")
    shell.until(rb"(?=.*data)(?=.*eth0)(?=.*odd)")


def complete(line: str, socket: Path | str, env: dict[str, str] | None = None) -> Result:
    how = {"_DEVLXDCTL_COMPLETE": "fish_complete", "COMP_WORDS": line}
    return run(socket=socket, env={**how, **(env or {})})


def test_what_is_given_already_is_not_offered_again(simulator: Simulator) -> None:
    simulator.set(dict.fromkeys(KEYS, ""))
    simulator.set({"user.a": "1", "user.b": "1"})
    assert complete("devlxdctl config get user.a user.", simulator.path) == Result(0, b"plain,user.b\n", b"")
    assert complete("devlxdctl events --type config,", simulator.path).stdout == b"plain,config,device\n"


def test_options_of_the_line_are_heeded(simulator: Simulator) -> None:
    line = f"devlxdctl --socket {simulator.path} config get user.ro"
    assert complete(line, "/nowhere/sock") == Result(0, b"plain,user.role\n", b"")


TROUBLES = ("absent", "down", "trickle", "forbidden", "off", "boot-500=60")


class Trickle:
    """A host that takes every connection and sends a byte of an answer now and then, for ever."""

    def __init__(self, path: Path, answer: bytes) -> None:
        self._answer = answer
        self._end = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection:
            try:
                connection.sendall(self._answer)
                while not self._end.wait(0.02):
                    connection.sendall(b" ")
            except OSError:
                pass


def absent(path: Path) -> None:
    pass


def down(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    ("trouble", "line"),
    [
        *(
            (trouble, "config get ")
            for trouble in ("absent", "down", "trickle", "forbidden", "off", "boot-500=60")
        ),
        *(("hang", line) for line in ("config get ", "devices ", "state ")),
    ],
)
def test_a_host_in_trouble_costs_little_and_says_nothing(
    trouble: str, line: str, short: Path, simulator: Simulator
) -> None:
    usual = timed(line, simulator.path)[0]
    path = short / "lxd" / "sock"
    path.parent.mkdir()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    if trouble in ("absent", "down"):
        (absent if trouble == "absent" else down)(path)
        took, result = timed(line, path)
    elif trouble == "trickle":
        trickle = Trickle(path, head)
        try:
            took, result = timed(line, path)
        finally:
            trickle.close()
    else:
        with Simulator(path, None, "lxd-6", parse_faults([trouble])):
            took, result = timed(line, path)
    assert result == Result(0, b"\n", b"")
    assert took < usual + TIMEOUT + 0.1


def timed(line: str, path: Path) -> tuple[float, Result]:
    """How long a TAB takes, and what it says."""
    start = time.monotonic()
    result = complete(f"devlxdctl {line}", path)
    return time.monotonic() - start, result


def test_nonsense_from_the_shell_is_no_traceback(simulator: Simulator) -> None:
    for instruction in ("", "fish", "fish_", "nosuch_complete", "fish_nonsense"):
        result = run(env={"_DEVLXDCTL_COMPLETE": instruction}, socket=simulator.path)
        assert b"Traceback" not in result.stderr
    assert run(env={"_DEVLXDCTL_COMPLETE": "bash_complete"}, socket=simulator.path).stderr == b""


def test_a_bad_token_file_is_not_told(simulator: Simulator, tmp_path: Path) -> None:
    line = f"devlxdctl --token-file {tmp_path}/none config get user."
    assert complete(line, simulator.path) == Result(0, b"\n", b"")
    os.mkfifo(tmp_path / "fifo")  # one that never ends is bounded too
    line = f"devlxdctl --token-file {tmp_path}/fifo config get user."
    assert complete(line, simulator.path) == Result(0, b"\n", b"")
