"""`volume`: the storage volumes that the identity of the bearer token owns."""

from __future__ import annotations

from collections.abc import Iterator

import click

from devlxdctl.cli import volume_parameters as parameters
from devlxdctl.cli.completion import values
from devlxdctl.cli.lazy import LazyCommands
from devlxdctl.cli.options import Assignment, Group, Options, Size, unique_assignments
from devlxdctl.cli.output.devices import DEVICE_HEADER, device_row
from devlxdctl.cli.output.render import Table
from devlxdctl.cli.output.volumes import details, volume_row, wait_for

_HEADER = ("NAME", "TYPE", "SIZE", "DESCRIPTION")

_instance = click.option(
    "--instance", metavar="NAME", help="Another instance that the token may edit.  [default: this one]"
)
_size = click.option("--size", type=Size(), metavar="SIZE", help="Size, such as 10GiB or 500MB.")


@click.group(cls=Group, commands=LazyCommands({"snapshot": "volume_snapshot.snapshot"}))
def volume() -> None:
    """Manage storage volumes.

    Needs LXD 6.6 or later on the host, and a bearer token. POOL is a storage pool of the host. The volumes
    are the custom volumes in it that the identity of the token created.

    \b
    Examples:
      devlxdctl volume create default data --size 10GiB
      devlxdctl volume attach default data /srv/data
    """


@volume.command()
@parameters.pool
@parameters.target
@click.pass_obj
def ls(options: Options, pool: str, target: str) -> Table:
    """List the volumes in a pool.

    A line has the name, the content type (filesystem or block), the size and the description.

    \b
    Examples:
      devlxdctl volume ls default
      devlxdctl -f json volume ls default | jq -r '.[].name'
    """
    client = options.client()
    found = client.volumes(pool, target=target)

    def rows() -> Iterator[list[str]]:
        # Only for text: the list of the host has no content types.
        unknown = [volume["name"] for volume in found if not volume.get("content_type")]
        types = client.volume_content_types(pool, unknown, target=target)
        for each in found:
            content_type = each.get("content_type") or types.get(each["name"], "")
            yield [each["name"], content_type, *volume_row(each)]

    return Table(found, _HEADER, rows())


@volume.command()
@parameters.pool
@parameters.volume
@parameters.target
@click.pass_obj
def show(options: Options, pool: str, volume: str, target: str) -> Table:
    """Print a volume.

    \b
    Example:
      devlxdctl volume show default data
    """
    return details(options.client().volume(pool, volume, target=target))


@volume.command()
@parameters.pool
@parameters.volume
@_size
@click.option("--block", is_flag=True, help="Create a block device instead of a file system.")
@parameters.description
@click.option(
    "--config",
    "config",
    type=Assignment(),
    metavar="KEY=VALUE",
    multiple=True,
    help="Config key and value of the volume; repeatable.",
)
@click.option("--from", "source", metavar="SOURCE", help="Copy this: [POOL/]VOLUME[/SNAPSHOT].")
@click.option("--if-missing", is_flag=True, help="Accept a volume that exists already, unchanged.")
@parameters.target
@parameters.timeout
@parameters.quiet
@click.pass_obj
def create(
    options: Options,
    *,
    pool: str,
    volume: str,
    size: str | None,
    block: bool,
    description: str | None,
    config: tuple[tuple[str, str], ...],
    source: str | None,
    if_missing: bool,
    target: str,
    timeout: float | None,
    quiet: bool,
) -> Table:
    """Create a volume, wait until it is complete, and print it.

    An interrupt does not stop the host: it completes the volume. A copy has the content of its source, with
    its snapshots, but not its config. If SOURCE is A/B, it is the snapshot B of the volume A in POOL, or the
    volume B in the pool A, whichever exists. /A/B is always that snapshot, and A/B/ always that volume.

    \b
    Examples:
      devlxdctl volume create default data --size 10GiB
      devlxdctl volume create default disk --size 10GiB --block --if-missing
      devlxdctl volume create default copy --from data/snap0
    """
    operation = options.client().create_volume(
        pool,
        volume,
        size=size,
        block=block,
        description=description or "",
        config=unique_assignments(config),
        source=source,
        if_missing=if_missing,
        target=target,
    )
    return details(wait_for(operation, timeout, quiet))


@volume.command("set")
@parameters.pool
@parameters.volume
@click.argument("config", metavar="[KEY=VALUE]...", nargs=-1, type=Assignment())
@_size
@parameters.description
@parameters.target
@parameters.timeout
@parameters.quiet
@click.pass_obj
def set_(
    options: Options,
    *,
    pool: str,
    volume: str,
    config: tuple[tuple[str, str], ...],
    size: str | None,
    description: str | None,
    target: str,
    timeout: float | None,
    quiet: bool,
) -> Table:
    """Change the config or description of a volume, and print it.

    KEY= unsets KEY. Exits with status 8 if another program changes the same key at the same time.

    \b
    Examples:
      devlxdctl volume set default data --size 20GiB
      devlxdctl volume set default data user.owner=web --description DB
    """
    if not config and size is None and description is None:
        raise click.UsageError("Missing KEY=VALUE, --size or --description.")
    operation = options.client().set_volume(
        pool, volume, size=size, description=description, config=unique_assignments(config), target=target
    )
    return details(wait_for(operation, timeout, quiet))


@volume.command()
@parameters.pool
@parameters.volume
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
    if_exists: bool,
    target: str,
    timeout: float | None,
    quiet: bool,
) -> None:
    """Delete a volume and its snapshots.

    The volume must not be attached to an instance.

    \b
    Example:
      devlxdctl volume detach data && devlxdctl volume delete default data
    """
    operation = options.client().delete_volume(pool, volume, if_exists=if_exists, target=target)
    wait_for(operation, timeout, quiet)


@volume.command()
@parameters.pool
@parameters.volume
@click.argument("path", required=False)
@click.option("--device", metavar="NAME", help="Name of the device.  [default: name of the volume]")
@click.option(
    "--option",
    "device_options",
    type=Assignment(),
    metavar="KEY=VALUE",
    multiple=True,
    help="Option of the device, such as readonly=true; repeatable.",
)
@_instance
@parameters.timeout
@click.pass_obj
def attach(
    options: Options,
    *,
    pool: str,
    volume: str,
    path: str | None,
    device: str | None,
    device_options: tuple[tuple[str, str], ...],
    instance: str | None,
    timeout: float | None,
) -> Table:
    """Attach a volume to this instance, and print the device.

    PATH is where the file system is mounted; a block volume has none. Waits until the host lists the device.
    Exits with status 0 if it is attached in the same way already, and with 8 if there is another device of
    that name.

    \b
    Examples:
      devlxdctl volume attach default data /srv/data
      devlxdctl volume attach default disk && devlxdctl wait device disk --path
    """
    name = volume if device is None else device
    found = options.client().attach_volume(
        *(pool, volume, path),
        device=device,
        options=unique_assignments(device_options),
        instance=instance,
        timeout=timeout,
    )
    return Table(found, DEVICE_HEADER, [device_row(name, found)])


@volume.command()
@click.argument("device", shell_complete=values.disks)
@_instance
@parameters.timeout
@click.pass_obj
def detach(options: Options, device: str, instance: str | None, timeout: float | None) -> None:
    """Detach a volume from this instance.

    DEVICE is the name of a device that was attached with the same token. Unmount a block device first.

    \b
    Example:
      devlxdctl volume detach data
    """
    options.client().detach_volume(device, instance=instance, timeout=timeout)
