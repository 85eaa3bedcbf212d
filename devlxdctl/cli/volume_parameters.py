"""Arguments and options that several commands of `volume` have."""

from __future__ import annotations

import click

from devlxdctl.cli.completion import values
from devlxdctl.cli.options import Seconds

pool = click.argument("pool", shell_complete=values.pools)
volume = click.argument("volume", shell_complete=values.volumes)
target = click.option("--target", metavar="MEMBER", default="", help="Cluster member that has the volume.")
timeout = click.option(
    "--timeout", type=Seconds(), metavar="SECONDS", help="Exit with status 124 after SECONDS."
)
quiet = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
description = click.option("--description", metavar="TEXT", help="Description.")
if_exists = click.option("--if-exists", is_flag=True, help="Accept that it does not exist.")
