"""`devices`: what the host has plugged into the instance."""

from __future__ import annotations

import os

import click

from devlxdctl.cli import completion
from devlxdctl.cli.options import Command, Options
from devlxdctl.cli.render import Table, as_text
from devlxdctl.errors import NotFound
from devlxdctl.models import Device

HEADER = ("NAME", "TYPE", "INTERFACE", "OPTIONS")
_NET = "/sys/class/net"


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=completion.devices)
@click.option(
    "--type",
    "kind",
    metavar="TYPE",
    shell_complete=completion.device_types,
    help="Only devices of this type: nic, disk, …",
)
@click.pass_obj
def devices(options: Options, name: str | None, kind: str | None) -> Table:
    """Show the instance's devices, or the one called NAME.

    In text, a nic's third column is its network interface in the guest, found by its hardware address, or -
    where there is none.

    \b
    Example:
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
        return Table(found, HEADER, [row(each, device) for each, device in found.items()])
    if name not in found:
        why = "the instance has no such device" + (f" of type {kind}" if kind else "")
        raise NotFound(name, why, hint="devlxdctl devices")
    return Table(found[name], HEADER, [row(name, found[name])])


def row(name: str, device: Device) -> list[str]:
    """A device as the cells of its row."""
    rest = [f"{key}={as_text(value)}" for key, value in device.items() if key != "type"]
    kind = as_text(device.get("type", ""))
    return [name, kind, _interface(device) or "-" if kind == "nic" else "", *rest]


def _interface(device: Device) -> str | None:
    """The network interface with the nic's hardware address, as the kernel of the guest calls it.

    A bridge or VLAN on top shares the address of its nic: the name that the host gave goes first, then what
    has hardware behind it.
    """

    def address(interface: str) -> str:
        try:
            with open(f"{_NET}/{interface}/address", encoding="ascii") as file:
                return file.read().strip().lower()
        except OSError:  # renamed or unplugged since it was listed
            return ""

    wanted = as_text(device.get("hwaddr", "")).lower()
    try:
        interfaces = sorted(os.listdir(_NET)) if wanted else []
    except OSError:  # a guest without /sys
        interfaces = []
    candidates = [each for each in interfaces if address(each) == wanted]
    if device.get("name") in candidates:
        return device["name"]
    physical = [each for each in candidates if os.path.exists(f"{_NET}/{each}/device")]
    return next(iter(physical + candidates), None)
