"""`volume snapshot`: the snapshots of volumes."""

from __future__ import annotations

import click

from devlxdctl.cli import volume_parameters as parameters
from devlxdctl.cli.completion import values
from devlxdctl.cli.options import Group, Options
from devlxdctl.cli.output.render import Table
from devlxdctl.cli.output.volumes import details, volume_row, wait_for

_snapshot = click.argument("snapshot", shell_complete=values.snapshots)


@click.group(cls=Group)
def snapshot() -> None:
    """Manage the snapshots of a volume.

    \b
    Example:
      devlxdctl volume snapshot create default data
    """


@snapshot.command()
@parameters.pool
@parameters.volume
@parameters.target
@click.pass_obj
def ls(options: Options, pool: str, volume: str, target: str) -> Table:
    """List the snapshots of a volume, the oldest first.

    A line has the name, the size and the description.

    \b
    Example:
      devlxdctl volume snapshot ls default data
    """
    found = options.client().volume_snapshots(pool, volume, target=target)
    prefix = f"{volume}/"
    rows = [[each["name"].removeprefix(prefix), *volume_row(each)] for each in found]
    return Table(found, ("NAME", "SIZE", "DESCRIPTION"), rows)


@snapshot.command()
@parameters.pool
@parameters.volume
@_snapshot
@parameters.target
@click.pass_obj
def show(options: Options, pool: str, volume: str, snapshot: str, target: str) -> Table:
    """Print a snapshot.

    \b
    Example:
      devlxdctl volume snapshot show default data snap0
    """
    return details(options.client().volume_snapshot(pool, volume, snapshot, target=target))


@snapshot.command()
@parameters.pool
@parameters.volume
@click.argument("snapshot", required=False)
@parameters.description
@parameters.target
@parameters.timeout
@parameters.quiet
@click.pass_obj
def create(
    options: Options,
    *,
    pool: str,
    volume: str,
    snapshot: str | None,
    description: str | None,
    target: str,
    timeout: float | None,
    quiet: bool,
) -> Table:
    """Create a snapshot of a volume, and print it.

    Without SNAPSHOT the host chooses the name: snap0, snap1 and so on.

    \b
    Examples:
      devlxdctl volume snapshot create default data
      devlxdctl volume snapshot create default data "$(date +%F)"
    """
    operation = options.client().create_volume_snapshot(
        pool, volume, snapshot, description=description or "", target=target
    )
    return details(wait_for(operation, timeout, quiet))


@snapshot.command()
@parameters.pool
@parameters.volume
@_snapshot
@parameters.if_exists
@parameters.target
@parameters.timeout
@parameters.quiet
@click.pass_obj
def delete(
    options: Options,
    *,
    pool: str,
    volume: str,
    snapshot: str,
    if_exists: bool,
    target: str,
    timeout: float | None,
    quiet: bool,
) -> None:
    """Delete a snapshot of a volume.

    \b
    Example:
      devlxdctl volume snapshot delete default data snap0
    """
    operation = options.client().delete_volume_snapshot(
        pool, volume, snapshot, if_exists=if_exists, target=target
    )
    wait_for(operation, timeout, quiet)
