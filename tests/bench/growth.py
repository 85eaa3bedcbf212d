"""How cost grows with the number of keys and events, and with the size of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from tests.hosts.simulated import SimulatedHost
from tests.support.program import PROGRAM

from .burst import run_burst
from .location import Location
from .measure import Command, run_in_turn
from .rows import MIB, export_commands

KEYS = (1, 3, 10, 30, 100, 300, 1000)
EVENTS = (1, 10, 100, 1000, 10_000, 100_000)
SIZES = tuple(megabytes * 10**6 for megabytes in (10, 30, 100, 300, 1000, 2000, 4000))
BATCH = 500
"""Keys that are set in one update for the events."""


@dataclass(frozen=True)
class Point:
    """The cost at one size: seconds of devlxdctl and of the baseline, and memory of devlxdctl at most."""

    size: int
    ours: float
    baseline: float | None
    peak: float


@dataclass(frozen=True)
class Curve:
    """Cost over size.

    * `unit`: what the size counts.
    * `measure`: what the seconds measure.
    """

    task: str
    unit: str
    baseline: str
    measure: Literal["wall", "cpu"]
    location: str
    points: Sequence[Point]

    def slopes(self) -> list[float | None]:
        """Return the seconds per unit between each point and the one before it; None for the first."""
        slopes: list[float | None] = [None]
        for before, point in zip(self.points, self.points[1:], strict=False):
            slopes.append((point.ours - before.ours) / (point.size - before.size))
        return slopes


def measure(location: Location, largest: int) -> list[Curve]:
    """Return all curves. `largest` is the size of the last image in bytes."""
    curves = [_keys(location), _events()]
    if location.no_images_reason() is None:
        curves.append(_images(location, [size for size in SIZES if size <= largest]))
    return curves


def _keys(location: Location) -> Curve:
    points = []
    for number in KEYS:
        values = {f"user.key{key:04}": f"value {key}" for key in range(number)}
        location.host.set(values)
        urls = [f"http://lxd/1.0/config/{key}" for key in values]
        commands = {
            "ours": Command([PROGRAM, "config", "ls", "-l"]),
            "curl": Command(["curl", "-sf", "--unix-socket", location.host.socket, *urls]),
        }
        costs = run_in_turn(location.host, commands, location.runs(9))
        ours, curl = costs["ours"], costs["curl"]
        points.append(Point(number, median(ours.wall), median(curl.wall), max(ours.peak)))
    location.host.set(dict.fromkeys(values))
    return Curve("config ls -l", "keys", "one curl", "wall", location.title, points)


def _events() -> Curve:
    """Measure CPU time with the simulator, which makes more changes per second than a real host.

    The time until the last event is that of the simulator.
    """
    points = []
    with SimulatedHost("lxd-6") as host:
        for number in EVENTS:
            bursts = [run_burst(host, number, BATCH) for _ in range(5 if number <= 1000 else 1)]
            cpu, peak = median(burst.cpu for burst in bursts), max(burst.peak for burst in bursts)
            points.append(Point(number, cpu, None, peak))
    return Curve("events", "events", "", "cpu", "the simulator", points)


def _images(location: Location, sizes: Sequence[int]) -> Curve:
    points = []
    for size in sizes:
        with location.image(size) as fingerprint:
            commands = dict(list(export_commands(location, fingerprint).items())[:2])
            runs = location.runs(5 if size < 10**9 else 3)
            ours, curl = run_in_turn(location.host, commands, runs).values()
        points.append(Point(size // 10**6, median(ours.wall), median(curl.wall), max(ours.peak)))
    return Curve("image export", "MB", "curl -o, not verified", "wall", location.title, points)


def plot(curves: Sequence[Curve], path: Path) -> None:
    """Draw time above memory, one column per curve.

    Where a line bends upward, cost grows faster than size.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter

    figure, axes = pyplot.subplots(2, len(curves), figsize=(5 * len(curves), 8), squeeze=False)
    number_format = FuncFormatter(lambda number, _: f"{number:,g}")
    for column, curve in enumerate(curves):
        sizes = [point.size for point in curve.points]
        time, memory = axes[0][column], axes[1][column]
        time.plot(sizes, [point.ours for point in curve.points], "o-", label="devlxdctl")
        if curve.baseline:
            time.plot(sizes, [point.baseline for point in curve.points], "s--", label=curve.baseline)
        time.set_title(f"devlxdctl {curve.task}\n{curve.location}", fontsize=10)
        time.set_ylabel({"wall": "seconds", "cpu": "seconds of CPU time"}[curve.measure])
        memory.plot(sizes, [point.peak / MIB for point in curve.points], "o-", label="devlxdctl")
        memory.set_ylabel("MiB of memory, maximum")
        for axis in (time, memory):
            axis.set_xlabel(curve.unit)
            axis.set_ylim(0, 1.1 * axis.get_ylim()[1])
            axis.set_xlim(left=0)
            axis.xaxis.set_major_formatter(number_format)
            axis.grid(alpha=0.3)
            axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
