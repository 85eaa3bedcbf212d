"""`devices`: the devices of the instance."""

from __future__ import annotations

import click

from devlxdctl import NotFound
from devlxdctl.cli.completion import values
from devlxdctl.cli.options import Command, Options
from devlxdctl.cli.output.devices import DEVICE_HEADER, device_row
from devlxdctl.cli.output.render import Table


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=values.devices)
@click.option(
    "--type",
    "kind",
    metavar="TYPE",
    shell_complete=values.device_types,
    help="Only devices of this type: nic, disk, …",
)
@click.pass_obj
def devices(options: Options, name: str | None, kind: str | None) -> Table:
    """Print the instance's devices, or one of them.

    In text, the third column of a nic is its network interface in the guest, found by its hardware address,
    or - without one.

    \b
    Examples:
      devlxdctl devices
      devlxdctl devices eth0
      devlxdctl devices --type disk
    """
    found = {
        each: device
        for each, device in options.client().devices().items()
        if kind is None or device.get("type") == kind
    }
    if name is None:
        return Table(found, DEVICE_HEADER, [device_row(each, device) for each, device in found.items()])
    if name not in found:
        problem = "no such device" + (f" of type {kind}" if kind else "")
        raise NotFound(name, problem, hint="list the devices: devlxdctl devices")
    return Table(found[name], DEVICE_HEADER, [device_row(name, found[name])])
