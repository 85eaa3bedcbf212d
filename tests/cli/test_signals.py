"""Signals: the program dies by those that end it, without a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.program import PROGRAM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_program_that_waits_for_the_host_dies_by_the_signal(
    number: signal.Signals, socket_directory: Path
) -> None:
    with subprocess.Popen(
        [PROGRAM, "-v", "wait", "host", "--socket", socket_directory / "sock"],
        env={},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        assert program.stderr is not None
        assert b"; retry in " in program.stderr.readline()
        program.send_signal(number)
        stdout, stderr = program.communicate(timeout=20)
    assert (program.returncode, stdout) == (-number, b"")
    assert b"Traceback" not in stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "place",
    [
        "class Dying:\n    def __del__(self): receive()\nDying()",
        "dying = set()\nreference = weakref.ref(dying, lambda _: receive())\ndel dying",
    ],
    ids=["destructor", "callback of a weak reference"],
)
def test_signal_in_a_destructor_interrupts_the_block_a_moment_later(
    place: str, number: signal.Signals
) -> None:
    script = (
        "import signal, sys, threading, weakref\n"
        "from devlxdctl.cli.signals import Interrupted, raise_on_signals\n"
        "def receive():\n"
        "    signal.raise_signal(int(sys.argv[1]))\n"
        "    print('not interrupted')\n"
        "try:\n"
        "    with raise_on_signals():\n"
        "        exec(sys.argv[2])\n"
        "        threading.Event().wait(60)\n"
        "        print('not interrupted')\n"
        "except Interrupted as interrupted:\n"
        "    print(interrupted)\n"
    )
    argv = [sys.executable, "-c", script, str(number.value), place]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, number.name.encode() + b"\n", b"")


def test_other_exceptions_in_destructors_are_printed() -> None:
    script = (
        "from devlxdctl.cli.signals import raise_on_signals\n"
        "class Dying:\n"
        "    def __del__(self): raise ValueError('in the destructor')\n"
        "with raise_on_signals():\n"
        "    Dying()\n"
        "print('end')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"end\n")
    assert done.stderr.endswith(b"ValueError: in the destructor\n")


def test_completion_that_times_out_in_a_destructor_ends_and_prints_nothing() -> None:
    script = (
        "import click, signal, threading\n"
        "from devlxdctl import Client\n"
        "from devlxdctl.cli.completion import values\n"
        "class Dying:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGALRM)\n"
        "        print('not interrupted')\n"
        "def wait(client):\n"
        "    Dying()\n"
        "    threading.Event().wait(60)\n"
        "Client.config_keys = wait\n"
        "print(values.key(click.Context(click.Command('get')), None, ''))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"[]\n", b"")
