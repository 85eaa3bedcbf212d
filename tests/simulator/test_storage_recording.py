"""Test that compares the storage API of the profile lxd-6 with the recording of LXD 6.9 in `tests/data`.

Every response must equal the recorded one byte for byte, except for these differences:

- Operation ids and `volatile.uuid` are random. Each recorded one must stand for one of the simulator,
  wherever it appears.
- ETags are hashes over `volatile.uuid` (volumes) or over config that guests cannot see (pools and
  instances). Two responses must have the same ETag if they have the same in the recording, and only then.
  Those of snapshots depend on neither and must be equal; `test_storage_model.py` compares those of volumes.
- Two of the recorded operations come from requests that are not in the recording. The data file has them
  as "unrecorded", reconstructed from the recorded effects.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devlxdctl.simulator import Simulator
from tests.simulator.simhost import Response, make_guest, recording, request
from tests.simulator.storage_client import LASTING

RECORDING = recording("lxd-6.9-volumes.json")
OWNER = RECORDING["guest"]["simulator"]["identities"]["guest"]["id"]
IDENTIFIER = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
EXACT = {
    OWNER,
    "00000000-0000-0000-0000-000000000000",
    "81f05321b493c994c32cefd377b330a281c7a6d88907d43fb77deb84bcb66a3d",  # the ETag of a snapshot
}


@pytest.fixture
def simulator(short: Path) -> Iterator[Simulator]:
    with Simulator(short / "sock", make_guest(RECORDING["guest"]), LASTING) as simulator:
        yield simulator


class Identifiers:
    """Pairs of recorded identifiers and those of the simulator."""

    def __init__(self) -> None:
        self._simulated = {identifier: identifier for identifier in EXACT}

    def pair(self, recorded: str, simulated: str) -> None:
        """Pair the identifiers at equal places of two texts."""
        for ours, theirs in zip(IDENTIFIER.findall(recorded), IDENTIFIER.findall(simulated), strict=False):
            self._simulated.setdefault(ours, theirs)
        assert len(set(self._simulated.values())) == len(self._simulated)

    def translate(self, recorded: str) -> str:
        """Replace each recorded identifier by that of the simulator."""
        return IDENTIFIER.sub(lambda match: self._simulated.get(match[0], match[0]), recorded)


def as_text(status: str, headers: list[Any], body: str) -> str:
    return "\n".join([status, *(f"{name}: {value}" for name, value in headers), "", body])


def send(simulator: Simulator, message: dict[str, Any], identifiers: Identifiers) -> Response:
    return request(simulator.path, **{**message, "target": identifiers.translate(message["target"])})


def test_storage_responses_equal_the_recording(simulator: Simulator) -> None:
    identifiers = Identifiers()
    for exchange in RECORDING["exchanges"]:
        if "unrecorded" in exchange:
            response = send(simulator, exchange["unrecorded"], identifiers)
            identifiers.pair(exchange["operation"], json.loads(response.body)["id"])
            continue
        response = send(simulator, exchange["request"], identifiers)
        expected = as_text(*exchange["response"].values())
        actual = as_text(response.status, response.headers, response.body.decode())
        identifiers.pair(expected, actual)
        assert actual == identifiers.translate(expected), exchange["request"]
