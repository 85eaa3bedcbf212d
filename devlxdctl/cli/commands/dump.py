"""`dump`: everything in one document."""

from __future__ import annotations

from typing import Any

import click

from devlxdctl import DUMP_PARTS
from devlxdctl.cli.completion import values
from devlxdctl.cli.options import Command, Options
from devlxdctl.cli.output.render import Document


class _Parts(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of Click only
    """Parts of the document, separated by commas."""

    name = "parts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        parts = value.split(",") if isinstance(value, str) else list(value)
        for part in parts:
            if part not in DUMP_PARTS:
                self.fail(f"{part!r} is not a part of the document: {', '.join(DUMP_PARTS)}", param, ctx)
        return parts


@click.command(cls=Command)
@click.option(
    "--only",
    type=_Parts(),
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
