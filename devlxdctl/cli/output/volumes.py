"""Printing volumes and snapshots, and waiting for their operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from devlxdctl.cli.output.progress import progress_line
from devlxdctl.cli.output.render import Table, as_text
from devlxdctl.cli.output.stdio import print_error
from devlxdctl.cli.signals import Interrupted, raise_on_signals

if TYPE_CHECKING:
    from devlxdctl import Operation, StorageVolume, VolumeSnapshot

_T = TypeVar("_T")


def wait_for(operation: Operation[_T], timeout: float | None, quiet: bool) -> _T:
    """Wait for an operation. An interrupt leaves it running, with its ID on stderr."""
    try:
        with raise_on_signals(), progress_line(f"{operation.subject}: waiting for the host", quiet):
            return operation.wait(timeout)
    except Interrupted:
        if not operation.done:
            print_error(f"devlxdctl: {operation.subject}: operation {operation.id} continues on the host")
            print_error(f"hint: {operation.hint}")
        raise


def volume_row(found: StorageVolume | VolumeSnapshot) -> list[str]:
    """Return size and description, the last cells of a row."""
    config: Any = found.get("config")
    size = config.get("size", "") if isinstance(config, dict) else ""
    return [as_text(size), as_text(found.get("description", ""))]


def details(found: StorageVolume | VolumeSnapshot) -> Table:
    """The fields of an object, and each key of its config, as rows."""
    rows: list[tuple[str, str]] = []
    for name, value in found.items():
        if name == "config" and isinstance(value, dict):
            rows += [(f"config.{key}", as_text(each)) for key, each in value.items()]
        else:
            rows.append((name, as_text(value)))
    return Table(found, ("FIELD", "VALUE"), rows)
