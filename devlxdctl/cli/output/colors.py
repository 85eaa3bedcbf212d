"""Colors: one style for each meaning, and where they are used.

The styles consist of the eight colors of every terminal, which its theme adapts to its background.
"""

from __future__ import annotations

import os
import re
from typing import IO, Final

STYLES: Final = {
    "error": "bold red",
    "warning": "yellow",
    "log": "dim",
    "hint": "cyan",
    "heading": "bold",
    "name": "cyan",
    "ok": "green",
    "fail": "bold red",
    "skip": "dim",
    "initial": "dim",
    "added": "green",
    "changed": "yellow",
    "removed": "red",
    "time": "dim",
    "string": "green",
    "number": "magenta",
    "null": "dim",
    "progress": "cyan",
}
"""The style of each meaning, in the words of rich."""

_CODES: Final = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "magenta": 35, "cyan": 36}


def uses_color(stream: IO[str] | None) -> bool:
    """Whether text for `stream` is colored: on a terminal, unless the environment says otherwise.

    NO_COLOR turns colors off, and FORCE_COLOR turns them on, also off a terminal. Results that a program can
    read have no colors off a terminal, whatever this returns.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return stream is not None
    return stream is not None and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def paint(text: str, meaning: str) -> str:
    """Return `text` in the style of `meaning`. The text must have no control characters."""
    style = STYLES.get(meaning)
    if not text or style is None:
        return text
    codes = ";".join(str(_CODES[word]) for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m"


def paint_message(line: str, meaning: str = "error") -> str:
    """Return a line for stderr with its first word in color: `devlxdctl:` or `hint:`."""
    prefix, colon, rest = line.partition(":")
    if prefix not in {"devlxdctl", "hint"}:
        return line
    return paint(prefix + colon, "hint" if prefix == "hint" else meaning) + rest


def paint_json(text: str) -> str:
    """Return JSON without control characters with its names, strings, numbers and words in color."""

    def color(match: re.Match[str]) -> str:
        token, colon = match[1], match[2] or ""
        if token.startswith('"'):
            return paint(token, "name" if colon else "string") + colon
        return paint(token, "null" if token == "null" else "number")

    return re.sub(r'("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null)(\s*:)?', color, text)


def paint_help(text: str) -> str:
    """Return the help of a command with its headings, commands and options in color."""
    lines = []
    has_terms = False
    for line in text.split("\n"):
        if re.fullmatch(r" *[A-Z][\w ]*:", line):
            has_terms = not line.startswith(" ")  # the examples are indented
            lines.append(paint(line, "heading"))
        elif line.startswith("Usage: "):
            lines.append(paint("Usage:", "heading") + line.removeprefix("Usage:"))
        elif has_terms and (found := re.fullmatch(r"  (\S.*?)(  .*)?", line)):
            lines.append(f"  {paint(found[1], 'name')}{found[2] or ''}")
        else:
            lines.append(line)
    return "\n".join(lines)
