"""The figures of earlier runs, and which ratios have become worse since.

They are in a file of the repository, and not in `build/`: CI begins with a clean checkout, and a change of
the figures is reviewed with the change of the code that causes it. Only ratios are kept: times depend on the
machine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .measure import Quartiles
from .rows import Row

FILE = Path(__file__).with_name("history.json")
TOLERANCE = 1.15
"""A ratio may become this many times as large before it counts as worse."""


def load(path: Path = FILE) -> list[dict[str, Any]]:
    """Return the runs, the oldest first."""
    runs: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return runs


def record(conditions: dict[str, Any], rows: Sequence[Row], path: Path = FILE) -> None:
    """Add a run. Rows without a ratio are left out."""
    ratios = {
        _key(row): [round(figure, 3) for figure in (row.ratio.low, row.ratio.median, row.ratio.high)]
        for row in rows
        if row.ratio is not None
    }
    lines = [json.dumps(run) for run in [*load(path), {**conditions, "ratios": ratios}]]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def worse(host: str, rows: Sequence[Row], path: Path = FILE) -> list[str]:
    """Return a line for each ratio that is worse than in the last run on this kind of host that has it.

    That is one whose median is more than `TOLERANCE` times as large, and larger than noise explains: its
    lower quartile is above the upper quartile of that run.
    """
    found = []
    for row in rows:
        before = [run["ratios"][_key(row)] for run in load(path) if _is_same(run, host, row)]
        if row.ratio is not None and before and _is_worse(row.ratio, Quartiles(*before[-1])):
            found.append(f"{_key(row)}: {row.ratio.median:.2f}, was {before[-1][1]:.2f}")
    return found


def _key(row: Row) -> str:
    return f"{row.task} / {row.baseline} ({row.measure})"


def _is_same(run: dict[str, Any], host: str, row: Row) -> bool:
    return run["host"] == host and _key(row) in run["ratios"]


def _is_worse(now: Quartiles, before: Quartiles) -> bool:
    return now.median > TOLERANCE * before.median and now.low > before.high
