"""`versions`, `state`, `ready`: the instance as its host sees it."""

from __future__ import annotations

import click

from devlxdctl.cli import completion
from devlxdctl.cli.options import Command, Options, Seconds
from devlxdctl.cli.render import Bare, Table, as_text
from devlxdctl.errors import ExitStatus, NotFound


@click.command(cls=Command)
@click.pass_obj
def versions(options: Options) -> Table:
    """Show the versions of the API that the host offers.

    \b
    Example:
      devlxdctl versions
    """
    found = options.client().versions()
    return Table(found, ("VERSION",), [(version,) for version in found])


@click.command(cls=Command)
@click.argument("field", required=False, shell_complete=completion.fields)
@click.pass_obj
def state(options: Options, field: str | None) -> Bare | Table:
    """Show the instance's state, or one FIELD of it.

    \b
    Example:
      devlxdctl state
      devlxdctl state location
    """
    found = options.client().state()
    if field is None:
        return Table(found, ("FIELD", "VALUE"), [(name, as_text(value)) for name, value in found.items()])
    if field not in found:
        raise NotFound(field, "the host's state has no such field", hint=f"it has: {', '.join(found)}")
    value = found[field]  # type: ignore[literal-required]  # any field that the host sends can be asked for
    return Bare(value, as_text(value))


@click.command(cls=Command)
@click.option("--unset", is_flag=True, help="Say that the instance is not ready any more.")
@click.option("--check", is_flag=True, help="Change nothing: end with 0 if it is Ready, with 6 if not.")
@click.option("--hold", is_flag=True, help="Stay, and tell it again whenever the host has forgotten.")
@click.option(
    "--interval", type=Seconds(0.1), default=10, show_default=True, help="Look so often, with --hold."
)
@click.pass_context
def ready(ctx: click.Context, unset: bool, check: bool, hold: bool, interval: float) -> None:
    """Tell the host that the instance is Ready.

    Ends with 3 on a host that knows no readiness, even where it says yes.
    The host forgets it when the instance or the host's daemon restarts.

    \b
    Example:
      devlxdctl ready
      devlxdctl ready --check || echo not yet
    """
    if unset + check + hold > 1:
        raise click.UsageError("--unset, --check and --hold exclude each other.")
    client = ctx.ensure_object(Options).client()
    if hold:
        from devlxdctl.watch import hold_ready

        hold_ready(client, interval)
    if not check:
        client.set_ready(not unset)
    elif not client.is_ready():
        ctx.exit(ExitStatus.NOT_FOUND)
