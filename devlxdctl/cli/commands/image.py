"""`image`: exporting images of the host."""

from __future__ import annotations

import sys

import click

from devlxdctl import BadData
from devlxdctl.cli.options import Command, Group, Options, complete_files
from devlxdctl.cli.output.progress import progress_bar
from devlxdctl.cli.output.render import Table
from devlxdctl.cli.output.stdio import OutputClosed, write_descriptor
from devlxdctl.cli.signals import raise_on_signals


@click.group(cls=Group)
def image() -> None:
    """Export images of the host.

    \b
    Example:
      devlxdctl image export FINGERPRINT
    """


@image.command(cls=Command)
@click.argument("fingerprint")
@click.option(
    "-o",
    "--output",
    metavar="DIR|FILE|-",
    shell_complete=complete_files,
    help="Directory, file, or - for stdout.  [default: current directory]",
)
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress bar.")
@click.pass_obj
def export(options: Options, fingerprint: str, output: str | None, force: bool, quiet: bool) -> Table | None:
    """Export an image and verify its fingerprint (SHA-256).

    The files appear in the current directory or in DIR once they are verified, under the names that the host
    gives. A unified image is one file, a split image two. A unified image can be written to FILE or to stdout
    instead. stdout gets the bytes before they are verified: do not use them if the exit status is not 0.

    \b
    Examples:
      devlxdctl image export "$fingerprint" -o /srv/images
      devlxdctl image export "$fingerprint" -o - | tar -xJ -C rootfs
    """
    from dataclasses import asdict

    if output == "":
        raise click.UsageError("-o: the file name is empty.")
    client = options.client()
    with raise_on_signals(), progress_bar(quiet) as progress:
        if output == "-":
            client.export_image(fingerprint, _Stdout(), progress=progress)
            return None
        found = client.export_image(fingerprint, output or "", overwrite=force, progress=progress)
    return Table(asdict(found), ("FILE", "SIZE"), [(file.path, str(file.size)) for file in found.files])


class _Stdout:
    """stdout, as a stream for `Client.export_image`."""

    def __init__(self) -> None:
        if sys.stdout is None:
            raise BadData("stdout", "is closed")
        if sys.stdout.isatty():
            raise click.UsageError("-o -: stdout is a terminal.")
        self._descriptor = sys.stdout.fileno()

    def write(self, data: bytes) -> None:
        try:
            write_descriptor(self._descriptor, data)
        except BrokenPipeError as error:
            raise OutputClosed from error
        except OSError as error:
            raise BadData.from_os_error("stdout", error, "cannot be written") from error
