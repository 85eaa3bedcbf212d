"""`image`: the images that the host lets this guest have."""

from __future__ import annotations

import os
import sys

import click

from devlxdctl.cli.options import Command, Group, Options, complete_files
from devlxdctl.cli.progress import progress_bar
from devlxdctl.cli.render import Table
from devlxdctl.cli.signals import cleaning_up
from devlxdctl.cli.streams import ReaderGone
from devlxdctl.errors import BadData


@click.group(cls=Group)
def image() -> None:
    """Get images from the host.

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
    help="Where it goes; - is standard output.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.pass_obj
def export(options: Options, fingerprint: str, output: str | None, force: bool, quiet: bool) -> Table | None:
    """Export an image of the host, verified: the SHA-256 of what comes is its FINGERPRINT.

    Its one file, or the two of a split image, appear in the directory at hand or in DIR, under the host's
    names for them, once they are verified. A unified image can become FILE instead, or go to standard output:
    there its bytes are out before they are verified, and only the status tells, 8 for bad ones.

    \b
    Example:
      devlxdctl image export "$fingerprint" -o /srv/images
      devlxdctl image export "$fingerprint" -o - | tar -xJ -C rootfs
    """
    from dataclasses import asdict

    if output == "":
        raise click.UsageError("-o: the name is empty.")
    client = options.client()
    with cleaning_up(), progress_bar(quiet) as progress:
        if output == "-":
            client.image_export(fingerprint, _Stdout(), progress=progress)
            return None
        found = client.image_export(fingerprint, output or "", overwrite=force, progress=progress)
    return Table(asdict(found), ("FILE", "SIZE"), [(file.path, str(file.size)) for file in found.files])


class _Stdout:
    """Standard output for bytes that are too many to be returned."""

    def __init__(self) -> None:
        if sys.stdout is None:
            raise BadData("stdout", "it is closed")
        if sys.stdout.isatty():
            raise click.UsageError("-o -: standard output is a terminal.")
        self._file = sys.stdout.fileno()

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except BrokenPipeError as error:
            raise ReaderGone from error
        except OSError as error:
            raise BadData("stdout", (error.strerror or "cannot be written").lower()) from error
