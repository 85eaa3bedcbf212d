"""`query`: any request to the socket."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from devlxdctl.cli.options import Command, Options
from devlxdctl.cli.render import Raw
from devlxdctl.errors import BadData, DevLXDError, NotPermitted

if TYPE_CHECKING:
    from devlxdctl.query import Reply


@click.command(cls=Command)
@click.option("-X", "--request", "method", metavar="METHOD", help="Default: GET, or POST with -d.")
@click.option("-d", "--data", metavar="DATA|@FILE|@-", help="The body: as given, a file's, or from stdin.")
@click.option("-H", "--header", "headers", metavar="HEADER", multiple=True, help="NAME: VALUE; repeatable.")
@click.option("-i", "--include", is_flag=True, help="The status line and the headers too.")
@click.argument("path")
@click.pass_obj
def query(
    options: Options,
    *,
    method: str | None,
    data: str | None,
    headers: tuple[str, ...],
    include: bool,
    path: str,
) -> Raw:
    """Send any request to the host.

    PATH and all else go out as they are given, and the answer is shown as it comes.
    The body of an answer other than 2xx goes to stderr, unless -i is given. A 404 ends with 6.
    Only a GET is tried again while the host restarts. There is no limit of silence.

    \b
    Example:
      devlxdctl query /1.0
      devlxdctl query -X PATCH -d '{"state":"Ready"}' /1.0
      devlxdctl query -i '/1.0/operations/ID/wait?timeout=10'
    """
    from devlxdctl.query import Query

    pairs = [_header(text) for text in headers]
    body = None if data is None else _body(data)
    if method is None:
        method = "GET" if data is None else "POST"
    asked = Query(method, path, pairs, body)
    reply = options.client().query(asked)
    refused = reply.refused()
    return Raw(_shown(reply, include, refused), error=refused is not None and not include)


def _shown(reply: Reply, include: bool, refused: DevLXDError | None) -> Iterator[bytes]:
    with reply:
        if include:
            yield reply.head()
        yield from reply.chunks()
    if refused is not None:
        raise refused


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise click.BadParameter("it is NAME: VALUE", param_hint="'-H' / '--header'")
    return name, value.strip(" \t")


def _body(data: str) -> bytes | BinaryIO:
    if not data.startswith("@"):
        return os.fsencode(data)
    if data == "@-" and sys.stdin is None:
        raise BadData("stdin", "it is closed")
    try:
        # Open until this program ends, and unbuffered, since it may be a pipe.
        return cast(BinaryIO, open(0 if data == "@-" else data[1:], "rb", buffering=0))
    except PermissionError as error:
        raise NotPermitted(data[1:], "permission denied") from error
    except OSError as error:
        raise BadData(data[1:], (error.strerror or "cannot be read").lower()) from error
