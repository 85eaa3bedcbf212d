"""`metadata` and `dump`: what cloud-init reads, and everything that can be read in one document."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from devlxdctl.cli.options import Command, Options
from devlxdctl.cli.render import Bare, Document
from devlxdctl.errors import NotSupported

_T = TypeVar("_T")


@click.command(cls=Command)
@click.pass_obj
def metadata(options: Options) -> Bare:
    """Show the instance's meta-data.

    It is YAML, as the host wrote it for cloud-init.

    \b
    Example:
      devlxdctl metadata
    """
    text = options.client().metadata()
    return Bare(text, text, newline=False)


@click.command(cls=Command)
@click.pass_obj
def dump(options: Options) -> Document:
    """Show all that can be read, as one JSON.

    It holds versions, state, config, devices and metadata, null for what the host does not offer.
    A part that the host forbids is an error.

    \b
    Example:
      devlxdctl dump | jq -r '.config["user.role"]'
    """
    client = options.client()
    return Document(
        {
            "versions": _or_null(client.versions),
            "state": _or_null(client.state),
            "config": _or_null(client.config),
            "devices": _or_null(client.devices),
            "metadata": _or_null(client.metadata),
        }
    )


def _or_null(read: Callable[[], _T]) -> _T | None:
    try:
        return read()
    except NotSupported:
        return None
