"""`config`: the instance's `user.*` and `cloud-init.*` keys."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator

import click

from devlxdctl.cli import completion
from devlxdctl.cli.commands import own_environment, run_hook
from devlxdctl.cli.options import Command, Group, Options, Seconds, Words
from devlxdctl.cli.render import Bare, Line, Lines, Table, compact
from devlxdctl.cli.streams import say, stdout_descriptor
from devlxdctl.cli.variables import assignments, variables
from devlxdctl.errors import BadData

_patterns = click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=completion.keys)
_prefix = click.option("--prefix", metavar="P", help="What stands for the namespace: APP_ makes APP_ROLE.")


@click.group(cls=Group)
def config() -> None:
    """Read the config keys user.* and cloud-init.*.

    \b
    Example:
      devlxdctl config ls
      devlxdctl config get user.role
    """


@config.command()
@_patterns
@click.option("-l", "--values", is_flag=True, help="With their values.")
@click.pass_obj
def ls(options: Options, patterns: tuple[str, ...], values: bool) -> Table:
    """List the keys, or those that match a PATTERN: a shell's glob over the whole key.

    \b
    Example:
      devlxdctl config ls 'user.*'
      devlxdctl config ls -l
    """
    client = options.client()
    if values:
        found = client.config(patterns)
        return Table(found, ("KEY", "VALUE"), list(found.items()))
    keys = client.config_keys(patterns)
    return Table(keys, ("KEY",), [(key,) for key in keys])


@config.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY...", shell_complete=completion.keys)
@click.option("--default", metavar="V", help="What stands for a key that is not set.")
@click.option("-n", "no_newline", is_flag=True, help="Add no newline to the value.")
@click.pass_obj
def get(options: Options, keys: tuple[str, ...], default: str | None, no_newline: bool) -> Bare | Table:
    """Show the value of a KEY, or the keys and values of several.

    \b
    Example:
      devlxdctl config get user.role
      devlxdctl config get user.port --default 8080
      devlxdctl -f json config get user.role user.port
    """
    found = options.client().config_values(keys, default)
    if len(keys) == 1:
        return Bare(found, found[keys[0]], newline=not no_newline)
    return Table(found, ("KEY", "VALUE"), list(found.items()))


@config.command()
@_patterns
@_prefix
@click.option("--export", is_flag=True, help="Put `export` before each.")
@click.pass_obj
def env(options: Options, patterns: tuple[str, ...], prefix: str | None, export: bool) -> Bare:
    """Show the keys and values as assignments, for a shell and for systemd's EnvironmentFile.

    user.role becomes USER_ROLE. Two keys that make one name are an error.

    \b
    Example:
      e=$(devlxdctl config env 'user.*') && eval "$e"
      devlxdctl config env --prefix APP_ 'user.*' >/run/app.env
    """
    named = variables(options.client().config(patterns), prefix)
    return Bare(named, assignments(named, export), newline=False)


class _RunCommand(Command):
    """Takes what follows the first `--` apart, where Click would make it one with what stands before."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[__name__] = args[end + 1 :]
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- COMMAND [ARG]..."]


@config.command(cls=_RunCommand)
@_patterns
@_prefix
@click.pass_context
def run(ctx: click.Context, patterns: tuple[str, ...], prefix: str | None) -> None:
    """Run a COMMAND with the keys and values in its environment.

    It takes the place of this program, and gets no bearer token. Status 127: there is no such command;
    126: it cannot be run.

    \b
    Example:
      devlxdctl config run 'user.*' --prefix APP_ -- env
    """
    command: list[str] = ctx.meta[__name__]
    if not command:
        raise click.UsageError("Missing '-- COMMAND' at the end.")
    found = ctx.ensure_object(Options).client().config(patterns)
    environment = own_environment() | variables(found, prefix)
    # Python ignores these two, and what it ignores would stay ignored.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        if error.errno == errno.E2BIG:
            raise BadData(command[0], "the values do not fit into an environment") from error
        say(f"devlxdctl: {command[0]}: {(error.strerror or 'cannot be run').lower()}")
        ctx.exit(127 if isinstance(error, FileNotFoundError) else 126)


@config.command()
@_patterns
@click.option("--exec", "command", type=Words(), help="Run this for each line, without a shell.")
@click.option("--count", type=click.IntRange(1), help="End after so many changes.")
@click.option(
    "--interval", type=Seconds(), default=60, show_default=True, help="Read everything so often; 0: never."
)
@click.pass_obj
def watch(
    options: Options, patterns: tuple[str, ...], command: list[str] | None, count: int | None, interval: float
) -> Lines:
    """Show the keys and values, and from then on every change, whatever becomes of the host.

    A line has the action (initial, added, changed, removed), the key, its value and its old one. CMD gets the
    value on its standard input, and DEVLXD_KEY, DEVLXD_ACTION, and where they fit DEVLXD_VALUE and
    DEVLXD_OLD_VALUE in its environment. The next line comes when it has ended.

    \b
    Example:
      devlxdctl config watch 'user.*'
      devlxdctl config watch user.domain --exec 'systemctl reload nginx'
    """
    from devlxdctl.watch import config_changes

    changes = config_changes(options.client(), patterns, interval or None, stdout_descriptor())

    def lines() -> Iterator[Line]:
        left = count
        for change in changes:
            fields = {"key": change.key, "value": change.value, "old_value": change.old_value}
            cells = (change.action, change.key, change.value or "", change.old_value or "")
            yield Line(compact({**fields, "action": change.action}), cells)
            if command is not None:
                run_hook(command, change)
            if left is not None and change.action != "initial":
                left -= 1
                if left == 0:
                    return

    return Lines(lines())
