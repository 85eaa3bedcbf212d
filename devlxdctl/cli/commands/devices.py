"""`devices`: the devices of the instance."""

from __future__ import annotations

import click

from devlxdctl import NotFound, find_node
from devlxdctl.cli.completion import values
from devlxdctl.cli.options import Command, Options, suggestion
from devlxdctl.cli.output.devices import DEVICE_HEADER, device_row
from devlxdctl.cli.output.render import Table, Value, as_text


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=values.devices)
@click.argument("field", required=False, shell_complete=values.device_fields)
@click.option(
    "--type",
    "kind",
    metavar="TYPE",
    shell_complete=values.device_types,
    help="Only devices of this type: nic, disk, …",
)
@click.option("--path", "only_node", is_flag=True, help="Print only the node of the device in the guest.")
@click.pass_obj
def devices(
    options: Options, name: str | None, field: str | None, kind: str | None, only_node: bool
) -> Table | Value:
    """Print the instance's devices, or one of them.

    In text, the third column is the node of the device in the guest, or - without one: the network interface
    of a nic, the block device of a disk in a virtual machine, the path of a unix-char or unix-block device.
    With FIELD, print the value of one option.

    \b
    Examples:
      devlxdctl devices
      devlxdctl devices --type disk
      devlxdctl devices eth0 hwaddr
      devlxdctl devices data --path
    """
    if only_node and (name is None or field is not None):
        raise click.UsageError("--path needs NAME, and cannot be combined with FIELD.")
    everything = options.client().devices()
    found = {
        each: device for each, device in everything.items() if kind is None or device.get("type") == kind
    }
    if name is None:
        rows = [device_row(each, device, everything) for each, device in found.items()]
        return Table(found, DEVICE_HEADER, rows)
    if name not in found:
        problem = "no such device" + (f" of type {kind}" if kind else "")
        raise NotFound(name, problem, hint="list the devices: devlxdctl devices")
    device = found[name]
    if only_node:
        node = find_node(name, device, names=everything)
        if node is None:
            raise NotFound(name, "device has no node in this guest")
        return Value(node, node)
    if field is None:
        return Table(device, DEVICE_HEADER, [device_row(name, device, everything)])
    if field not in device:
        hint = suggestion(field, list(device)) or f"list the options: devlxdctl devices {name}"
        raise NotFound(field, "no such option of this device", hint=hint)
    return Value(device[field], as_text(device[field]))
