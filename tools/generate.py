"""`make generate`: writes the files that derive from the command line.

These are the completion scripts, the man pages, the lists of commands and exit statuses in the documents, and
the pictures of the terminal.
"""

from __future__ import annotations

import re
from pathlib import Path

import click

from devlxdctl.cli import devlxdctl
from devlxdctl.cli.commands.help import STATUSES
from devlxdctl.cli.completion.shells import Bash, Fish, Zsh, script
from tools import pictures
from tools.manual import PROGRAMS, commands, pages

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "docs/commands.md")
"""The documents that contain lists."""


def completions() -> dict[str, str]:
    """The completion scripts by file name. zsh finds its script by the program's name after an underscore."""
    return {
        name: script(shell, program.name)
        for program in PROGRAMS
        for name, shell in (
            (f"{program.name}.bash", Bash),
            (f"_{program.name}", Zsh),
            (f"{program.name}.fish", Fish),
        )
    }


def command_list() -> str:
    """The commands as a table in Markdown."""
    lines = ["| command | |", "|---|---|"]
    for path, command in commands(devlxdctl):
        if not isinstance(command, click.Group):
            lines.append(f"| `{' '.join(path[1:])}` | {command.get_short_help_str(200)} |")
    return "\n".join(lines) + "\n"


def statuses() -> str:
    """The exit statuses as a table in Markdown."""
    lines = ["| status | meaning |", "|---|---|"]
    return "\n".join([*lines, *(f"| {int(status)} | {text} |" for status, text in STATUSES.items())]) + "\n"


def document(text: str) -> str:
    """Replace the lists in a document, which stand between `<!-- commands -->` and `<!-- end -->`."""
    for name, table in (("commands", command_list()), ("statuses", statuses())):
        section = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->\n)", re.DOTALL)
        text = section.sub(lambda found, table=table: found[1] + table + found[2], text)  # type: ignore[misc]
    return text


def files() -> dict[str, str]:
    """The contents of all derived files by path in the repository."""
    return {
        **{f"completions/{name}": text for name, text in completions().items()},
        **{f"man/{name}": text for name, text in pages().items()},
        **{path: document((REPOSITORY / path).read_text()) for path in DOCUMENTS},
    }


def main() -> None:
    for directory in ("completions", "man"):
        (REPOSITORY / directory).mkdir(exist_ok=True)
        for old in (REPOSITORY / directory).iterdir():
            old.unlink()
    for path, text in files().items():
        (REPOSITORY / path).write_text(text)
    pictures.main()


if __name__ == "__main__":
    main()
