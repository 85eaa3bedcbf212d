"""Runs commands in turn in a guest, and computes medians and ratios of what they cost."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.hosts import Host, HostError

HERE = Path(__file__).parent
STOPWATCH = (sys.executable, "-IS", str(HERE / "stopwatch.py"))

Measure = Literal["wall", "cpu", "peak"]
"""Elapsed time, CPU time, or maximum memory."""


@dataclass(frozen=True)
class Command:
    """A command to run in the guest.

    * `remove`: the files that it writes. They are removed after each run, outside the measured time.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    remove: Sequence[str] = ()


@dataclass(frozen=True)
class Quartiles:
    """The median of many figures, and the quartiles below and above it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Quartiles:
        if len(figures) == 1:
            return cls(figures[0], figures[0], figures[0])
        return cls(*statistics.quantiles(figures, n=4, method="inclusive"))


@dataclass(frozen=True)
class Costs:
    """What each run of one command cost, in order: seconds, seconds of CPU time, bytes of memory at most."""

    wall: Sequence[float]
    cpu: Sequence[float]
    peak: Sequence[float]

    def figures(self, measure: Measure) -> Sequence[float]:
        return {"wall": self.wall, "cpu": self.cpu, "peak": self.peak}[measure]

    def ratio(self, other: Costs, measure: Measure) -> Quartiles:
        """Return the ratio to `other` in each round: a busy machine slows both down."""
        pairs = zip(self.figures(measure), other.figures(measure), strict=True)
        return Quartiles.of([ours / theirs for ours, theirs in pairs])


def run_in_turn(host: Host, commands: Mapping[str, Command], runs: int, warmup: int = 1) -> dict[str, Costs]:
    """Run `commands` in turn, each `runs` times after `warmup` runs that do not count."""
    task = {"runs": runs, "warmup": warmup, "commands": [vars(command) for command in commands.values()]}
    result = host.run(*STOPWATCH, stdin=json.dumps(task).encode(), timeout=600)
    if result.status != 0:
        raise HostError(result.stderr.decode(errors="replace").strip())
    measured: list[list[list[float]]] = json.loads(result.stdout)
    return {
        name: Costs(*map(list, zip(*runs_of_one, strict=True)))
        for name, runs_of_one in zip(commands, measured, strict=True)
    }
