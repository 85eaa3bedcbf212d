"""Escaping for pipes and terminals: tables can be read back, and control characters are never printed."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from devlxdctl.cli.output.render import Table, tab_separated
from devlxdctl.cli.output.stdio import escape
from tests.support.strategies import decoded_texts


def unescape(cell: bytes) -> bytes:
    """Replace the escape sequences `\\t`, `\\n`, `\\\\` and `\\xNN` by what they stand for."""

    def replacement(match: re.Match[bytes]) -> bytes:
        short = {b"t": b"\t", b"n": b"\n", b"\\": b"\\"}.get(match[1])
        return bytes([int(match[2], 16)]) if short is None else short

    return re.sub(rb"\\(t|n|\\|x([0-9a-f]{2}))", replacement, cell)


@given(st.lists(st.lists(decoded_texts, min_size=2, max_size=2), max_size=4))
def test_tab_separated_table_can_be_read_back(rows: list[list[str]]) -> None:
    written = tab_separated(Table(None, ("A", "B"), rows)).encode("utf-8")
    assert re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", written) is None
    lines = written.split(b"\n")[:-1]
    found = [[unescape(cell) for cell in line.split(b"\t")] for line in lines]
    assert found == [[cell.encode("utf-8", "surrogateescape") for cell in row] for row in rows]


@given(st.text() | decoded_texts)
def test_escaped_text_has_no_control_characters_except_those_to_keep(text: str) -> None:
    assert re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", escape(text)) is None
    assert re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", escape(text, keep="\t\n")) is None
