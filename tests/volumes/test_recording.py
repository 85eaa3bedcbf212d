"""Test that commands and library get from the simulator what LXD 6.9 sent, for every recorded exchange.

The exchanges are made in the recorded order: by the command of `STEPS` where there is one, otherwise as
recorded. What differs from the recording is in `STEPS`, too:

- Volumes and snapshots that exist already, and devices of others, are noticed before a change is sent.
- Lists of volumes leave the snapshots out.
- An empty name is not sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from devlxdctl import Client, DevLXDError
from devlxdctl.simulator import Simulator
from tests.simulator.simhost import make_guest
from tests.simulator.storage_client import LASTING
from tests.simulator.test_storage_recording import RECORDING, Identifiers, send
from tests.support.program import run

EXISTS = "devlxdctl: {}: {} exists already\n"


class Step(NamedTuple):
    """A command, the call of the library that does the same, and what is expected.

    `stderr` None: stdout is the JSON that the host sent, or that it sends in exchange `shown`.
    """

    command: str
    call: Callable[[Client], Any]
    status: int = 0
    stderr: str | None = None
    shown: int | None = None
    prints_nothing: bool = False


STEPS: dict[int, Step] = {
    0: Step("state", lambda client: client.state()),
    2: Step("pool show default", lambda client: client.pool("default")),
    4: Step("volume ls default", lambda client: client.volumes("default")),
    6: Step(
        "volume create default a --size 8MiB --description d",
        lambda client: client.create_volume("default", "a", size="8MiB", description="d").wait(),
        shown=18,
    ),
    7: Step(
        "volume create default a",
        lambda client: client.create_volume("default", "a"),
        *(8, EXISTS.format("a", "volume")),
    ),
    8: Step(
        "volume create default b",
        lambda client: client.create_volume("default", "b").wait()["name"],
        prints_nothing=True,
    ),
    9: Step(
        "volume create default ''",
        lambda client: client.create_volume("default", ""),
        *(2, "devlxdctl: volume '': not a valid name\n"),
    ),
    10: Step(
        "volume create default x/y",
        lambda client: client.create_volume("default", "x/y"),
        *(1, 'devlxdctl: x/y: HTTP status 400: Invalid volume name "x/y": Cannot contain slashes\n'),
    ),
    11: Step(
        "volume create default q --config nonsense=1",
        lambda client: client.create_volume("default", "q", config={"nonsense": "1"}).wait(),
        *(1, 'devlxdctl: q: Invalid option for volume "q" option "nonsense"\n'),
    ),
    14: Step(
        "volume create default q --block --size 8MiB",
        lambda client: client.create_volume("default", "q", block=True, size="8MiB").wait()["name"],
        prints_nothing=True,
    ),
    16: Step("volume ls default", lambda client: client.volumes("default")),
    18: Step("volume show default a", lambda client: client.volume("default", "a")),
    19: Step(
        "volume set default a --description new",
        lambda client: client.set_volume("default", "a", description="new").wait(),
        shown=20,
    ),
    20: Step("volume show default a", lambda client: client.volume("default", "a")),
    33: Step(
        "volume snapshot create default a",
        lambda client: client.create_volume_snapshot("default", "a").wait()["name"],
        prints_nothing=True,
    ),
    34: Step(
        "volume snapshot create default a s1 --description first",
        lambda client: client.create_volume_snapshot("default", "a", "s1", description="first").wait(),
        shown=38,
    ),
    35: Step(
        "volume snapshot create default a s1",
        lambda client: client.create_volume_snapshot("default", "a", "s1"),
        *(8, EXISTS.format("s1", "snapshot")),
    ),
    37: Step("volume snapshot ls default a", lambda client: client.volume_snapshots("default", "a")),
    38: Step(
        "volume snapshot show default a s1", lambda client: client.volume_snapshot("default", "a", "s1")
    ),
    40: Step(
        "volume snapshot delete default a s1",
        lambda client: client.delete_volume_snapshot("default", "a", "s1").wait(),
        prints_nothing=True,
    ),
    43: Step(
        "volume attach default a /mnt/a",
        lambda client: client.attach_volume("default", "a", "/mnt/a")["path"],
        prints_nothing=True,
    ),
    45: Step("devices", lambda client: client.devices()),
    46: Step(
        "volume delete default a",
        lambda client: client.delete_volume("default", "a"),
        *(1, "devlxdctl: a: HTTP status 400: The storage volume is still in use\n"),
    ),
    47: Step(
        "volume attach default a / --device root",
        lambda client: client.attach_volume("default", "a", "/", device="root"),
        *(8, "devlxdctl: root: device exists already, with other options\n"),
    ),
    50: Step(
        "volume attach default zz /mnt/z --device z",
        lambda client: client.attach_volume("default", "zz", "/mnt/z", device="z"),
        *(6, "devlxdctl: zz: no such volume, or it has another owner\n"),
    ),
    51: Step(
        "volume detach usr",
        lambda client: client.detach_volume("usr"),
        *(4, "devlxdctl: usr: permission denied: not attached with this token\n"),
    ),
    54: Step("volume detach a", lambda client: client.detach_volume("a"), prints_nothing=True),
    55: Step(
        "volume create default cp --from a",
        lambda client: client.create_volume("default", "cp", source="a").wait()["name"],
        prints_nothing=True,
    ),
    57: Step(
        "volume delete default a",
        lambda client: client.delete_volume("default", "a").wait(),
        prints_nothing=True,
    ),
    58: Step(
        "volume delete default a",
        lambda client: client.delete_volume("default", "a"),
        *(6, "devlxdctl: a: no such volume, or it has another owner\n"),
    ),
    59: Step("volume ls default", lambda client: client.volumes("default")),
    60: Step(
        "volume ls default --target nope",
        lambda client: client.volumes("default", target="nope"),
        *(6, "devlxdctl: nope: no such cluster member\n"),
    ),
}
WITHOUT_COMMAND = {
    **dict.fromkeys((1, 31, 42), "LXD has no list of pools, operations, instances"),
    **dict.fromkeys((3, 36), "a list without recursion"),
    **dict.fromkeys((5, 17), "another form of the list of volumes"),
    **dict.fromkeys((12, 13, 15, 49, 56), "invalid requests that no command sends"),
    **dict.fromkeys((21, 22, 23), "PUT of a volume"),
    **dict.fromkeys((24, 25, 26, 27, 28, 29, 30), "requests to an operation by its ID"),
    **dict.fromkeys((32, 52), "an If-Match that is no ETag"),
    **dict.fromkeys((39, 53), "requests that LXD does not implement"),
    **dict.fromkeys((41, 44), "the devices of the identity alone"),
    48: "a nic",
}


@pytest.fixture(params=["command", "library"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_recorded_exchange_has_a_command_or_a_reason() -> None:
    assert sorted([*STEPS, *WITHOUT_COMMAND]) == list(range(len(RECORDING["exchanges"])))


# Each of about thirty commands starts an interpreter: the usual limit is too low on a busy machine.
@pytest.mark.timeout(600)
def test_commands_and_library_return_what_was_recorded(way: str, socket_directory: Path) -> None:
    with Simulator(socket_directory / "sock", make_guest(RECORDING["guest"]), LASTING) as simulator:
        identifiers = Identifiers()
        for number, exchange in enumerate(RECORDING["exchanges"]):
            if number not in STEPS:
                response = send(simulator, exchange.get("unrecorded") or exchange["request"], identifiers)
                pair_operation(exchange, response.body.decode(), identifiers)
                continue
            step = STEPS[number]
            status, found, stderr = follow(step, way, simulator)
            assert status == step.status, (number, stderr)
            if step.stderr is not None:
                first_line = stderr.splitlines(keepends=True)[0]
                assert first_line == step.stderr, number
            elif not step.prints_nothing:
                shown = number if step.shown is None else step.shown
                expected = json.dumps(recorded(shown))
                actual = json.dumps(found)
                identifiers.pair(expected, actual)
                assert json.loads(actual) == json.loads(identifiers.translate(expected)), number


def follow(step: Step, way: str, simulator: Simulator) -> tuple[int, Any, str]:
    """The exit status, the result and stderr of a step."""
    import shlex

    if way == "command":
        argv = ["-f", "json", *shlex.split(step.command)]
        done = run(*argv, socket=simulator.path, env={"DEVLXD_BEARER_TOKEN": "secret"})
        return done.status, json.loads(done.stdout) if done.stdout else None, done.stderr.decode()
    with Client(simulator.path, token="secret") as client:
        try:
            return 0, step.call(client), ""
        except DevLXDError as error:
            return error.exit_status, None, f"devlxdctl: {error}\n"


def recorded(number: int) -> Any:
    """The recorded JSON, without snapshots where it is a list of volumes."""
    document = json.loads(RECORDING["exchanges"][number]["response"]["body"])
    if number == 37 or not isinstance(document, list):
        return document
    return [each for each in document if "/" not in each["name"]]


def pair_operation(exchange: dict[str, Any], body: str, identifiers: Identifiers) -> None:
    """Note which operation of the simulator stands for a recorded one."""
    if "unrecorded" in exchange:
        identifiers.pair(exchange["operation"], json.loads(body)["id"])
