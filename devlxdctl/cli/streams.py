"""stdout, which has the answer or nothing, and stderr for the rest: bytes, made harmless to a terminal."""

from __future__ import annotations

import codecs
import contextlib
import re
import sys
from collections.abc import Iterable

from devlxdctl.errors import BadData

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class ReaderGone(Exception):
    """Who read stdout has gone away: a quiet end."""


def stdout_descriptor() -> int | None:
    """The descriptor behind stdout, None where there is none."""
    try:
        return None if sys.stdout is None else sys.stdout.fileno()
    except OSError:
        return None


def write_stdout(data: bytes) -> None:
    """Writes and flushes. Raises `BadData` where it cannot, `ReaderGone` when nobody reads any more."""
    if not data:
        return
    try:
        if sys.stdout is None:
            raise BadData("stdout", "it is closed")
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        raise ReaderGone from error
    except OSError as error:
        raise BadData("stdout", (error.strerror or "cannot be written").lower()) from error


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


def say(line: str) -> None:
    """Writes a line to stderr, harmless to a terminal. Where stderr is closed, nobody can be told."""
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            sys.stderr.buffer.write(encode(clean(line) + "\n"))
            sys.stderr.flush()


def clean(text: str, keep: str = "") -> str:
    r"""`text` with its control characters, and bytes that are no UTF-8, as `\t`, `\n` and `\xNN`.

    `\xNN` is a byte of the UTF-8 form. The characters in `keep` stay.
    """

    def escape(match: re.Match[str]) -> str:
        character = match[0]
        if character in keep:
            return character
        short = {"\t": r"\t", "\n": r"\n"}.get(character)
        return short or "".join(rf"\x{byte:02x}" for byte in encode(character))

    return _CONTROL.sub(escape, text)


def encode(text: str) -> bytes:
    """`text` as UTF-8, with the bytes that were none as they came."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _write_stderr(data: bytes) -> None:
    # Where stderr is closed, nobody can be told.
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
