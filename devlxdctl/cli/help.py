"""`help`: of any command, and what the exit statuses mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from devlxdctl.cli.options import Command, show, unknown
from devlxdctl.errors import ExitStatus

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from devlxdctl.cli.render import Bare

STATUSES: Final[dict[ExitStatus, str]] = {
    ExitStatus.OK: "done; the condition holds",
    ExitStatus.UNEXPECTED: "unexpected: an answer that makes no sense",
    ExitStatus.USAGE: "usage",
    ExitStatus.NOT_SUPPORTED: "this host does not support it",
    ExitStatus.NOT_PERMITTED: "not permitted",
    ExitStatus.NO_HOST: "no devLXD here: no socket, and nothing says that one is coming",
    ExitStatus.NOT_FOUND: "a definite no: the key, device, image or field is not there; "
    "`query` answered 404; `ready --check` when not Ready",
    ExitStatus.UNREACHABLE: "there, but unreachable: refused, dropped, silent, failing, lost for good "
    "in an export",
    ExitStatus.BAD_DATA: "the data is bad or could not be written: a wrong digest, names collide, "
    "the disk is full, a file exists",
    ExitStatus.TIMED_OUT: "the time that you set ran out",
}
"""What each exit status means: the one text for `help exit-codes`, the man pages and the README."""

SIGNALS: Final = "INT, TERM and HUP end it by that signal. A reader that went away ends it quietly."

_TOPIC: Final = "exit-codes"


def _topics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    words = ctx.params.get("topic") or ()
    found: click.Command | None = ctx.find_root().command
    for word in words:
        found = found.get_command(ctx, word) if isinstance(found, click.Group) else None
    items = [] if words else [CompletionItem(_TOPIC, help="What the exit statuses mean.")]
    if isinstance(found, click.Group):
        for name, command in sorted(found.commands.items()):
            items.append(CompletionItem(name, help=command.get_short_help_str()))
    return [item for item in items if item.value.startswith(incomplete)]


@click.command("help", cls=Command)
@click.argument("topic", nargs=-1, metavar="[COMMAND... | exit-codes]", shell_complete=_topics)
@click.pass_context
def help_(ctx: click.Context, topic: tuple[str, ...]) -> Bare | None:
    """Show the help of a COMMAND, or what the exit statuses mean.

    \b
    Example:
      devlxdctl help config get
      devlxdctl help exit-codes
    """
    from devlxdctl.cli.render import Bare

    if topic == (_TOPIC,):
        return Bare({str(int(status)): text for status, text in STATUSES.items()}, _statuses())
    of = ctx.find_root()
    for word in topic:
        command = of.command.get_command(of, word) if isinstance(of.command, click.Group) else None
        if command is None:
            names = of.command.list_commands(of) if isinstance(of.command, click.Group) else []
            raise unknown(word, names, ctx)
        of = click.Context(command, info_name=word, parent=of)
    show(ctx, of.get_help())
    return None


def _statuses() -> str:
    import textwrap

    lines = [
        textwrap.fill(text, 78, initial_indent=f"{int(status):>3}  ", subsequent_indent="     ")
        for status, text in STATUSES.items()
    ]
    return "\n".join([*lines, "", SIGNALS, ""])
