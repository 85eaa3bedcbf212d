"""`pro`: attaching the guest to the Ubuntu Pro of its host."""

from __future__ import annotations

import click

from devlxdctl.cli.options import Group, Options, complete_files
from devlxdctl.cli.render import Bare, Table, as_text, rendered
from devlxdctl.cli.signals import cleaning_up
from devlxdctl.files import NewFiles


@click.group(cls=Group)
def pro() -> None:
    """Attach this guest to Ubuntu Pro through its host.

    \b
    Example:
      devlxdctl pro status
      devlxdctl pro token --raw -o /run/pro-token
    """


@pro.command()
@click.pass_obj
def status(options: Options) -> Table:
    """Show whether the host lets this guest be attached: off, available or on.

    \b
    Example:
      devlxdctl pro status
    """
    found = options.client().pro_settings()
    return Table(found, ("FIELD", "VALUE"), [(name, as_text(value)) for name, value in found.items()])


@pro.command()
@click.option("--raw", is_flag=True, help="The token alone.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=complete_files,
    help="Make a new FILE of mode 0600, and print nothing.",
)
@click.pass_obj
def token(options: Options, raw: bool, output: str | None) -> Bare | Table | None:
    """Get a new token to attach this guest with, a secret.

    With -o it goes into a FILE that must not exist yet, and appears there when it is whole.

    \b
    Example:
      devlxdctl pro token
      devlxdctl pro token --raw -o /run/pro-token
    """
    if output is None:
        return _shown(options, raw)
    with cleaning_up(), NewFiles(overwrite=None, secret=True) as new:
        # Made before the host issues a token: where it cannot be, none is asked for.
        file = new.add(output)
        file.write(rendered(_shown(options, raw), as_json=options.format == "json"))
        new.appear()
    return None


def _shown(options: Options, raw: bool) -> Bare | Table:
    found = options.client().pro_token()
    if raw:
        return Bare(found["guest_token"], found["guest_token"])
    return Table(found, ("FIELD", "VALUE"), [(name, as_text(value)) for name, value in found.items()])
