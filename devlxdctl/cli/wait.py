"""`wait`: until something holds."""

from __future__ import annotations

import math

import click

from devlxdctl.cli.options import Group, Options, Seconds


@click.group(cls=Group)
def wait() -> None:
    """Wait until something holds.

    \b
    Example:
      devlxdctl wait host --timeout 30
    """


@wait.command()
@click.option("--timeout", type=Seconds(), help="Give up after so long, with status 124; 0 looks once.")
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
