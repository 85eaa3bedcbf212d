"""`config`: the instance's `user.*` and `cloud-init.*` keys."""

from __future__ import annotations

import contextlib
import errno
import os
import signal

import click

from devlxdctl.cli.options import Command, Group, Options
from devlxdctl.cli.render import Bare, Table, say
from devlxdctl.cli.variables import assignments, variables
from devlxdctl.errors import BadData

_patterns = click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
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
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
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
    environment = _own_environment() | variables(found, prefix)
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


def _own_environment() -> dict[str, str]:
    """This process's environment as it came, less the bearer token."""
    environment = dict(os.environ)
    environment.pop("DEVLXD_BEARER_TOKEN", None)
    # In the C locale, Python sets LC_CTYPE for itself and its children. The kernel knows what it was before.
    with contextlib.suppress(OSError), open("/proc/self/environ", "rb") as file:
        if b"\0LC_CTYPE=" not in b"\0" + file.read():
            environment.pop("LC_CTYPE", None)
    return environment
