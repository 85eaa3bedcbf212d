"""Printing what a command returns, as text or as JSON.

On a terminal, text is a table in color. Off a terminal it is an interface: tab-separated, without a header,
nothing cut. JSON is the host's own data: indented and in color on a terminal, otherwise on one line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from devlxdctl import ExitStatus, UnexpectedResponse
from devlxdctl.cli.output.colors import paint_help, paint_json, uses_color
from devlxdctl.cli.output.stdio import (
    CONTROL_CHARACTERS,
    UNSAFE_CHARACTERS,
    OutputClosed,
    encode,
    escape,
    write_raw,
    write_stderr,
    write_stdout,
)
from devlxdctl.cli.output.tables import Columns, format_table


class Value(NamedTuple):
    """One text, printed unchanged. With `newline`, a newline is added where it does not end with one."""

    data: Any
    text: str
    newline: bool = True


class Table(NamedTuple):
    """Rows of cells. The last title of `header` can stand for any number of further cells.

    On a terminal the further cells follow the last one, and what does not fit is cut. `styles` are the
    meanings of cells by their text, which have colors there. `checks` are rows of a status, a subject, a
    detail and what to do about it; nothing of these is cut. `status` is the exit status.
    """

    data: Any
    header: Sequence[str]
    rows: Iterable[Sequence[str]]
    checks: bool = False
    styles: Mapping[str, str] = {}
    status: ExitStatus = ExitStatus.OK


class Help(NamedTuple):
    """The help of a command, in color wherever colors are used; to stderr if `is_error`."""

    text: str
    is_error: bool = False


class Document(NamedTuple):
    """A document that is JSON in every format."""

    data: Any


class Raw(NamedTuple):
    """Bytes that are written as they arrive, the same in every format; to stderr if `is_error`."""

    chunks: Iterable[bytes]
    is_error: bool = False


class Line(NamedTuple):
    """One line of a stream. Only the form that is printed is made: JSON text, or cells.

    With None for its cells, it is printed as JSON only.
    """

    json: Callable[[], str]
    cells: Callable[[], Sequence[str]] | None


class Lines(NamedTuple):
    """A stream of lines, each written and flushed before the next one is requested.

    `header` has the titles of the columns on a terminal. The last one can stand for any number of cells.
    """

    lines: Iterable[Line]
    header: Sequence[str] = ()


Output = Value | Table | Document | Help | Lines | Raw | None


def render(output: Output, as_json: bool) -> ExitStatus:
    """Write what a command returned to stdout, and return the exit status.

    Raises `BadData` when stdout cannot be written, `OutputClosed` when its reader has closed it.
    """
    if output is None:
        return ExitStatus.OK
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    if isinstance(output, Lines):
        _write_lines(output, as_json, is_terminal)
        return ExitStatus.OK
    if isinstance(output, Help):
        _write_help(output)
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
        if is_terminal:
            text = format_table(output.header, output.rows, styles=output.styles, checks=output.checks)
        else:
            text = tab_separated(output)
    else:
        end = "\n" if output.newline and not output.text.endswith("\n") else ""
        text = escape(output.text + end, keep="\t\n") if is_terminal else output.text + end
    return encode(text)


def _write_lines(stream: Lines, as_json: bool, is_terminal: bool) -> None:
    columns = Columns(stream.header) if is_terminal and not as_json else None
    try:
        for line in stream.lines:
            if as_json:
                text = line.json()
                data = encode(_terminal_json(text) if is_terminal else text) + b"\n"
            elif line.cells is None:
                continue
            elif columns:
                data = encode(columns.format(line.cells()))
            else:
                # Each cell for itself: with one emoji, all of the text would take four bytes a character.
                data = b"\t".join(encode(_cell(cell)) for cell in line.cells()) + b"\n"
            write_stdout(data)
    except BrokenPipeError as error:  # noticed while there was nothing to write
        raise OutputClosed from error


def _write_help(output: Help) -> None:
    stream = sys.stderr if output.is_error else sys.stdout
    text = output.text if output.text.endswith("\n") else output.text + "\n"
    data = encode(paint_help(text) if uses_color(stream) else text)
    write_stderr(data) if output.is_error else write_stdout(data)


def as_text(data: Any) -> str:
    """Return a part of a JSON document as text: a string unchanged, anything else as compact JSON."""
    return data if isinstance(data, str) else compact_json(data)


def compact_json(data: Any) -> str:
    """Return `data` as JSON on one line, without spaces between its parts."""
    return _escape_surrogates(_dumps(data, separators=(",", ":")))


def _format_json(data: Any, indent: bool) -> str:
    return _terminal_json(_dumps(data, indent=2)) if indent else compact_json(data)


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


def _terminal_json(text: str) -> str:
    """JSON for a terminal: without the characters that JSON may contain, but a terminal must not get."""
    safe = re.sub(UNSAFE_CHARACTERS, lambda match: "\n" if match[0] == "\n" else _json_escape(match), text)
    return paint_json(safe) if uses_color(sys.stdout) else safe


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def tab_separated(table: Table) -> str:
    """Return the rows of `table`, one per line, with tabs between cells."""
    return "".join(map(_tab_separated, table.rows))


def _tab_separated(row: Sequence[str]) -> str:
    return "\t".join(map(_cell, row)) + "\n"


def _cell(text: str) -> str:
    return escape(text.replace("\\", r"\\"), characters=CONTROL_CHARACTERS)
