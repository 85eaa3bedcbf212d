"""`dump`: everything in one document."""

from __future__ import annotations

import click

from devlxdctl import DUMP_PARTS
from devlxdctl.cli.completion import values
from devlxdctl.cli.options import Command, CommaSeparated, Options
from devlxdctl.cli.output.render import Document


@click.command(cls=Command)
@click.option(
    "--only",
    type=CommaSeparated(DUMP_PARTS, "a part of the document"),
    metavar="PARTS",
    default=",".join(DUMP_PARTS),
    shell_complete=values.dump_parts,
    help="Parts to read, separated by commas.  [default: all]",
)
@click.pass_obj
def dump(options: Options, only: list[str]) -> Document:
    """Print everything readable as one JSON document.

    It has the fields versions, state, config, devices and metadata, null for what the host does not support.
    A part that the host forbids is an error. With --only, it has the named fields, and the others are not
    requested.

    \b
    Examples:
      devlxdctl dump | jq -r '.config["user.role"]'
      devlxdctl dump --only config,state
    """
    return Document(options.client().dump(only=only))
