"""Writes the figures into `docs/performance.md`, with plots."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.support.program import PROGRAM, REPOSITORY

from .growth import Curve
from .location import Location
from .report import Report, format_ratio, format_row_quartiles
from .rows import Row

PAGE = REPOSITORY / "docs" / "performance.md"
PICTURE = "performance.svg"
_MARKERS = re.compile(r"(<!-- bench -->\n).*?(<!-- end -->)", re.DOTALL)
_GROUPS = {
    "click": "click",
    "requests": "requests, urllib3",
    "requests_unixsocket": "requests, urllib3",
    "urllib3": "requests, urllib3",
    "http": "HTTP of the standard library",
    "email": "HTTP of the standard library",
    "devlxdctl": "devlxdctl",
}
"""The part of the start that a package belongs to, and with it the modules that it is the first to import."""
_RUNS = 5


def startup_parts(location: Location) -> dict[str, float]:
    """Return the seconds that imports take in `devlxdctl -f json state`, by part, in medians."""
    argv = [sys.executable, "-X", "importtime", PROGRAM, "-f", "json", "state"]
    runs = [import_seconds(location.host.run(*argv).stderr.decode()) for _ in range(_RUNS)]
    return {part: median(run[part] for run in runs) for part in runs[0]}


def import_seconds(log: str) -> dict[str, float]:
    """Return the seconds by part in the output of `python -X importtime`.

    A module is printed after those that it imports, which are indented further.
    """
    seconds = dict.fromkeys(("Python", *dict.fromkeys(_GROUPS.values())), 0.0)
    importers: list[tuple[int, str]] = []
    for line in reversed(log.splitlines()):
        match = re.fullmatch(r"import time: +(\d+) \| +\d+ \| ( *)(\S+)", line)
        if match is None:
            continue
        depth = len(match[2])
        while importers and importers[-1][0] >= depth:
            importers.pop()
        part = _GROUPS.get(match[3].partition(".")[0]) or (importers[-1][1] if importers else "Python")
        importers.append((depth, part))
        seconds[part] += int(match[1]) / 1e6
    return seconds


def write(report: Report, parts: Mapping[str, float], delays: Sequence[float], page: Path = PAGE) -> None:
    """Replace what stands between the markers of `page`, and write the plots beside it."""
    replace_figures(report, page)
    draw(parts, delays, report.curves, page.parent / PICTURE)


def replace_figures(report: Report, page: Path) -> None:
    """Replace what stands between the markers of `page` with a table."""
    lines = [
        f"Medians and quartiles, in {report.summary()}.",
        "",
        "| task | baseline | measure | devlxdctl | baseline's | ratio | goal |",
        "|---|---|---|---|---|---|---|",
        *(_table_row(row) for row in report.rows if not row.skipped),
        "",
        f"![Start-up by part, keys, events, images and delays]({PICTURE})",
        "",
    ]
    text, count = _MARKERS.subn(lambda match: match[1] + "\n".join(lines) + match[2], page.read_text())
    if count != 1:
        raise SystemExit(f"{page}: no line <!-- bench --> with a line <!-- end --> after it")
    page.write_text(text)


def _table_row(row: Row) -> str:
    cells = [
        row.task,
        row.baseline,
        row.measure,
        format_row_quartiles(row.measure, row.ours),
        format_row_quartiles(row.measure, row.theirs),
        "" if row.ratio is None else format_ratio(row.ratio),
        "" if row.goal is None else f"{row.goal:g}" if row.ratio else _goal(row),
    ]
    plain = (re.sub(r"\[/?dim\]", "", cell).replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(plain)} |"


def _goal(row: Row) -> str:
    assert row.goal is not None
    return f"{row.goal / (1 << 20):.0f} MiB" if row.measure == "peak" else f"{row.goal * 1000:.0f} ms"


def draw(parts: Mapping[str, float], delays: Sequence[float], curves: Sequence[Curve], path: Path) -> None:
    """Draw where the start spends its time, each curve, and how late the events of a burst are printed."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "devlxdctl"  # the same figures give the same file
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2 + len(curves), figsize=(5 * (2 + len(curves)), 4))
    _draw_parts(axes[0], parts)
    for axis, curve in zip(axes[1:], curves, strict=False):
        _draw_curve(axis, curve)
    ordered = sorted(delays)
    shares = [100 * (number + 1) / len(ordered) for number in range(len(ordered))]
    axes[-1].plot([delay * 1000 for delay in ordered], shares)
    axes[-1].set_title(f"events: {len(ordered):,} in one update")
    axes[-1].set_xlabel("ms from the event to its line, at most")
    axes[-1].set_ylabel("% of the events")
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.set_xlim(left=0)
        axis.set_ylim(bottom=None if axis is axes[0] else 0)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _draw_parts(axis: Any, parts: Mapping[str, float]) -> None:
    names = list(parts)
    axis.barh(names, [parts[name] * 1000 for name in names])
    axis.invert_yaxis()
    axis.set_title("start of -f json state: imports")
    axis.set_xlabel("ms")


def _draw_curve(axis: Any, curve: Curve) -> None:
    sizes = [point.size for point in curve.points]
    axis.plot(sizes, [point.ours for point in curve.points], "o-", label="devlxdctl")
    if curve.baseline:
        axis.plot(sizes, [point.baseline for point in curve.points], "s--", label=curve.baseline)
    axis.set_title(curve.task)
    axis.set_xlabel(curve.unit)
    axis.set_ylabel({"wall": "seconds", "cpu": "seconds of CPU time"}[curve.measure])
    axis.legend()
