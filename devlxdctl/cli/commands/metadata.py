"""`metadata`: what cloud-init reads."""

from __future__ import annotations

import click

from devlxdctl.cli.options import Command, Options
from devlxdctl.cli.output.render import Value


@click.command(cls=Command)
@click.pass_obj
def metadata(options: Options) -> Value:
    """Print the instance's meta-data for cloud-init.

    It is YAML, unchanged as the host sends it.

    \b
    Example:
      devlxdctl metadata
    """
    text = options.client().metadata()
    return Value(text, text, newline=False)
