"""`config watch`: changes of config keys as they happen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from devlxdctl.cli.arguments import RunningCommand, given_command, patterns_argument
from devlxdctl.cli.memory import collect_garbage_often
from devlxdctl.cli.options import Count, Options, Seconds
from devlxdctl.cli.output.render import Line, Lines
from devlxdctl.cli.output.stdio import stdout_descriptor

if TYPE_CHECKING:
    from devlxdctl import Change


@click.command(cls=RunningCommand)
@patterns_argument
@click.option("--batch", is_flag=True, help="Run CMD once for all changes of an update.")
@click.option("--changes-only", is_flag=True, help="Leave out the initial values.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
@click.option("--count", type=Count(), metavar="N", help="Exit after N changes.")
@click.option(
    "--interval",
    type=Seconds(),
    metavar="SECONDS",
    default=60,
    show_default=True,
    help="Seconds between full re-reads; 0 disables them.",
)
@click.pass_context
def watch(
    ctx: click.Context,
    patterns: tuple[str, ...],
    batch: bool,
    changes_only: bool,
    quiet: bool,
    count: int | None,
    interval: float,
) -> Lines:
    """Print config keys with their values, then each change.

    A line has the action (initial, added, changed, removed), the key, its value and its old value. No change
    is missed while the host is unavailable.

    CMD is run for each line, and the next line is printed when it has ended. It gets the value on its
    standard input, and DEVLXD_KEY, DEVLXD_ACTION, DEVLXD_VALUE and DEVLXD_OLD_VALUE in its environment.
    Values with a NUL byte or larger than 128 KiB are not in the environment. With --batch, CMD is run once
    for all changes of an update, and gets them on its standard input, as lines of JSON.

    \b
    Examples:
      devlxdctl config watch 'user.*'
      devlxdctl config watch user.domain --changes-only -- systemctl reload nginx
    """
    command = given_command(ctx)
    if batch and not command:
        raise click.UsageError("--batch needs -- CMD.")
    client = ctx.ensure_object(Options).client()
    output = stdout_descriptor()
    collect_garbage_often()
    if batch:
        bursts = client.watch_bursts(*patterns, optional=True, interval=interval or None, output_fd=output)
        groups: Iterator[Sequence[Change[str]]] = (burst.changes for burst in bursts)
    else:
        changes = client.watch_config(*patterns, interval=interval or None, output_fd=output)
        groups = ((change,) for change in changes)
    if changes_only:
        groups = ([change for change in group if change.action != "initial"] for group in groups)
    header = ("ACTION", "KEY", "VALUE", "OLD VALUE")
    return Lines(_lines(groups, command, batch, quiet, count), header)


def _lines(
    groups: Iterator[Sequence[Change[str]]], command: list[str], batch: bool, quiet: bool, count: int | None
) -> Iterator[Line]:
    from devlxdctl.cli.hooks import change_json, run_batch, run_hook

    seen = 0
    for changes in groups:
        if not quiet:
            for change in changes:
                yield Line(partial(change_json, change), partial(_cells, change))
        if batch and changes:
            run_batch(command, changes)
        elif command and changes:
            run_hook(command, changes[0])
        seen += sum(change.action != "initial" for change in changes)
        if count is not None and seen >= count:
            return


def _cells(change: Change[str]) -> Sequence[str]:
    return (change.action, change.key, change.value or "", change.old_value or "")
