"""stdout for results and stderr for everything else: bytes, without control characters on a terminal."""

from __future__ import annotations

import codecs
import contextlib
import functools
import os
import re
import select
import sys
from collections.abc import Iterable
from typing import IO, Final

from devlxdctl import BadData
from devlxdctl.cli.output.colors import paint_message, uses_color

# Patterns and no compiled expressions: each start would compile them, and most need neither.

CONTROL_CHARACTERS: Final = "[\x00-\x1f\x7f-\x9f\ud800-\udfff]"
"""A pattern for C0, DEL and C1, and the surrogates that stand for bytes that are not UTF-8."""

UNSAFE_CHARACTERS: Final = (
    CONTROL_CHARACTERS[:-1] + "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
"""A pattern for those, and the characters that are invisible or change the direction of text around them."""


class OutputClosed(Exception):
    """The reader of stdout has closed it."""


def stdout_descriptor() -> int | None:
    """Return the descriptor of stdout, None if it is closed."""
    try:
        return None if sys.stdout is None else sys.stdout.fileno()
    except OSError:
        return None


def write_stdout(data: bytes) -> None:
    """Write all of `data` at once. Raises `BadData` if that fails, `OutputClosed` if the reader has gone."""
    if not data:
        return
    if sys.stdout is None:
        raise BadData("stdout", "is closed")
    try:
        _write_all(sys.stdout, data)
    except BrokenPipeError as error:
        raise OutputClosed from error
    except OSError as error:
        raise BadData.from_os_error("stdout", error, "cannot be written") from error


def write_raw(chunks: Iterable[bytes], to_stderr: bool) -> None:
    """Write each of `chunks` at once. Add a final newline on a terminal and on stderr."""
    stream = sys.stderr if to_stderr else sys.stdout
    is_terminal = stream is not None and stream.isatty()
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    write = write_stderr if to_stderr else write_stdout
    last = b"\n"

    def write_part(chunk: bytes, is_end: bool = False) -> None:
        nonlocal last
        data = chunk
        if is_terminal:
            # The lines of an HTTP head end with CR and LF.
            text = decode(chunk, is_end).replace("\r\n", "\n")
            data = escape(text, keep="\t\n").encode("utf-8", "surrogateescape")
        write(data)
        last = data[-1:] or last

    try:
        for chunk in chunks:
            write_part(chunk)
    finally:
        write_part(b"", is_end=True)  # the beginning of a character that is not complete
        if last != b"\n" and (is_terminal or to_stderr):
            write(b"\n")


def print_error(line: str, meaning: str = "error") -> None:
    """Write a line to stderr, with control characters escaped. Does nothing where stderr is closed.

    `meaning` decides on the color of `devlxdctl:` at its start.
    """
    safe = escape(line)
    write_stderr(encode((paint_message(safe, meaning) if uses_color(sys.stderr) else safe) + "\n"))


def escape(text: str, keep: str = "", characters: str = UNSAFE_CHARACTERS) -> str:
    r"""Return `text` with `characters` as `\t`, `\n` and `\xNN`, a byte of the UTF-8 form.

    The characters in `keep` stay.
    """
    if re.search(characters, text) is None:
        return text
    return text.translate(_escapes(keep, characters))


class _Escapes(dict[int, str]):
    """Escaped characters by code point, each made when it is needed.

    `str.translate` with it is several times as fast as `re.sub` with a function, and needs less memory.
    """

    def __init__(self, keep: str, characters: str) -> None:
        super().__init__()
        self._keep = keep
        self._characters = characters

    def __missing__(self, code: int) -> str:
        text = character = chr(code)
        if character not in self._keep and re.fullmatch(self._characters, character):
            short = {"\t": r"\t", "\n": r"\n"}.get(character)
            text = short or "".join(rf"\x{byte:02x}" for byte in encode(character))
        self[code] = text
        return text


_escapes = functools.cache(_Escapes)


def encode(text: str) -> bytes:
    """Return `text` as UTF-8; bytes that were not UTF-8 stay as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def write_descriptor(descriptor: int, data: bytes) -> None:
    """Write all of `data` to `descriptor`, and wait where it is non-blocking and full."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()


def _write_all(stream: IO[str], data: bytes) -> None:
    """Write and flush. Buffered and raw streams both can write only a part, as with PYTHONUNBUFFERED."""
    try:
        descriptor = stream.fileno()
    except OSError:  # not a file, as in Click's test runner
        stream.buffer.write(data)  # type: ignore[attr-defined]
        stream.flush()
        return
    stream.flush()
    write_descriptor(descriptor, data)


def write_stderr(data: bytes) -> None:
    """Write all of `data` at once. Does nothing where stderr is closed."""
    # There is no place to report that stderr cannot be written.
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            _write_all(sys.stderr, data)
