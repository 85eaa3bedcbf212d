"""How cost grows with the number of keys, of events, and with the size of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from tests.hosts import PROGRAM
from tests.hosts.simulated import SimulatedHost

from .burst import burst
from .measure import Command, race
from .place import Place
from .rows import MIB, exports

KEYS = (1, 3, 10, 30, 100, 300, 1000)
EVENTS = (1, 10, 100, 1000, 10_000, 100_000)
SIZES = tuple(megabytes * 10**6 for megabytes in (10, 30, 100, 300, 1000, 2000, 4000))
BATCH = 500
"""Keys that are set in one update for the events."""


@dataclass(frozen=True)
class Point:
    """What one size costs: seconds, ours and the yardstick's, and bytes of memory that ours had at most."""

    size: int
    ours: float
    theirs: float | None
    peak: float


@dataclass(frozen=True)
class Curve:
    """Cost over size. What `unit` counts is on the one axis; `measure` is what the seconds are of."""

    work: str
    unit: str
    yardstick: str
    measure: Literal["wall", "cpu"]
    place: str
    points: Sequence[Point]

    def each(self) -> list[float | None]:
        """Of each point, the seconds that one more took since the point before it; the first has none."""
        slopes: list[float | None] = [None]
        for before, point in zip(self.points, self.points[1:], strict=False):
            slopes.append((point.ours - before.ours) / (point.size - before.size))
        return slopes


def measure(place: Place, largest: int) -> list[Curve]:
    """All curves. `largest` is the size of the last image in bytes."""
    curves = [_keys(place), _events()]
    if place.no_images() is None:
        curves.append(_images(place, [size for size in SIZES if size <= largest]))
    return curves


def _keys(place: Place) -> Curve:
    points = []
    for number in KEYS:
        values = {f"user.key{key:04}": f"value {key}" for key in range(number)}
        place.host.set(values)
        urls = [f"http://lxd/1.0/config/{key}" for key in values]
        commands = {
            "ours": Command([PROGRAM, "config", "ls", "-l"]),
            "curl": Command(["curl", "-sf", "--unix-socket", place.host.socket, *urls]),
        }
        costs = race(place.host, commands, place.runs(9))
        ours, curl = costs["ours"], costs["curl"]
        points.append(Point(number, median(ours.wall), median(curl.wall), max(ours.peak)))
    place.host.set(dict.fromkeys(values))
    return Curve("config ls -l", "keys", "one curl", "wall", place.title, points)


def _events() -> Curve:
    """On the simulator, which makes events faster than a real host can be told to change keys.

    It is CPU time: the time until the last event is that of the simulator.
    """
    points = []
    with SimulatedHost("lxd-6") as host:
        for number in EVENTS:
            found = [burst(host, number, BATCH) for _ in range(5 if number <= 1000 else 1)]
            cpu, peak = median(each.cpu for each in found), max(each.peak for each in found)
            points.append(Point(number, cpu, None, peak))
    return Curve("events", "events", "", "cpu", "the simulator", points)


def _images(place: Place, sizes: Sequence[int]) -> Curve:
    points = []
    for size in sizes:
        with place.image(size) as fingerprint:
            commands = dict(list(exports(place, fingerprint).items())[:2])
            ours, curl = race(place.host, commands, place.runs(5 if size < 10**9 else 3)).values()
        points.append(Point(size // 10**6, median(ours.wall), median(curl.wall), max(ours.peak)))
    return Curve("image export", "MB", "curl -o, unverified", "wall", place.title, points)


def plot(curves: Sequence[Curve], path: Path) -> None:
    """Draws time above memory, a column each. Where a line bends upward, cost grows faster than size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter

    figure, axes = pyplot.subplots(2, len(curves), figsize=(5 * len(curves), 8), squeeze=False)
    plain = FuncFormatter(lambda number, _: f"{number:,g}")
    for column, curve in enumerate(curves):
        sizes = [point.size for point in curve.points]
        above, below = axes[0][column], axes[1][column]
        above.plot(sizes, [point.ours for point in curve.points], "o-", label="devlxdctl")
        if curve.yardstick:
            above.plot(sizes, [point.theirs for point in curve.points], "s--", label=curve.yardstick)
        above.set_title(f"devlxdctl {curve.work}\n{curve.place}", fontsize=10)
        above.set_ylabel({"wall": "seconds", "cpu": "seconds of CPU"}[curve.measure])
        below.plot(sizes, [point.peak / MIB for point in curve.points], "o-", label="devlxdctl")
        below.set_ylabel("MiB of memory, at most")
        for axis in (above, below):
            axis.set_xlabel(curve.unit)
            axis.set_ylim(0, 1.1 * axis.get_ylim()[1])
            axis.set_xlim(left=0)
            axis.xaxis.set_major_formatter(plain)
            axis.grid(alpha=0.3)
            axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
