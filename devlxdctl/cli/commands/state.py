"""`state`: the instance as the host sees it."""

from __future__ import annotations

import click

from devlxdctl import NotFound
from devlxdctl.cli.completion import values
from devlxdctl.cli.options import Command, Options
from devlxdctl.cli.output.render import Table, Value, as_text


@click.command(cls=Command)
@click.argument("field", required=False, shell_complete=values.fields)
@click.pass_obj
def state(options: Options, field: str | None) -> Value | Table:
    """Print the instance's state, or one field of it.

    Fields are state (Started or Ready), instance_type (container or virtual-machine), location (the name of
    the host or cluster member), and others that depend on the host.

    \b
    Examples:
      devlxdctl state
      devlxdctl state location
    """
    found = options.client().state()
    if field is None:
        rows = [(name, as_text(value)) for name, value in found.items()]
        return Table(found, ("FIELD", "VALUE"), rows, styles={"Ready": "ok"})
    if field not in found:
        raise NotFound(field, "no such field in the state", hint=f"choose one of: {', '.join(found)}")
    value = found[field]  # type: ignore[literal-required]  # any field that the host sends
    return Value(value, as_text(value))
