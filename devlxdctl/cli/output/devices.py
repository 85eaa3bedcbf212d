"""A device as a row of a table."""

from __future__ import annotations

from devlxdctl import Device, find_interface
from devlxdctl.cli.output.render import as_text

DEVICE_HEADER = ("NAME", "TYPE", "INTERFACE", "OPTIONS")


def device_row(name: str, device: Device) -> list[str]:
    """Return a device as the cells of its row."""
    rest = [f"{key}={as_text(value)}" for key, value in device.items() if key != "type"]
    kind = as_text(device.get("type", ""))
    return [name, kind, find_interface(device) or "-" if kind == "nic" else "", *rest]
