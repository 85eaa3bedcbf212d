"""From what commands return to bytes on stdout.

Off a terminal the text is an interface: tab-separated, no header, nothing cut. On a terminal it is a table of
rich's. JSON is the host's own data: indented on a terminal, on one line elsewhere.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from devlxdctl.cli.streams import ReaderGone, clean, encode, write_raw, write_stdout
from devlxdctl.errors import ExitStatus, UnexpectedAnswer

_NARROWEST = 8
"""Columns of the terminal that a column of a table takes at least, if it has so many."""


class Bare(NamedTuple):
    """One text as it came. A newline is added where it does not end with one, if `newline`."""

    data: Any
    text: str
    newline: bool = True


class Table(NamedTuple):
    """Rows of cells. The last of `header` may stand for any number of further cells.

    On a terminal the further cells stand behind the last one, and what does not fit is cut off; with `wrap`
    both go on below. `status` is what the program ends with.
    """

    data: Any
    header: Sequence[str]
    rows: Iterable[Sequence[str]]
    wrap: bool = False
    status: ExitStatus = ExitStatus.OK


class Document(NamedTuple):
    """What is JSON in every format."""

    data: Any


class Raw(NamedTuple):
    """Bytes that are written as they come, the same in every format; to stderr where `error`."""

    chunks: Iterable[bytes]
    error: bool = False


class Line(NamedTuple):
    """One line of a stream: as JSON text, and as cells."""

    json: str
    cells: Sequence[str]


class Lines(NamedTuple):
    """A stream of lines, each written and flushed before the next is asked for."""

    lines: Iterable[Line]


Output = Bare | Table | Document | Lines | Raw | None


def render(output: Output, as_json: bool) -> ExitStatus:
    """Writes what a command returned to stdout, and returns the status to end with.

    Raises `BadData` when stdout cannot be written, `ReaderGone` when nobody reads it any more.
    """
    if output is None:
        return ExitStatus.OK
    terminal = sys.stdout is not None and sys.stdout.isatty()
    if isinstance(output, Lines):
        _stream(output.lines, as_json, terminal)
        return ExitStatus.OK
    if isinstance(output, Raw):
        write_raw(output.chunks, output.error)
        return ExitStatus.OK
    write_stdout(rendered(output, as_json, terminal))
    return output.status if isinstance(output, Table) else ExitStatus.OK


def rendered(output: Bare | Table | Document, as_json: bool, terminal: bool = False) -> bytes:
    """The bytes for stdout, as they are on a terminal or off it."""
    if as_json or isinstance(output, Document):
        text = _json(output.data, indent=terminal) + "\n"
    elif isinstance(output, Table):
        text = _table(output) if terminal else tab_separated(output)
    else:
        end = "\n" if output.newline and not output.text.endswith("\n") else ""
        text = clean(output.text + end, keep="\t\n") if terminal else output.text + end
    return encode(text)


def _stream(lines: Iterable[Line], as_json: bool, terminal: bool) -> None:
    try:
        for line in lines:
            if as_json:
                text = _harmless(line.json) if terminal else line.json
            else:
                text = ("  " if terminal else "\t").join(map(_cell, line.cells))
            write_stdout(encode(text + "\n"))
    except BrokenPipeError as error:  # noticed while there was nothing to write
        raise ReaderGone from error


def as_text(data: Any) -> str:
    """A piece of a JSON document as text: a string as it is, anything else as compact JSON."""
    return data if isinstance(data, str) else compact(data)


def compact(data: Any) -> str:
    """`data` as JSON on one line, with no spaces but its own."""
    return _valid(_dumps(data, separators=(",", ":")))


def _json(data: Any, indent: bool) -> str:
    if not indent:
        return compact(data)
    return _harmless(_valid(_dumps(data, indent=2)))


def _dumps(data: Any, **how: Any) -> str:
    import json

    try:
        return json.dumps(data, ensure_ascii=False, **how)
    except RecursionError as error:
        # Indented it takes more of the stack than it took to read.
        raise UnexpectedAnswer("JSON", "the host's answer is nested too deeply to be shown") from error


def _valid(text: str) -> str:
    """JSON that is UTF-8: half of a surrogate pair, which stands for a byte that is none, is escaped."""
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def _harmless(text: str) -> str:
    """JSON for a terminal, which may hold DEL and the C1 control characters unescaped."""
    return re.sub("[\x7f-\x9f]", lambda match: f"\\u{ord(match[0]):04x}", _valid(text))


def tab_separated(table: Table) -> str:
    """The rows of `table`, a line each, cells apart by a tab, escaped so that they can be told apart."""
    return "".join("\t".join(map(_cell, row)) + "\n" for row in table.rows)


def _cell(text: str) -> str:
    return clean(text.replace("\\", r"\\"))


def _table(table: Table) -> str:
    rows = [list(map(_cell, row)) for row in table.rows]
    if not rows:
        return ""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    last = len(table.header) - 1
    between = "\n" if table.wrap else " "
    rows = [[*row[:last], between.join(row[last:]).rstrip("\n")] for row in rows]
    console = Console(force_terminal=True, highlight=False, markup=False, emoji=False)
    widths = [max(map(cell_len, column)) for column in zip(table.header, *rows, strict=True)]
    # The last column is cut to what is left of the line; rich would shrink the first instead. That one holds
    # the names, which people copy: where it must shrink, it is folded.
    widths[last] = min(widths[last], max(console.width - sum(widths[:last]) - 2 * last, _NARROWEST))
    widths[0] = min(widths[0], max(console.width - sum(widths[1:]) - 2 * last, _NARROWEST))

    grid = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, title in enumerate(table.header):
        if number == 0:
            grid.add_column(title, style="cyan", overflow="fold", width=widths[0])
        else:
            wrap = table.wrap and number == last
            overflow: Any = "fold" if wrap else "ellipsis"
            grid.add_column(title, overflow=overflow, no_wrap=not wrap, width=widths[number])
    for row in rows:
        grid.add_row(*map(Text, row))
    with console.capture() as captured:
        console.print(grid)
    return captured.get()
