"""Tables on a terminal: whole ones, and those whose rows arrive one by one."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from devlxdctl.cli.output.colors import STYLES, paint, uses_color
from devlxdctl.cli.output.stdio import UNSAFE_CHARACTERS, escape

_MIN_WIDTH: Final = 8
"""Columns of the terminal that a column of a table gets at least, if it needs them."""
_NARROW: Final = 60
"""Columns of a terminal on which times have no date."""
_TIME_WIDTH: Final = len("2026-11-26T12:00:00+01:00")

MARKS: Final = {"ok": "✓", "fail": "✗", "skip": "-"}
"""The marks of a check's statuses."""

_COLUMN_STYLES: Final = {"KEY": "name", "NAME": "name", "TIME": "time"}
_FIRST_WIDTHS: Final = {"ACTION": len("initial"), "TYPE": len("config"), "KEY": 24, "NAME": 16}
"""The widths of columns before longer cells arrive."""


def terminal_cell(text: str) -> str:
    """Return the text of a cell as it is printed on a terminal."""
    return escape(text.replace("\\", r"\\"), characters=UNSAFE_CHARACTERS)


def format_table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    styles: Mapping[str, str],
    checks: bool,
) -> str:
    """Return a table for a terminal. `styles` and `checks` are those of `render.Table`."""
    cells = [[terminal_cell(cell) for cell in row] for row in rows]
    if not cells:
        return ""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table as RichTable

    cells = [_join(row, len(header) - 1, checks) for row in cells]
    color_system: Any = "standard" if uses_color(sys.stdout) else None
    console = Console(
        force_terminal=True, color_system=color_system, highlight=False, markup=False, emoji=False
    )
    last = len(header) - 1
    widths = [
        max(cell_len(line) for cell in column for line in cell.split("\n"))
        for column in zip(header, *cells, strict=True)
    ]
    # The last column is cut to what is left of the line; rich would shrink the first instead. That one has
    # the names, which people copy: where it must shrink, it is folded.
    widths[last] = min(widths[last], max(console.width - sum(widths[:last]) - 2 * last, _MIN_WIDTH))
    widths[0] = min(widths[0], max(console.width - sum(widths[1:]) - 2 * last, _MIN_WIDTH))

    grid = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=STYLES["heading"])
    for number, title in enumerate(header):
        if number == 0:
            style = "" if checks else STYLES["name"]
            grid.add_column(title, style=style, overflow="fold", width=widths[0])
        else:
            wrap = checks and number == last
            overflow: Any = "fold" if wrap else "ellipsis"
            grid.add_column(title, overflow=overflow, no_wrap=not wrap, width=widths[number])
    for row in cells:
        grid.add_row(*_styled(row, styles, checks))
    with console.capture() as captured:
        console.print(grid)
    return captured.get()


def _join(row: Sequence[str], last: int, checks: bool) -> list[str]:
    """Return a row with its further cells in the last one, and a mark before the status of a check."""
    if not checks:
        return [*row[:last], " ".join(row[last:])]
    status, *rest = row[:last]
    lines = [row[last], *(f"fix: {cell}" for cell in row[last + 1 :] if cell)]
    return [f"{MARKS.get(status, ' ')} {status}", *rest, "\n".join(lines)]


def _styled(row: Sequence[str], styles: Mapping[str, str], checks: bool) -> list[Any]:
    from rich.text import Text

    texts = [Text(cell, STYLES.get(styles.get(cell, ""), "")) for cell in row]
    if checks:
        status = row[0].partition(" ")[2]
        texts[0].stylize(STYLES[status])
        detail, newline, fix = row[-1].partition("\n")
        # What passed is not worth a second look.
        style = STYLES["skip"] if status == "skip" else ""
        texts[-1] = Text.assemble((detail, style), (newline + fix, STYLES["hint"]))
    return texts


class Columns:
    """Rows that arrive one by one, in columns: a column becomes wider when a longer cell arrives.

    The cells that `header` names are aligned; the last title is that of all further cells. Each row is cut to
    the width of the terminal.
    """

    def __init__(self, header: Sequence[str]) -> None:
        self._header = header
        self._widths = [max(len(title), _FIRST_WIDTHS.get(title, 0)) for title in header]
        self._is_first = True

    def format(self, cells: Sequence[str]) -> str:
        """Return a row, below the header if it is the first one."""
        import shutil

        width = shutil.get_terminal_size().columns
        colored = uses_color(sys.stdout)
        row = [terminal_cell(cell) for cell in cells]
        if not self._header:
            return "  ".join(row) + "\n"
        if self._header[0] == "TIME":
            row[0] = _short_time(row[0], width)
            self._widths[0] = max(min(len(row[0]), _TIME_WIDTH), self._widths[0])
        lines = []
        if self._is_first:
            self._is_first = False
            title = self._row(self._header, width)
            lines.append(paint(title, "heading") if colored else title)
        text = self._row(row, width, colored)
        return "\n".join([*lines, text]) + "\n"

    def _row(self, row: Sequence[str], width: int, colored: bool = False) -> str:
        aligned = len(self._header) - (2 if self._header[-1] == "OLD VALUE" else 1)
        parts, left = [], width
        for number, cell in enumerate(row[:aligned]):
            title = self._header[number]
            limit = max(width // 3, _MIN_WIDTH)
            first = min(self._widths[number], limit) if title in {"KEY", "NAME"} else self._widths[number]
            self._widths[number] = max(first, min(_length(cell), limit))
            text = cell + " " * max(self._widths[number] - _length(cell), 0)
            left -= _length(text) + 2
            meaning = _COLUMN_STYLES.get(title) or (cell if title == "ACTION" else "")
            parts.append(paint(text, meaning) if colored else text)
        rest = list(row[aligned:])
        while rest and not rest[-1]:
            rest.pop()
        if self._header[-1] == "OLD VALUE" and len(rest) == 2:
            half = max((left - 2) // 2, _MIN_WIDTH // 2)
            value = _cut(rest[0], half)
            parts += [value + " " * (half - _length(value)), _cut(rest[1], half)]
        elif rest:
            parts.append(_cut("  ".join(cell or "-" for cell in rest), max(left, _MIN_WIDTH)))
        return "  ".join(parts).rstrip()


def _length(text: str) -> int:
    """Return the number of the terminal's columns that `text` takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _cut(text: str, width: int) -> str:
    """Return the beginning of `text` that fits into `width` columns."""
    if _length(text) <= width:
        return text
    if text.isascii():
        return text[: width - 1] + "…"
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1).rstrip() + "…"


def _short_time(text: str, width: int) -> str:
    """Return a timestamp without fractions of a second, and without its date on a narrow terminal."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT)(\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if found is None:
        return text
    return found[2] if width < _NARROW else f"{found[1]}{found[2]}{found[3]}"
