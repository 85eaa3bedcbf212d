"""`ready`: reporting that the instance is Ready."""

from __future__ import annotations

import click

from devlxdctl import ExitStatus
from devlxdctl.cli.options import Command, Options, Seconds


@click.command(cls=Command)
@click.option("--unset", is_flag=True, help="Report that the instance is no longer Ready.")
@click.option("--check", is_flag=True, help="Exit with status 0 if the instance is Ready, 6 if not.")
@click.option("--hold", is_flag=True, help="Keep running and report Ready again whenever the host loses it.")
@click.option(
    "--interval",
    type=Seconds(0.1),
    metavar="SECONDS",
    default=10,
    show_default=True,
    help="Seconds between checks, with --hold.",
)
@click.pass_context
def ready(ctx: click.Context, unset: bool, check: bool, hold: bool, interval: float) -> None:
    """Report to the host that the instance is Ready.

    Exits with status 3 on a host that does not support readiness, even if it accepts the request. The host
    loses Ready when the instance or the daemon of the host restarts.

    \b
    Examples:
      devlxdctl ready
      devlxdctl ready --check || echo not yet
    """
    if unset + check + hold > 1:
        raise click.UsageError("--unset, --check and --hold cannot be combined.")
    client = ctx.ensure_object(Options).client()
    if hold:
        from devlxdctl.cli.memory import collect_garbage_often

        collect_garbage_often()
        client.hold_ready(interval=interval)
    if not check:
        client.set_ready(not unset)
    elif not client.is_ready():
        ctx.exit(ExitStatus.NOT_FOUND)
