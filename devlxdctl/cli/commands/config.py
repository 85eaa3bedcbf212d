"""`config`: the config keys `user.*` and `cloud-init.*`."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator

import click

from devlxdctl import BadData, environment_variables, format_assignments
from devlxdctl.cli.completion import values as complete
from devlxdctl.cli.environment import inherited_environment
from devlxdctl.cli.options import Command, CommandLine, Count, Group, Options, Seconds
from devlxdctl.cli.output.render import Line, Lines, Table, Value, compact_json
from devlxdctl.cli.output.stdio import print_error, stdout_descriptor

_patterns = click.argument("patterns", nargs=-1, metavar="[PATTERN]...", shell_complete=complete.keys)
_prefix = click.option(
    "--prefix", metavar="PREFIX", help="Replace the namespace: with APP_, user.role becomes APP_ROLE."
)
_optional = click.option("--optional", is_flag=True, help="Ignore keys that are not set.")


@click.group(cls=Group)
def config() -> None:
    """Read the config keys user.* and cloud-init.*.

    A PATTERN is a shell glob over the whole key. Without glob characters it is a key, which must be set.

    \b
    Examples:
      devlxdctl config ls
      devlxdctl config get user.role
    """


@config.command()
@_patterns
@click.option("-l", "--values", is_flag=True, help="Print the values, too.")
@_optional
@click.pass_obj
def ls(options: Options, patterns: tuple[str, ...], values: bool, optional: bool) -> Table:
    """List config keys.

    \b
    Examples:
      devlxdctl config ls 'user.*'
      devlxdctl config ls -l
    """
    client = options.client()
    if values:
        found = client.config(*patterns, optional=optional)
        return Table(found, ("KEY", "VALUE"), list(found.items()))
    keys = client.config_keys(*patterns, optional=optional)
    return Table(keys, ("KEY",), [(key,) for key in keys])


@config.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY...", shell_complete=complete.keys)
@click.option("--default", metavar="VALUE", help="Value to print for a key that is not set.")
@click.option("-n", "no_newline", is_flag=True, help="Add no newline to the value.")
@click.pass_obj
def get(options: Options, keys: tuple[str, ...], default: str | None, no_newline: bool) -> Value | Table:
    """Print the value of a config key, or of several.

    \b
    Examples:
      devlxdctl config get user.role
      devlxdctl config get user.port --default 8080
      devlxdctl -f json config get user.role user.port
    """
    found = options.client().config_get_many(keys, default=default)
    if len(keys) == 1:
        return Value(found, found[keys[0]], newline=not no_newline)
    return Table(found, ("KEY", "VALUE"), list(found.items()))


@config.command()
@_patterns
@_prefix
@click.option("--export", is_flag=True, help="Put `export` before each name.")
@_optional
@click.pass_obj
def env(
    options: Options, patterns: tuple[str, ...], prefix: str | None, export: bool, optional: bool
) -> Value:
    """Print config keys as variables for a shell and systemd.

    user.role becomes USER_ROLE='…'. Two keys that make one name are an error.

    \b
    Examples:
      e=$(devlxdctl config env 'user.*') && eval "$e"
      devlxdctl config env --prefix APP_ 'user.*' >/run/app.env
    """
    variables = environment_variables(options.client().config(*patterns, optional=optional), prefix)
    return Value(variables, format_assignments(variables, export), newline=False)


class _CommandWithArguments(Command):
    """Keeps what follows the first `--` for `ctx.meta`: Click would add it to the arguments before."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[__name__] = args[end + 1 :]
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- CMD [ARG]..."]


@config.command(cls=_CommandWithArguments)
@_patterns
@_prefix
@_optional
@click.pass_context
def run(ctx: click.Context, patterns: tuple[str, ...], prefix: str | None, optional: bool) -> None:
    """Run a command with config keys in its environment.

    The command replaces this program, and does not get the bearer token. Exits with status 127 if there is no
    such command, and with 126 if it cannot be run.

    \b
    Example:
      devlxdctl config run 'user.*' --prefix APP_ -- env
    """
    command: list[str] = ctx.meta[__name__]
    if not command:
        raise click.UsageError("Missing '-- CMD' at the end.")
    found = ctx.ensure_object(Options).client().config(*patterns, optional=optional)
    environment = inherited_environment() | environment_variables(found, prefix)
    # Python ignores these two signals, and the command would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        if error.errno == errno.E2BIG:
            raise BadData(command[0], "the values do not fit into an environment") from error
        print_error(f"devlxdctl: {command[0]}: {(error.strerror or 'cannot be run').lower()}")
        ctx.exit(127 if isinstance(error, FileNotFoundError) else 126)


@config.command()
@_patterns
@click.option(
    "--exec",
    "command",
    type=CommandLine(),
    metavar="CMD",
    help="Command to run for each line, without a shell.",
)
@click.option("--count", type=Count(), metavar="N", help="Exit after N changes.")
@click.option(
    "--interval",
    type=Seconds(),
    metavar="SECONDS",
    default=60,
    show_default=True,
    help="Seconds between full re-reads; 0 disables them.",
)
@click.pass_obj
def watch(
    options: Options, patterns: tuple[str, ...], command: list[str] | None, count: int | None, interval: float
) -> Lines:
    """Print config keys with their values, then each change.

    A line has the action (initial, added, changed, removed), the key, its value and its old value. No change
    is missed while the host is unavailable. CMD gets the value on its standard input, and DEVLXD_KEY,
    DEVLXD_ACTION, DEVLXD_VALUE and DEVLXD_OLD_VALUE in its environment; values that do not fit are left out.
    The next line is printed when it has ended.

    \b
    Examples:
      devlxdctl config watch 'user.*'
      devlxdctl config watch user.domain --exec 'systemctl reload nginx'
    """
    from devlxdctl.cli.hooks import run_hook

    changes = options.client().watch_config(
        *patterns, interval=interval or None, output_fd=stdout_descriptor()
    )

    def lines() -> Iterator[Line]:
        left = count
        for change in changes:
            fields = {"key": change.key, "value": change.value, "old_value": change.old_value}
            cells = (change.action, change.key, change.value or "", change.old_value or "")
            yield Line(compact_json({**fields, "action": change.action}), cells)
            if command is not None:
                run_hook(command, change)
            if left is not None and change.action != "initial":
                left -= 1
                if left == 0:
                    return

    return Lines(lines())
