"""`pool`: the storage pools of the host."""

from __future__ import annotations

import click

from devlxdctl.cli.completion import values
from devlxdctl.cli.options import Group, Options
from devlxdctl.cli.output.render import Table, as_text


@click.group(cls=Group)
def pool() -> None:
    """Read storage pools.

    Needs LXD 6.6 or later on the host, and a bearer token.

    \b
    Example:
      devlxdctl pool show default
    """


@pool.command()
@click.argument("pool", shell_complete=values.pools)
@click.pass_obj
def show(options: Options, pool: str) -> Table:
    """Print a storage pool.

    Hosts do not list their pools for guests. The disk devices of this instance name some.

    \b
    Examples:
      devlxdctl pool show default
      devlxdctl -f json devices root | jq -r .pool
    """
    found = options.client().pool(pool)
    return Table(found, ("FIELD", "VALUE"), [(name, as_text(value)) for name, value in found.items()])
