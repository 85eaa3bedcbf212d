"""The row of a device, for the commands that print devices."""

from __future__ import annotations

from collections.abc import Collection

from devlxdctl import Device, find_node
from devlxdctl.cli.output.render import as_text

DEVICE_HEADER = ("NAME", "TYPE", "NODE", "OPTIONS")


def device_row(name: str, device: Device, names: Collection[str] = ()) -> list[str]:
    """Return a device as the cells of its row. `names` are the names of all devices of the instance."""
    rest = [f"{key}={as_text(value)}" for key, value in device.items() if key != "type"]
    return [name, as_text(device.get("type", "")), find_node(name, device, names=names) or "-", *rest]
