"""The figures as tables on the terminal, and in files."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .growth import Curve, plot
from .measure import Measure, Quartiles
from .rows import MIB, Row

_TABLE_WIDTH = 160  # off a terminal


class Report:
    """Everything that one run measured."""

    def __init__(self, location: str, host: str) -> None:
        self.curves: list[Curve] = []
        self.rows: list[Row] = []
        self._console = Console(highlight=False, width=None if sys.stdout.isatty() else _TABLE_WIDTH)
        python = f"Python {platform.python_version()}"
        self.conditions: dict[str, Any] = {
            "host": host,
            "location": location,
            "python": python,
            "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg()[0],
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        self._console.print(f"In {self.summary()}.", markup=False)

    def summary(self) -> str:
        """Where and under which conditions it was measured."""
        given = self.conditions
        return f"{given['location']}; {given['python']}, {given['cores']} cores, load {given['load']:.1f}"

    def add(self, row: Row) -> None:
        """Add a row. On a terminal, print its name: all of them take minutes."""
        self.rows.append(row)
        if sys.stdout.isatty():
            self._console.print(f"  {row.task}, {row.baseline}", style="dim", markup=False)

    def print_table(self) -> None:
        table = Table(title="Medians, and quartiles around them", title_justify="left")
        left = ("task", "baseline", "measure", "")
        names = (
            "task",
            "baseline",
            "measure",
            "devlxdctl",
            "baseline's",
            "ratio",
            "goal",
            "",
            "memory",
            "runs",
        )
        for name in names:
            table.add_column(name, justify="left" if name in left else "right")
        for row in self.rows:
            if row.skipped:
                table.add_row(row.task, row.baseline, "", f"[dim]skipped: {row.skipped}[/dim]")
                continue
            met = {None: "", True: "[green]met[/green]", False: "[red]not met[/red]"}[row.met]
            table.add_row(
                row.task,
                row.baseline,
                {"wall": "time", "cpu": "CPU time", "peak": "memory"}[row.measure],
                format_row_quartiles(row.measure, row.ours),
                format_row_quartiles(row.measure, row.theirs),
                "" if row.ratio is None else format_ratio(row.ratio, "{:.2f}"),
                format_goal(row),
                met,
                "" if row.peak is None else _with_unit("peak", row.peak),
                str(row.runs),
            )
        self._console.print(table)

    def print_growth(self) -> None:
        for curve in self.curves:
            table = Table(title=f"{curve.task}, in {curve.location}", title_justify="left")
            time = {"wall": "time", "cpu": "CPU time"}[curve.measure]
            for name in (curve.unit, time, "per unit", curve.baseline, "memory"):
                table.add_column(name, justify="right")
            for point, slope in zip(curve.points, curve.slopes(), strict=True):
                table.add_row(
                    f"{point.size:,}",
                    f"{point.ours * 1000:,.0f} ms",
                    "" if slope is None else f"{slope * 1e6:,.1f} µs",
                    "" if point.baseline is None else f"{point.baseline * 1000:,.0f} ms",
                    _with_unit("peak", point.peak),
                )
            self._console.print(table)

    def save(self, directory: Path) -> None:
        """Write the figures to `bench.json` in this directory, and the curves to `growth.png`."""
        directory.mkdir(parents=True, exist_ok=True)
        document = {
            **self.conditions,
            "rows": [{**asdict(row), "met": row.met} for row in self.rows],
            "growth": [asdict(curve) for curve in self.curves],
        }
        saved = [directory / "bench.json"]
        saved[0].write_text(json.dumps(document, indent=1) + "\n")
        if self.curves:
            saved.append(directory / "growth.png")
            plot(self.curves, saved[-1])
        self._console.print(f"Saved to {' and '.join(map(str, saved))}.", markup=False)


def format_goal(row: Row) -> str:
    if row.goal is None:
        return ""
    return f"{row.goal:.2f}" if row.ratio else _with_unit(row.measure, row.goal)


def format_row_quartiles(measure: Measure, quartiles: Quartiles | None) -> str:
    if quartiles is None:
        return ""
    if measure == "peak":
        return _with_unit(measure, quartiles.median)
    scale, unit = (1, "s") if quartiles.median >= 1 else (1000, "ms")
    scaled = Quartiles(quartiles.low * scale, quartiles.median * scale, quartiles.high * scale)
    return format_ratio(scaled, "{:.2f}" if scaled.median < 10 else "{:.1f}") + f" {unit}"


def format_ratio(quartiles: Quartiles, form: str = "{:.2f}") -> str:
    return f"{form} [dim]{form}-{form}[/dim]".format(quartiles.median, quartiles.low, quartiles.high)


def _with_unit(measure: Measure, figure: float) -> str:
    if measure == "peak":
        return f"{figure / MIB:.0f} MiB"
    return f"{figure * 1000:.0f} ms"
