"""`pro`: attaching the guest to the Ubuntu Pro subscription of its host."""

from __future__ import annotations

import click

from devlxdctl import AtomicFiles
from devlxdctl.cli.options import Group, Options, complete_files
from devlxdctl.cli.output.render import Table, Value, as_text, format_output
from devlxdctl.cli.signals import raise_on_signals


@click.group(cls=Group)
def pro() -> None:
    """Attach this guest to Ubuntu Pro through its host.

    \b
    Examples:
      devlxdctl pro status
      devlxdctl pro token --raw -o /run/pro-token
    """


@pro.command()
@click.pass_obj
def status(options: Options) -> Table:
    """Print whether this guest may attach: off, available or on.

    With on, the Ubuntu Pro client of the guest attaches by itself. With available, it attaches on request.

    \b
    Example:
      devlxdctl pro status
    """
    found = options.client().pro_status()
    return Table(found, ("FIELD", "VALUE"), [(name, as_text(value)) for name, value in found.items()])


@pro.command()
@click.option("--raw", is_flag=True, help="Print only the token.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=complete_files,
    help="Create FILE with mode 0600, and print nothing.",
)
@click.pass_obj
def token(options: Options, raw: bool, output: str | None) -> Value | Table | None:
    """Get a new secret token to attach this guest.

    Each call makes the host issue a new token. With -o, FILE must not exist yet. It appears once it is
    complete.

    \b
    Examples:
      devlxdctl pro token
      devlxdctl pro token --raw -o /run/pro-token
    """
    if output is None:
        return _request_token(options, raw)
    with raise_on_signals(), AtomicFiles(overwrite=None, secret=True) as files:
        # Created before the host issues a token: if that fails, no token is requested.
        file = files.add(output)
        file.write(format_output(_request_token(options, raw), as_json=options.format == "json"))
        files.publish()
    return None


def _request_token(options: Options, raw: bool) -> Value | Table:
    found = options.client().pro_token()
    if raw:
        return Value(found["guest_token"], found["guest_token"])
    return Table(found, ("FIELD", "VALUE"), [(name, as_text(value)) for name, value in found.items()])
