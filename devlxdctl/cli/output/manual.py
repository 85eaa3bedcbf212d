"""The man page of a command, generated from the Click commands.

click-man does not fit: it has no sections after OPTIONS, such as EXIT STATUS, fills the lines of examples,
truncates the summary that `whatis` prints, and dates each page with the day of the build.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import click

from devlxdctl import __version__


class Program(NamedTuple):
    """A program, and the sections of its pages that no Click command declares: terms and their meanings."""

    name: str
    command: click.Command
    statuses: Mapping[str, str]
    signals: str
    environment: Mapping[str, str]
    files: Mapping[str, str]
    see_also: tuple[str, ...]


Path = tuple[str, ...]
"""The name of the program, then of its groups, then of a command."""


def commands(root: click.Command, path: Path = ()) -> Iterator[tuple[Path, click.Command]]:
    """Iterate over a command and its subcommands, each after its group, with their paths."""
    path = path or (root.name or "",)
    yield path, root
    if isinstance(root, click.Group):
        for name in sorted(root.commands):
            if not root.commands[name].hidden:
                yield from commands(root.commands[name], (*path, name))


def man_page(program: Program, path: Path) -> str:
    """Return the page of a command, as source for `man`."""
    context: click.Context | None = None
    current: click.Command = program.command
    for word in path:
        current = current if context is None else current.commands[word]  # type: ignore[attr-defined]
        context = click.Context(current, info_name=word, parent=context, **current.context_settings)
    assert context is not None
    command = current
    name = "-".join(path)
    summary, paragraphs, blocks = _help(command)
    usage = " ".join(_style(piece) for piece in command.collect_usage_pieces(context))
    subcommands = {
        f"{'-'.join(words)}(1)": each
        for words, each in commands(command, path)
        if len(words) == len(path) + 1
    }
    lines = [
        f'.TH "{name.upper()}" 1 "" "devlxdctl {__version__}" "devlxdctl"',
        *_section("NAME", [f"{_escape(name)} \\- {_escape(summary)}"]),
        *_section("SYNOPSIS", [f"\\fB{_escape(' '.join(path))}\\fR {usage}"]),
        *_section("DESCRIPTION", [line for text in paragraphs for line in (".PP", _text(text))]),
        *_section("OPTIONS", _options(command, context)),
        *_section("COMMANDS", _terms({page: _help(each)[0] for page, each in subcommands.items()})),
    ]
    examples = blocks.pop("EXAMPLES", [])
    for title, text in blocks.items():
        lines += _section(title, _block(text))
    see_also = [f"{'-'.join(path[:-1])}(1)"] if len(path) > 1 else []
    see_also += subcommands
    see_also += [each for each in program.see_also if each not in see_also]
    lines += [
        *_section("EXIT STATUS", [*_terms(program.statuses), ".PP", _text(program.signals)]),
        *_section("ENVIRONMENT", _terms(program.environment)),
        *_section("FILES", _terms(program.files)),
        *_section("EXAMPLES", _block(examples)),
        *_section("SEE ALSO", [",\n".join(_reference(each) for each in sorted(see_also))]),
    ]
    return "\n".join(lines) + "\n"


def _help(command: click.Command) -> tuple[str, list[str], dict[str, list[str]]]:
    """Split a command's help into its summary, its paragraphs, and its unfilled blocks by section title."""
    text = "\n\n".join(inspect.cleandoc(part) for part in (command.help, command.epilog) if part)
    paragraphs, blocks = [], {}
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.startswith("\b\n"):
            title, *block = paragraph.split("\n")[1:]
            title = title.rstrip(":").upper()
            blocks["EXAMPLES" if title == "EXAMPLE" else title] = [line[2:] for line in block]
        else:
            paragraphs.append(" ".join(paragraph.split()))
    summary = re.split(r"[.:](?= |$)", paragraphs[0])[0]
    return summary[0].lower() + summary[1:], paragraphs, blocks


def _options(command: click.Command, context: click.Context) -> list[str]:
    options = [param for param in command.get_params(context) if isinstance(param, click.Option)]
    records = [option.get_help_record(context) for option in options]
    lines = []
    for names, text in filter(None, records):
        words = re.split(r"([ ,|]+)", names)
        lines += [".TP", "".join(_style(word) for word in words), _text(" ".join(text.split()))]
    return lines


def _block(text: list[str]) -> list[str]:
    return [".nf", *(_escape(line) for line in text), ".fi"]


def _section(title: str, lines: list[str]) -> list[str]:
    return [f".SH {title}", *lines] if lines else []


def _terms(terms: Mapping[str, str]) -> list[str]:
    lines = []
    for term, text in terms.items():
        lines += [".TP", _reference(term) if term.endswith(")") else f"\\fB{_escape(term)}\\fR", _text(text)]
    return lines


def _reference(page: str) -> str:
    name, section = page.rstrip(")").split("(")
    return f"\\fB{_escape(name)}\\fR({section})"


def _style(word: str) -> str:
    """Format a word of a usage line: options and literals bold, metavars italic."""
    escaped = _escape(word)
    if word.startswith("-"):
        return f"\\fB{escaped}\\fR"
    return re.sub(r"[A-Z]{1,}(?:\\-[A-Z]+)*", r"\\fI\g<0>\\fR", escaped)


def _text(text: str) -> str:
    """Format a paragraph; text in `backticks` is bold."""
    parts = text.split("`")
    return "".join(
        f"\\fB{_escape(part)}\\fR" if index % 2 else _escape(part) for index, part in enumerate(parts)
    )


_ESCAPES = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq"}


def _escape(text: str) -> str:
    """Escape text for roff, including a dot at the start and characters outside ASCII."""
    escaped = "".join(
        _ESCAPES.get(character, character if character.isascii() else f"\\[u{ord(character):04X}]")
        for character in text
    )
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
