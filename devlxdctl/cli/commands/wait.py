"""`wait`: waiting for a condition, without missing a change."""

from __future__ import annotations

import click

from devlxdctl.cli.completion import values
from devlxdctl.cli.options import Group, Options, Seconds
from devlxdctl.cli.output.devices import DEVICE_HEADER, device_row
from devlxdctl.cli.output.render import Table, Value

_timeout = click.option(
    "--timeout",
    type=Seconds(),
    metavar="SECONDS",
    help="Exit with status 124 after SECONDS; 0 checks once.",
)


@click.group(cls=Group)
def wait() -> None:
    """Wait for a condition.

    \b
    Example:
      devlxdctl wait host --timeout 30
    """


@wait.command()
@_timeout
@click.pass_obj
def host(options: Options, timeout: float | None) -> None:
    """Wait until the host responds.

    \b
    Example:
      devlxdctl wait host --timeout 30 && devlxdctl config get user.role
    """
    options.client().wait_for_host(timeout=options.wait if timeout is None else timeout)


@wait.command()
@click.argument("key", shell_complete=values.key)
@click.argument("value", required=False)
@click.option("--gone", is_flag=True, help="Wait until the key is not set.")
@_timeout
@click.pass_obj
def config(options: Options, key: str, value: str | None, gone: bool, timeout: float | None) -> Value:
    """Wait until a config key is set, and print its value.

    With VALUE, wait until the key is set to that value.

    \b
    Examples:
      devlxdctl wait config user.deploy go --timeout 600 && ./deploy
      devlxdctl wait config user.maintenance --gone
    """
    if gone and value is not None:
        raise click.UsageError("--gone cannot be combined with VALUE.")
    found = options.client().wait_for_config(key, value, gone=gone, timeout=timeout)
    return Value({"key": key, "value": found}, found or "", newline=not gone)


@wait.command()
@click.argument("name", shell_complete=values.devices)
@click.option("--gone", is_flag=True, help="Wait until the device does not exist.")
@click.option("--path", "node", is_flag=True, help="Wait for the node in the guest, and print only that.")
@_timeout
@click.pass_obj
def device(options: Options, name: str, gone: bool, node: bool, timeout: float | None) -> Table | Value:
    """Wait until a device exists, and print it.

    With --path, wait until the kernel of the guest has it, and print only its node: see `devlxdctl devices
    --help`.

    \b
    Examples:
      devlxdctl wait device data --timeout 60 && mount /data
      disk=$(devlxdctl wait device disk --path --timeout 60) && mkfs.ext4 "$disk"
    """
    if node:
        if gone:
            raise click.UsageError("--path cannot be combined with --gone.")
        path = options.client().wait_for_node(name, timeout=timeout)
        return Value(path, path)
    found = options.client().wait_for_device(name, gone=gone, timeout=timeout)
    return Table(found, DEVICE_HEADER, [] if found is None else [device_row(name, found)])
