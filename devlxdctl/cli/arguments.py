"""Arguments that several commands take: patterns of config keys, and another command after `--`."""

from __future__ import annotations

from typing import ClassVar

import click

from devlxdctl.cli.completion import values
from devlxdctl.cli.options import Command

patterns_argument = click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=values.keys)
prefix_option = click.option(
    "--prefix", metavar="PREFIX", help="Replace the namespace: with APP_, user.role becomes APP_ROLE."
)
dangerous_names_option = click.option(
    "--allow-dangerous-names",
    is_flag=True,
    help="Allow names that change how programs run, such as PATH or LD_PRELOAD.",
)
optional_option = click.option("--optional", is_flag=True, help="Ignore keys that are not set.")


class RunningCommand(Command):
    """A command that takes `-- CMD [ARG]...` at its end. `given_command` returns CMD and its arguments."""

    needs_command: ClassVar[bool] = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Click would add what follows `--` to the arguments before.
        end = args.index("--") if "--" in args else len(args)
        given = args[end + 1 :]
        ctx.meta[__name__] = given
        rest = super().parse_args(ctx, args[:end])
        if not given and (self.needs_command or end < len(args)) and not ctx.resilient_parsing:
            raise click.UsageError("Missing '-- CMD' at the end.", ctx)
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        piece = "-- CMD [ARG]..." if self.needs_command else "[-- CMD [ARG]...]"
        return [*super().collect_usage_pieces(ctx), piece]


def given_command(ctx: click.Context) -> list[str]:
    """The command after `--` with its arguments, empty without one."""
    command: list[str] = ctx.meta[__name__]
    return command
