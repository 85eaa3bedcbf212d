"""`versions`: the versions of the API."""

from __future__ import annotations

import click

from devlxdctl.cli.options import Command, Options
from devlxdctl.cli.output.render import Table


@click.command(cls=Command)
@click.pass_obj
def versions(options: Options) -> Table:
    """Print the API versions that the host offers.

    \b
    Example:
      devlxdctl versions
    """
    found = options.client().versions()
    return Table(found, ("VERSION",), [(version,) for version in found])
