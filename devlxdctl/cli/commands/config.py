"""`config`: the config keys `user.*` and `cloud-init.*`."""

from __future__ import annotations

import shlex

import click

from devlxdctl import find_product, find_socket
from devlxdctl.cli.arguments import optional_option, patterns_argument
from devlxdctl.cli.completion import values as complete
from devlxdctl.cli.lazy import LazyCommands
from devlxdctl.cli.options import Group, Options
from devlxdctl.cli.output.render import Table, Value

_HOST_VERBS = {
    "set": ("set", "KEY VALUE"),
    "unset": ("unset", "KEY"),
    "delete": ("unset", "KEY"),
    "rm": ("unset", "KEY"),
    "edit": ("edit", ""),
}
"""What users look for here although only the host can do it: the command of the host, and its arguments."""


_PATHS = {
    "env": "config_files.env",
    "save": "config_files.save",
    "render": "config_files.render",
    "run": "config_run.run",
    "watch": "config_watch.watch",
}


class _ReadOnly(click.UsageError):
    """A command that only the host has. `hint` is that command with the user's arguments."""

    def __init__(self, verb: str, arguments: list[str], ctx: click.Context) -> None:
        super().__init__("guests can only read config keys", ctx)
        client = "incus" if find_product(find_socket(ctx.ensure_object(Options).socket)) == "Incus" else "lxc"
        host_verb, default = _HOST_VERBS[verb]
        given = shlex.join(arguments) if default else ""
        self.hint = f"on the host: {client} config {host_verb} INSTANCE {given or default}".rstrip()


class _ConfigGroup(Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in _HOST_VERBS and not ctx.resilient_parsing:
            raise _ReadOnly(args[0], args[1:], ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_ConfigGroup, commands=LazyCommands(_PATHS))
def config() -> None:
    """Read the config keys user.* and cloud-init.*.

    A PATTERN is a shell glob over the whole key. Without glob characters it is a key, which must be set.

    \b
    Examples:
      devlxdctl config ls
      devlxdctl config get user.role
    """


@config.command()
@patterns_argument
@click.option("-l", "--values", is_flag=True, help="Print the values, too.")
@optional_option
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
@click.option("-n", "no_newline", is_flag=True, help="Do not add a newline to the value.")
@click.pass_obj
def get(options: Options, keys: tuple[str, ...], default: str | None, no_newline: bool) -> Value | Table:
    """Print the value of a config key, or of several.

    With several keys, each line has a key and its value.

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
