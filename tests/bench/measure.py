"""From commands that are run in turn in a guest to medians and ratios."""

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


@dataclass(frozen=True)
class Command:
    """A command to be run in the guest."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    remove: Sequence[str] = ()
    """The files that it makes: they are removed after each run, outside the time."""


@dataclass(frozen=True)
class Spread:
    """Many figures as three: the median, and the quartiles around it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        if len(figures) == 1:
            return cls(figures[0], figures[0], figures[0])
        return cls(*statistics.quantiles(figures, n=4, method="inclusive"))


@dataclass(frozen=True)
class Costs:
    """What the runs of one command cost: seconds of time and of CPU, bytes of memory at most; in order."""

    wall: Sequence[float]
    cpu: Sequence[float]
    peak: Sequence[float]

    def figures(self, measure: Measure) -> Sequence[float]:
        return {"wall": self.wall, "cpu": self.cpu, "peak": self.peak}[measure]

    def ratio(self, other: Costs, measure: Measure) -> Spread:
        """Of this to another, round by round: what slows the machine down for a while slows both."""
        pairs = zip(self.figures(measure), other.figures(measure), strict=True)
        return Spread.of([ours / theirs for ours, theirs in pairs])


def race(host: Host, commands: Mapping[str, Command], runs: int, warmup: int = 1) -> dict[str, Costs]:
    """What each of `commands` costs, run in turn, so many times each after some that do not count."""
    told = _ask(
        host, {"runs": runs, "warmup": warmup, "commands": [vars(each) for each in commands.values()]}
    )
    return {
        name: Costs(*map(list, zip(*costs, strict=True))) for name, costs in zip(commands, told, strict=True)
    }


def _ask(host: Host, task: object, timeout: float = 600) -> list[list[list[float]]]:
    result = host.run(*STOPWATCH, stdin=json.dumps(task).encode(), timeout=timeout)
    if result.status != 0:
        raise HostError(result.stderr.decode(errors="replace").strip())
    told: list[list[list[float]]] = json.loads(result.stdout)
    return told
