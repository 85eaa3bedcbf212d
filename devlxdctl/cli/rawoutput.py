"""Bytes that are passed on as they come, made harmless where a terminal shows them."""

from __future__ import annotations

import codecs
import contextlib
import sys
from collections.abc import Iterable

from devlxdctl.cli.render import clean, write_stdout


def write_raw(chunks: Iterable[bytes], to_stderr: bool) -> None:
    """Writes each of `chunks` at once. Lines end before what else is to come on a terminal, or on stderr."""
    stream = sys.stderr if to_stderr else sys.stdout
    terminal = stream is not None and stream.isatty()
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    write = _write_stderr if to_stderr else write_stdout
    last = b"\n"
    try:
        for chunk in chunks:
            shown = chunk
            if terminal:
                # The lines of an HTTP head end with CR and LF.
                text = decode(chunk).replace("\r\n", "\n")
                shown = clean(text, keep="\t\n").encode("utf-8", "surrogateescape")
            write(shown)
            last = shown[-1:] or last
    finally:
        if last != b"\n" and (terminal or to_stderr):
            write(b"\n")


def _write_stderr(data: bytes) -> None:
    # Where stderr is closed, nobody can be told.
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
