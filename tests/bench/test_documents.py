"""Where the time of the start goes, and what is written into the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from .documents import draw, import_seconds, replace_figures
from .growth import Curve, Point
from .measure import Quartiles
from .report import Report
from .rows import Row

LOG = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 | site
import time:      1000 |       1000 |     re
import time:       300 |       1300 |   click.core
import time:        20 |       1320 | click
import time:         5 |          5 |     select
import time:        40 |         45 |   devlxdctl.cli
import time:         7 |         52 | devlxdctl
import time:      2000 |       2000 | urllib3
import time:         9 |          9 | json
"""


def test_time_of_a_module_counts_for_the_package_that_imports_it_first() -> None:
    found = {part: round(seconds * 1e6) for part, seconds in import_seconds(LOG).items()}
    assert found == {
        "Python": 109,
        "click": 1320,
        "requests, urllib3": 2000,
        "HTTP of the standard library": 0,
        "devlxdctl": 52,
    }


def test_figures_replace_what_stands_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("before\n<!-- bench -->\nold\n<!-- end -->\nafter\n")
    report = Report("a guest", "lxd")
    report.add(
        Row(
            "state",
            "curl | jq",
            "cpu",
            Quartiles(0.1, 0.2, 0.3),
            Quartiles(0.2, 0.4, 0.6),
            Quartiles(0.4, 0.5, 0.6),
            0.75,
        )
    )
    report.add(Row("watch", measure="wall", ours=Quartiles(0.01, 0.02, 0.03), goal=0.05))
    report.add(Row("image", skipped="no images"))
    replace_figures(report, page)
    head = "| task | baseline | measure | devlxdctl | baseline's | ratio | goal |\n"
    head += "|---|---|---|---|---|---|---|\n"
    state = (
        "| state | curl \\| jq | cpu | 200.0 100.0-300.0 ms | 400.0 200.0-600.0 ms | 0.50 0.40-0.60 | 0.75 |"
    )
    watch = "| watch |  | wall | 20.0 10.0-30.0 ms |  |  | 50 ms |"
    picture = "![Start-up by part, keys, events, images and delays](performance.svg)"
    assert page.read_text() == (
        f"before\n<!-- bench -->\nMedians and quartiles, in {report.summary()}.\n\n"
        f"{head}{state}\n{watch}\n\n{picture}\n<!-- end -->\nafter\n"
    )


def test_page_without_markers_is_rejected(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("no markers\n")
    with pytest.raises(SystemExit) as caught:
        replace_figures(Report("a guest", "lxd"), page)
    assert str(caught.value) == f"{page}: no line <!-- bench --> with a line <!-- end --> after it"
    assert page.read_text() == "no markers\n"


def test_picture_has_a_plot_for_each_curve_and_one_at_each_end(tmp_path: Path) -> None:
    points = [Point(1, 0.1, 0.2, 1e7), Point(10, 0.3, 0.5, 1e7)]
    curves = [Curve("config ls -l", "keys", "one curl", "wall", "a guest", points)]
    for name in ("first", "second"):
        draw({"Python": 0.01, "click": 0.05}, [0.001, 0.002], curves, tmp_path / f"{name}.svg")
    picture = (tmp_path / "first.svg").read_text()
    assert picture.count('<g id="axes_') == 3
    assert picture == (tmp_path / "second.svg").read_text()
