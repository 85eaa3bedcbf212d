"""`dump`: everything in one document."""

from __future__ import annotations

import click

from devlxdctl.cli.options import Command, Options
from devlxdctl.cli.output.render import Document


@click.command(cls=Command)
@click.pass_obj
def dump(options: Options) -> Document:
    """Print everything readable as one JSON document.

    It has the fields versions, state, config, devices and metadata, null for what the host does not support.
    A part that the host forbids is an error.

    \b
    Example:
      devlxdctl dump | jq -r '.config["user.role"]'
    """
    return Document(options.client().dump())
