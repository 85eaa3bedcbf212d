"""`query`: a raw request."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from devlxdctl import BadData, DevLXDError, NotFound, PermissionDenied
from devlxdctl.cli.options import Command, Options
from devlxdctl.cli.output.render import Raw, Value
from devlxdctl.cli.output.stdio import print_error, write_raw

if TYPE_CHECKING:
    from devlxdctl import RawResponse


_VERSION_LIST_SIZE = 16  # bytes, more than the list of versions has


@click.command(cls=Command)
@click.option("-X", "--request", "method", metavar="METHOD", help="Method.  [default: GET, or POST with -d]")
@click.option(
    "-d", "--data", metavar="DATA|@FILE|@-", help="Body: the text DATA, or the content of FILE or stdin."
)
@click.option(
    "-H", "--header", "headers", metavar="HEADER", multiple=True, help="Header as NAME: VALUE; repeatable."
)
@click.option("-i", "--include", is_flag=True, help="Print the status line and the headers, too.")
@click.option("--header-out", metavar="NAME", help="Print this header of the response instead of the body.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.pass_obj
def query(
    options: Options,
    *,
    method: str | None,
    data: str | None,
    headers: tuple[str, ...],
    include: bool,
    header_out: str | None,
    paths: tuple[str, ...],
) -> Raw | Value:
    """Send a raw request to the host.

    PATH, headers and body are sent unchanged, and the response is printed unchanged. Without -i, the body of
    a response other than 2xx goes to stderr. Status 404 exits with 6, and so does --header-out if the
    response does not have that header. Only a GET is retried while the host restarts, unless its path ends
    in /wait. There is no read timeout.

    With several paths, the requests follow each other, and their bodies are printed with nothing between
    them. The first error ends the command.

    \b
    Examples:
      devlxdctl query /1.0
      devlxdctl query /1.0 /1.0/devices | jq -s add
      devlxdctl query -X PATCH -d '{"state":"Ready"}' /1.0
      devlxdctl query -i '/1.0/operations/ID/wait?timeout=10'
      devlxdctl query --header-out ETag /1.0/storage-pools/default
    """
    if len(paths) > 1 and (include or header_out is not None or data is not None):
        raise click.UsageError("-i, -d and --header-out take one PATH.")
    pairs = [_parse_header(text) for text in headers]
    body = None if data is None else _open_body(data)
    if method is None:
        method = "GET" if data is None else "POST"
    client = options.client()
    for path in paths[:-1]:
        response = client.request(method, path, headers=pairs)
        error = response.error()
        write_raw(_chunks(response, path, include, error), to_stderr=error is not None)
    response = client.request(method, paths[-1], headers=pairs, body=body)
    error = response.error()
    if header_out is not None and error is None:
        return _header(response, header_out)
    return Raw(_chunks(response, paths[-1], include, error), is_error=error is not None and not include)


def _header(response: RawResponse, name: str) -> Value:
    with response:
        for each, value in response.headers:
            if each.lower() == name.lower():
                # The library decodes each byte to one character.
                text = value.encode("latin-1").decode("utf-8", "surrogateescape")
                return Value(text, text)
    raise NotFound(name, "no such header in the response")


def _chunks(response: RawResponse, path: str, include: bool, error: DevLXDError | None) -> Iterator[bytes]:
    start = b""
    with response:
        if include:
            yield response.head()
        for chunk in response.chunks():
            start = (start + chunk)[:_VERSION_LIST_SIZE]
            yield chunk
    if error is not None:
        raise error
    if path != "/" and start.strip() == b'["/1.0"]':
        print_error(f"devlxdctl: {path}: LXD 6 sends this list of versions for paths that it does not have")


def _parse_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise click.BadParameter("expected NAME: VALUE", param_hint="'-H' / '--header'")
    return name, value.strip(" \t")


def _open_body(data: str) -> bytes | BinaryIO:
    if not data.startswith("@"):
        return os.fsencode(data)
    if data == "@-" and sys.stdin is None:
        raise BadData("stdin", "is closed")
    try:
        # Open until the end of this program, and unbuffered, since it can be a pipe.
        return cast(BinaryIO, open(0 if data == "@-" else data[1:], "rb", buffering=0))
    except PermissionError as error:
        raise PermissionDenied(data[1:], "permission denied") from error
    except OSError as error:
        raise BadData.from_os_error(data[1:], error, "cannot be read") from error
