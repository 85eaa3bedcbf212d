"""Printing what a command returns, as text or as JSON.

On a terminal, text is a table. Off a terminal it is an interface: tab-separated, without a header, nothing
cut. JSON is the host's own data: indented on a terminal, otherwise on one line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from devlxdctl import ExitStatus, UnexpectedResponse
from devlxdctl.cli.output.stdio import (
    CONTROL_CHARACTERS,
    UNSAFE_CHARACTERS,
    OutputClosed,
    encode,
    escape,
    write_raw,
    write_stdout,
)

_MIN_WIDTH: Final = 8
"""Columns of the terminal that a column of a table gets at least, if it needs them."""


class Value(NamedTuple):
    """One text, printed unchanged. With `newline`, a newline is added where it does not end with one."""

    data: Any
    text: str
    newline: bool = True


class Table(NamedTuple):
    """Rows of cells. The last title of `header` can stand for any number of further cells.

    On a terminal the further cells follow the last one, and what does not fit is cut; with `wrap`, both
    continue on the next line. `styles` are the styles of rich for the first cells, by their text. `status` is
    the exit status.
    """

    data: Any
    header: Sequence[str]
    rows: Iterable[Sequence[str]]
    wrap: bool = False
    styles: Mapping[str, str] = {}
    status: ExitStatus = ExitStatus.OK


class Document(NamedTuple):
    """A document that is JSON in every format."""

    data: Any


class Raw(NamedTuple):
    """Bytes that are written as they arrive, the same in every format; to stderr if `is_error`."""

    chunks: Iterable[bytes]
    is_error: bool = False


class Line(NamedTuple):
    """One line of a stream, as JSON text and as cells; without cells, it is printed as JSON only."""

    json: str
    cells: Sequence[str] | None


class Lines(NamedTuple):
    """A stream of lines, each written and flushed before the next one is requested."""

    lines: Iterable[Line]


Output = Value | Table | Document | Lines | Raw | None


def render(output: Output, as_json: bool) -> ExitStatus:
    """Write what a command returned to stdout, and return the exit status.

    Raises `BadData` when stdout cannot be written, `OutputClosed` when its reader has closed it.
    """
    if output is None:
        return ExitStatus.OK
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    if isinstance(output, Lines):
        _write_lines(output.lines, as_json, is_terminal)
        return ExitStatus.OK
    if isinstance(output, Raw):
        write_raw(output.chunks, output.is_error)
        return ExitStatus.OK
    write_stdout(format_output(output, as_json, is_terminal))
    return output.status if isinstance(output, Table) else ExitStatus.OK


def format_output(output: Value | Table | Document, as_json: bool, is_terminal: bool = False) -> bytes:
    """Return the bytes for stdout."""
    if as_json or isinstance(output, Document):
        text = _format_json(output.data, indent=is_terminal) + "\n"
    elif isinstance(output, Table):
        text = _format_table(output) if is_terminal else tab_separated(output)
    else:
        end = "\n" if output.newline and not output.text.endswith("\n") else ""
        text = escape(output.text + end, keep="\t\n") if is_terminal else output.text + end
    return encode(text)


def _write_lines(lines: Iterable[Line], as_json: bool, is_terminal: bool) -> None:
    try:
        for line in lines:
            if as_json:
                data = encode(_escape_json(line.json) if is_terminal else line.json)
            elif line.cells is None:
                continue
            else:
                # Each cell for itself: with one emoji, all of the text would take four bytes a character.
                separator = b"  " if is_terminal else b"\t"
                data = separator.join(encode(_cell(cell, is_terminal)) for cell in line.cells)
            write_stdout(data + b"\n")
    except BrokenPipeError as error:  # noticed while there was nothing to write
        raise OutputClosed from error


def as_text(data: Any) -> str:
    """Return a part of a JSON document as text: a string unchanged, anything else as compact JSON."""
    return data if isinstance(data, str) else compact_json(data)


def compact_json(data: Any) -> str:
    """Return `data` as JSON on one line, without spaces between its parts."""
    return _escape_surrogates(_dumps(data, separators=(",", ":")))


def _format_json(data: Any, indent: bool) -> str:
    return _escape_json(_dumps(data, indent=2)) if indent else compact_json(data)


def _dumps(data: Any, **options: Any) -> str:
    import json

    try:
        return json.dumps(data, ensure_ascii=False, **options)
    except RecursionError as error:
        # Writing it with indentation needs more of the stack than reading it.
        raise UnexpectedResponse("JSON", "nested too deeply to be printed") from error


def _escape_surrogates(text: str) -> str:
    """JSON that is UTF-8: single surrogates, which are bytes that are not UTF-8, are escaped."""
    return re.sub("[\ud800-\udfff]", _json_escape, text)


def _escape_json(text: str) -> str:
    """JSON for a terminal: the characters that JSON may contain unescaped, but a terminal must not get."""
    return re.sub(UNSAFE_CHARACTERS, lambda match: "\n" if match[0] == "\n" else _json_escape(match), text)


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def tab_separated(table: Table) -> str:
    """Return the rows of `table`, one per line, with tabs between cells."""
    return "".join("\t".join(_cell(cell) for cell in row) + "\n" for row in table.rows)


def _cell(text: str, is_terminal: bool = False) -> str:
    characters = UNSAFE_CHARACTERS if is_terminal else CONTROL_CHARACTERS
    return escape(text.replace("\\", r"\\"), characters=characters)


def _format_table(table: Table) -> str:
    rows = [[_cell(cell, is_terminal=True) for cell in row] for row in table.rows]
    if not rows:
        return ""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    last = len(table.header) - 1
    separator = "\n" if table.wrap else " "
    rows = [[*row[:last], separator.join(row[last:]).rstrip("\n")] for row in rows]
    console = Console(force_terminal=True, highlight=False, markup=False, emoji=False)
    widths = [max(map(cell_len, column)) for column in zip(table.header, *rows, strict=True)]
    # The last column is cut to what is left of the line; rich would shrink the first instead. That one has
    # the names, which people copy: where it must shrink, it is folded.
    widths[last] = min(widths[last], max(console.width - sum(widths[:last]) - 2 * last, _MIN_WIDTH))
    widths[0] = min(widths[0], max(console.width - sum(widths[1:]) - 2 * last, _MIN_WIDTH))

    grid = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, title in enumerate(table.header):
        if number == 0:
            style = "" if table.styles else "cyan"
            grid.add_column(title, style=style, overflow="fold", width=widths[0])
        else:
            wrap = table.wrap and number == last
            overflow: Any = "fold" if wrap else "ellipsis"
            grid.add_column(title, overflow=overflow, no_wrap=not wrap, width=widths[number])
    for first, *rest in rows:
        grid.add_row(Text(first, style=table.styles.get(first, "")), *map(Text, rest))
    with console.capture() as captured:
        console.print(grid)
    return captured.get()
