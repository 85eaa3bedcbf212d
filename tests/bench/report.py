"""The figures on the terminal, and in files."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .growth import Curve, plot
from .measure import Measure, Spread
from .rows import MIB, Row


class Report:
    """All that was measured in one place, in one go."""

    def __init__(self, place: str) -> None:
        self.curves: list[Curve] = []
        self._rows: list[Row] = []
        self._console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
        python = f"Python {platform.python_version()}"
        self._setting = {
            "place": place,
            "python": python,
            "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg()[0],
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        self._console.print(
            f"In {place}; {python}, {self._setting['cores']} cores, load {self._setting['load']:.1f}.",
            markup=False,
        )

    def add(self, row: Row) -> None:
        """Adds a row to the table, and says so: the whole takes minutes."""
        self._rows.append(row)
        if sys.stdout.isatty():
            self._console.print(f"  {row.work}, {row.yardstick}", style="dim", markup=False)

    def show(self) -> None:
        table = Table(title="Medians, with the quartiles around them", title_justify="left")
        for name in ("work", "yardstick", "of", "ours", "yardstick's", "ratio", "goal", "", "memory", "runs"):
            table.add_column(name, justify="left" if name in ("work", "yardstick", "of", "") else "right")
        for row in self._rows:
            if row.skipped:
                table.add_row(row.work, row.yardstick, "", f"[dim]skipped: {row.skipped}[/dim]")
                continue
            met = {None: "", True: "[green]met[/green]", False: "[red]not met[/red]"}[row.met]
            goal = "" if row.goal is None else f"{row.goal:.2f}" if row.ratio else _in(row.measure, row.goal)
            table.add_row(
                row.work,
                row.yardstick,
                {"wall": "time", "cpu": "CPU time", "peak": "memory"}[row.measure],
                _spread(row.measure, row.ours),
                _spread(row.measure, row.theirs),
                "" if row.ratio is None else _three(row.ratio, "{:.2f}"),
                goal,
                met,
                "" if row.peak is None else _in("peak", row.peak),
                str(row.runs),
            )
        self._console.print(table)

    def show_growth(self) -> None:
        for curve in self.curves:
            table = Table(title=f"{curve.work}, in {curve.place}", title_justify="left")
            time = {"wall": "time", "cpu": "CPU time"}[curve.measure]
            for name in (curve.unit, time, "one more takes", curve.yardstick, "memory"):
                table.add_column(name, justify="right")
            for point, each in zip(curve.points, curve.each(), strict=True):
                theirs = "" if point.theirs is None else f"{point.theirs * 1000:,.0f} ms"
                more = "" if each is None else f"{each * 1e6:,.1f} µs"
                table.add_row(
                    f"{point.size:,}", f"{point.ours * 1000:,.0f} ms", more, theirs, _in("peak", point.peak)
                )
            self._console.print(table)

    def keep(self, directory: Path) -> None:
        """Writes the figures, and the plot where there is one, into files of this directory."""
        directory.mkdir(parents=True, exist_ok=True)
        found = {
            **self._setting,
            "rows": [{**asdict(row), "met": row.met} for row in self._rows],
            "growth": [asdict(curve) for curve in self.curves],
        }
        (directory / "bench.json").write_text(json.dumps(found, indent=1) + "\n")
        kept = [directory / "bench.json"]
        if self.curves:
            kept.append(directory / "growth.png")
            plot(self.curves, kept[-1])
        self._console.print(f"Kept in {' and '.join(map(str, kept))}.", markup=False)


def _spread(measure: Measure, spread: Spread | None) -> str:
    if spread is None:
        return ""
    if measure == "peak":
        return _in(measure, spread.median)
    scale, unit = (1, "s") if spread.median >= 1 else (1000, "ms")
    scaled = Spread(spread.low * scale, spread.median * scale, spread.high * scale)
    return _three(scaled, "{:.2f}" if scaled.median < 10 else "{:.1f}") + f" {unit}"


def _three(spread: Spread, form: str) -> str:
    return f"{form} [dim]{form}-{form}[/dim]".format(spread.median, spread.low, spread.high)


def _in(measure: Measure, figure: float) -> str:
    if measure == "peak":
        return f"{figure / MIB:.0f} MiB"
    return f"{figure * 1000:.0f} ms"
