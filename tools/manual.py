"""The man pages, made from the command line's own declarations.

click-man was tried first: it has none of the sections from EXIT STATUS on, sets the examples as running text,
cuts the summary that `whatis` shows, and dates each page with the day it was made.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import NamedTuple

import click

from devlxdctl import __version__
from devlxdctl.cli import devlxdctl
from devlxdctl.cli.commands.help import SIGNALS, STATUSES
from devlxdctl.simulator.cli import cli as simulator


class Program(NamedTuple):
    """A program, with the parts of its pages that no command declares: terms and what they mean."""

    name: str
    command: click.Command
    statuses: dict[str, str]
    environment: dict[str, str]
    files: dict[str, str]
    others: tuple[str, ...]


PROGRAMS = (
    Program(
        "devlxdctl",
        devlxdctl,
        {str(int(status)): text for status, text in STATUSES.items()},
        {
            "DEVLXD_SOCKET": "The host's socket, where `--socket` is not given.",
            "DEVLXD_BEARER_TOKEN": "A bearer token, where `--token-file` is not given.",
        },
        {
            "/dev/lxd/sock": "The socket of LXD, looked for first.",
            "/dev/incus/sock": "The socket of Incus.",
        },
        ("devlxd-simulator(1)", "cloud-init(1)", "systemd.exec(5)"),
    ),
    Program(
        "devlxd-simulator",
        simulator,
        {
            "0": "done; `run` ends as its command does",
            "1": "there is no simulator at that socket, or it refused",
            "2": "usage; a guest file that makes no sense",
        },
        {"DEVLXD_SOCKET": "The running simulator's socket, where `--socket` is not given. `run` sets it."},
        {},
        ("devlxdctl(1)", "lxc(1)"),
    ),
)


Path = tuple[str, ...]
"""The words that call a command, the program's name first."""


def commands(root: click.Command, path: Path = ()) -> Iterator[tuple[Path, click.Command]]:
    """The command and all below it, each after its group, with the words that call it."""
    path = path or (root.name or "",)
    yield path, root
    if isinstance(root, click.Group):
        for name in sorted(root.commands):
            if not root.commands[name].hidden:
                yield from commands(root.commands[name], (*path, name))


def pages() -> dict[str, str]:
    """All pages by file name."""
    return {
        f"{'-'.join(path)}.1": _page(program, path, command)
        for program in PROGRAMS
        for path, command in commands(program.command, (program.name,))
    }


def _page(program: Program, path: Path, command: click.Command) -> str:
    context: click.Context | None = None
    at: click.Command = program.command
    for word in path:
        at = at if context is None else at.commands[word]  # type: ignore[attr-defined]
        context = click.Context(at, info_name=word, parent=context, **at.context_settings)
    assert context is not None
    name = "-".join(path)
    summary, paragraphs, blocks = _help(command)
    usage = " ".join(_style(piece) for piece in command.collect_usage_pieces(context))
    below = {
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
        *_section("COMMANDS", _terms({page: _help(each)[0] for page, each in below.items()})),
    ]
    examples = blocks.pop("EXAMPLES", [])
    for title, text in blocks.items():
        lines += _section(title, _block(text))
    others = [f"{'-'.join(path[:-1])}(1)"] if len(path) > 1 else []
    others += below
    others += [each for each in program.others if each not in others]
    lines += [
        *_section("EXIT STATUS", [*_terms(program.statuses), ".PP", _text(SIGNALS)]),
        *_section("ENVIRONMENT", _terms(program.environment)),
        *_section("FILES", _terms(program.files)),
        *_section("EXAMPLES", _block(examples)),
        *_section("SEE ALSO", [",\n".join(_reference(each) for each in sorted(others))]),
    ]
    return "\n".join(lines) + "\n"


def _help(command: click.Command) -> tuple[str, list[str], dict[str, list[str]]]:
    """A command's help: its summary, its paragraphs, its unfilled blocks by the title of their section."""
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


def _terms(terms: dict[str, str]) -> list[str]:
    lines = []
    for term, text in terms.items():
        lines += [".TP", _reference(term) if term.endswith(")") else f"\\fB{_escape(term)}\\fR", _text(text)]
    return lines


def _reference(page: str) -> str:
    name, section = page.rstrip(")").split("(")
    return f"\\fB{_escape(name)}\\fR({section})"


def _style(word: str) -> str:
    """A word of a usage line: options and literals in bold, what the user puts in italics."""
    escaped = _escape(word)
    if word.startswith("-"):
        return f"\\fB{escaped}\\fR"
    return re.sub(r"[A-Z]{1,}(?:\\-[A-Z]+)*", r"\\fI\g<0>\\fR", escaped)


def _text(text: str) -> str:
    """Running text; what stands in `backticks` is bold."""
    parts = text.split("`")
    return "".join(f"\\fB{_escape(part)}\\fR" if odd % 2 else _escape(part) for odd, part in enumerate(parts))


_ESCAPES = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq"}


def _escape(text: str) -> str:
    """Text as roff reads it back: also where a line begins with a dot, and for characters beyond ASCII."""
    escaped = "".join(
        _ESCAPES.get(character, character if character.isascii() else f"\\[u{ord(character):04X}]")
        for character in text
    )
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
