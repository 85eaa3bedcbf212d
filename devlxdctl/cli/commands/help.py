"""`help`: the help of a command, and the exit statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from devlxdctl import ExitStatus
from devlxdctl.cli.options import Command, UnknownCommand, print_and_exit

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from devlxdctl.cli.output.manual import Program
    from devlxdctl.cli.output.render import Value

STATUSES: Final[dict[ExitStatus, str]] = {
    ExitStatus.OK: "success; the condition holds",
    ExitStatus.UNEXPECTED: "unexpected response, or a bug",
    ExitStatus.USAGE: "usage error",
    ExitStatus.NOT_SUPPORTED: "not supported by this host",
    ExitStatus.PERMISSION_DENIED: "permission denied",
    ExitStatus.NO_DEVLXD: "no devLXD here: no socket, and no sign that one is coming",
    ExitStatus.NOT_FOUND: "not found: the host says that the key, device, image or field does not exist; "
    "`query` got status 404; `ready --check` if not Ready",
    ExitStatus.HOST_UNAVAILABLE: "host unavailable: connection refused, reset or timed out, status 5xx, or a "
    "lost connection that cannot be resumed",
    ExitStatus.BAD_DATA: "bad data, or data that cannot be written: checksum mismatch, names that collide, "
    "full disk, file exists, status 409 or 412",
    ExitStatus.TIMED_OUT: "the time set by the user ran out",
}
"""What each exit status means: the one text for `help exit-codes`, the man pages and the README."""

SIGNALS: Final = "INT, TERM and HUP end it by that signal. A closed pipe (SIGPIPE) ends it silently."

_TOPIC: Final = "exit-codes"


def _complete_topics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    words = ctx.params.get("topic") or ()
    found: click.Command | None = ctx.find_root().command
    for word in words:
        found = found.get_command(ctx, word) if isinstance(found, click.Group) else None
    items = [] if words else [CompletionItem(_TOPIC, help="Print what the exit statuses mean.")]
    if isinstance(found, click.Group):
        for name, command in sorted(found.commands.items()):
            items.append(CompletionItem(name, help=command.get_short_help_str()))
    return [item for item in items if item.value.startswith(incomplete)]


def manual(root: click.Command) -> Program:
    """Return what the man pages of `devlxdctl` consist of."""
    from devlxdctl.cli.output.manual import Program

    return Program(
        "devlxdctl",
        root,
        {str(int(status)): text for status, text in STATUSES.items()},
        SIGNALS,
        {
            "DEVLXD_SOCKET": "The host's socket, unless `--socket` is given.",
            "DEVLXD_BEARER_TOKEN": "A bearer token, unless `--token-file` is given.",
            "NO_COLOR": "Turns colors off.",
            "FORCE_COLOR": "Turns colors on for errors and help that do not go to a terminal.",
            "DEVLXDCTL_FAST_START": "With 0, no module is skipped to make the program start faster.",
        },
        {
            "/dev/lxd/sock": "The socket of LXD. It is tried first.",
            "/dev/incus/sock": "The socket of Incus.",
        },
        ("devlxd-simulator(1)", "cloud-init(1)", "systemd.exec(5)"),
    )


@click.command("help", cls=Command)
@click.argument("topic", nargs=-1, metavar="[COMMAND... | exit-codes]", shell_complete=_complete_topics)
@click.option("--man", is_flag=True, help="Print the man page of the command, for man -l -.")
@click.pass_context
def help_(ctx: click.Context, topic: tuple[str, ...], man: bool) -> Value | None:
    """Print the help of a command, or the exit statuses.

    \b
    Examples:
      devlxdctl help config get
      devlxdctl help exit-codes
      devlxdctl help --man config get | man -l -
    """
    from devlxdctl.cli.output.render import Value

    if topic == (_TOPIC,) and not man:
        return Value({str(int(status)): text for status, text in STATUSES.items()}, _format_statuses())
    target = ctx.find_root()
    for word in topic:
        group = target.command
        command = group.get_command(target, word) if isinstance(group, click.Group) else None
        if command is None:
            names = group.list_commands(target) if isinstance(group, click.Group) else []
            raise UnknownCommand(word, names, ctx)
        target = click.Context(command, info_name=word, parent=target)
    if man:
        from devlxdctl.cli.output.manual import man_page

        page = man_page(manual(ctx.find_root().command), ("devlxdctl", *topic))
        return Value(page, page)
    print_and_exit(ctx, target.get_help())
    return None


def _format_statuses() -> str:
    import textwrap

    lines = [
        textwrap.fill(text, 78, initial_indent=f"{int(status):>3}  ", subsequent_indent="     ")
        for status, text in STATUSES.items()
    ]
    return "\n".join([*lines, "", textwrap.fill(SIGNALS, 78), ""])
