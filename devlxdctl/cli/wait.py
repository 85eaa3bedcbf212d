"""`wait`: until something holds, seen from the host, with no change missed on the way."""

from __future__ import annotations

import math

import click

from devlxdctl.cli import completion
from devlxdctl.cli.devices import HEADER, row
from devlxdctl.cli.options import Group, Options, Seconds
from devlxdctl.cli.render import Bare, Table

_gone = click.option("--gone", is_flag=True, help="Wait until it is not there.")
_timeout = click.option(
    "--timeout", type=Seconds(), help="Give up after so long, with status 124; 0 looks once."
)


@click.group(cls=Group)
def wait() -> None:
    """Wait until something holds.

    \b
    Example:
      devlxdctl wait host --timeout 30
    """


@wait.command()
@_timeout
@click.pass_obj
def host(options: Options, timeout: float | None) -> None:
    """Wait until the host answers.

    \b
    Example:
      devlxdctl wait host --timeout 30 && devlxdctl config get user.role
    """
    if timeout is None:
        timeout = math.inf if options.wait is None else options.wait
    options.client(wait=timeout).state()


@wait.command()
@click.argument("key", shell_complete=completion.key)
@click.argument("value", required=False)
@_gone
@_timeout
@click.pass_obj
def config(options: Options, key: str, value: str | None, gone: bool, timeout: float | None) -> Bare:
    """Wait until KEY is set, or is set to VALUE, and show its value.

    \b
    Example:
      devlxdctl wait config user.deploy go --timeout 600 && ./deploy
      devlxdctl wait config user.maintenance --gone
    """
    from devlxdctl.watch import wait_config

    if gone and value is not None:
        raise click.UsageError("--gone takes no VALUE.")
    found = wait_config(options.client(), key, value, gone, timeout)
    return Bare({"key": key, "value": found}, found or "", newline=not gone)


@wait.command()
@click.argument("name", shell_complete=completion.devices)
@_gone
@_timeout
@click.pass_obj
def device(options: Options, name: str, gone: bool, timeout: float | None) -> Table:
    """Wait until there is a device NAME, and show it.

    \b
    Example:
      devlxdctl wait device data --timeout 60 && mount /data
    """
    from devlxdctl.watch import wait_device

    found = wait_device(options.client(), name, gone, timeout)
    return Table(found, HEADER, [] if found is None else [row(name, found)])
