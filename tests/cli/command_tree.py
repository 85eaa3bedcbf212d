"""Every command of both programs, from their Click trees, and for each the arguments that it needs.

The tests of all commands iterate over these tables. A new command needs one more row in `INVOCATIONS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import click

from devlxdctl import ExitStatus
from devlxdctl.cli import devlxdctl
from devlxdctl.simulator.cli import cli as devlxd_simulator
from tests.support.program import REPOSITORY
from tools.manual import commands

DEVLXDCTL: Final = {" ".join(words[1:]): each for words, each in commands(devlxdctl, ("devlxdctl",))}
"""The commands of `devlxdctl` by their words: "", "config", "config get"."""

ALL: Final = {
    " ".join(words): each
    for program, name in ((devlxdctl, "devlxdctl"), (devlxd_simulator, "devlxd-simulator"))
    for words, each in commands(program, (name,))
}
"""The commands of both programs by their words: "devlxdctl", "devlxd-simulator set"."""

LEAVES: Final = [name for name, command in DEVLXDCTL.items() if not isinstance(command, click.Group)]
"""The commands of `devlxdctl` that are not groups."""


class Invocation(NamedTuple):
    """How the tests of all commands call one command on the instance of `simulator`, where it succeeds.

    * `arguments`: the words after the command; `{fingerprint}` is that of the instance's image, `{directory}`
      one for files.
    * `needs_host`: whether it sends requests.
    * `prints`: whether it writes to stdout.
    * `without_socket`: the exit status where there is no socket.
    * `prints_failure`: whether it reports a failure on stdout, as its result.
    """

    arguments: tuple[str, ...] = ()
    needs_host: bool = True
    prints: bool = True
    without_socket: ExitStatus = ExitStatus.NO_DEVLXD
    prints_failure: bool = False


_TOKEN: Final = ("--token-file", str(Path(__file__).parent / "volumes.token"))
"""The option with the bearer token of an identity that owns volumes."""

INVOCATIONS: Final[dict[str, Invocation]] = {
    "completion": Invocation(("bash",), needs_host=False),
    "config env": Invocation(),
    "config get": Invocation(("user.role",)),
    "config ls": Invocation(),
    "config render": Invocation((f"{REPOSITORY}/LICENSE",), needs_host=False),
    "config run": Invocation(("--", "true"), prints=False),
    "config save": Invocation(("user.role", "{directory}/role"), prints=False),
    "config watch": Invocation(("user.role", "--count", "1")),
    "devices": Invocation(),
    "doctor": Invocation(prints_failure=True),
    "dump": Invocation(),
    "events": Invocation(("--count", "1")),
    "help": Invocation(needs_host=False),
    "image export": Invocation(("{fingerprint}", "-o", "-")),
    "metadata": Invocation(),
    "pool show": Invocation(("default", *_TOKEN)),
    "pro status": Invocation(),
    "pro token": Invocation(),
    "query": Invocation(("/1.0",)),
    "ready": Invocation(prints=False),
    "state": Invocation(),
    "versions": Invocation(),
    "volume attach": Invocation(("default", "vol1", "/srv", *_TOKEN)),
    "volume create": Invocation(("default", "new", *_TOKEN)),
    "volume delete": Invocation(("default", "vol1", *_TOKEN), prints=False),
    "volume detach": Invocation(("vol2", *_TOKEN), prints=False),
    "volume ls": Invocation(("default", *_TOKEN)),
    "volume set": Invocation(("default", "vol1", "user.a=b", *_TOKEN)),
    "volume show": Invocation(("default", "vol1", *_TOKEN)),
    "volume snapshot create": Invocation(("default", "vol1", *_TOKEN)),
    "volume snapshot delete": Invocation(("default", "vol1", "snap0", *_TOKEN), prints=False),
    "volume snapshot ls": Invocation(("default", "vol1", *_TOKEN)),
    "volume snapshot show": Invocation(("default", "vol1", "snap0", *_TOKEN)),
    "wait config": Invocation(("user.role", "--timeout", "0"), without_socket=ExitStatus.TIMED_OUT),
    "wait device": Invocation(("root", "--timeout", "0"), without_socket=ExitStatus.TIMED_OUT),
    "wait host": Invocation(("--timeout", "0"), prints=False, without_socket=ExitStatus.TIMED_OUT),
}
