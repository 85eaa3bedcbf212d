"""When a ratio counts as worse than in an earlier run."""

from __future__ import annotations

from pathlib import Path

import pytest

from .history import load, record, worse
from .measure import Quartiles
from .rows import Row


def row(low: float, median: float, high: float) -> Row:
    return Row("state", "curl", "cpu", ratio=Quartiles(low, median, high))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (row(0.9, 1.0, 1.1), []),
        (row(1.12, 1.14, 1.2), []),
        (row(1.05, 1.3, 1.5), []),  # its lower quartile is within the noise of the earlier run
        (row(1.11, 1.16, 1.2), ["state / curl (cpu): 1.16, was 1.00"]),
        (Row("state", "curl", "cpu", skipped="no curl"), []),
        (Row("help", "curl", "cpu", ratio=Quartiles(9, 9, 9)), []),
    ],
)
def test_ratio_is_worse_beyond_tolerance_and_noise(now: Row, expected: list[str], tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    record({"host": "lxd"}, [row(0.9, 1.0, 1.1)], path)
    record({"host": "incus"}, [row(8, 9, 10)], path)
    assert worse("lxd", [now], path) == expected


def test_ratio_is_compared_with_the_last_run_that_has_it(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    record({"host": "lxd"}, [row(0.9, 1.0, 1.1)], path)
    record({"host": "lxd"}, [row(1.9, 2.0, 2.1)], path)
    record({"host": "lxd"}, [Row("events", measure="wall", ours=Quartiles(1, 1, 1))], path)
    assert worse("lxd", [row(1.9, 2.0, 2.1)], path) == []
    assert [run["ratios"] for run in load(path)] == [
        {"state / curl (cpu)": [0.9, 1.0, 1.1]},
        {"state / curl (cpu)": [1.9, 2.0, 2.1]},
        {},
    ]


def test_nothing_is_worse_without_an_earlier_run(tmp_path: Path) -> None:
    assert worse("lxd", [row(9, 9, 9)], tmp_path / "history.json") == []
