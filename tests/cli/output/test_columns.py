"""`output.tables.Columns`: rows that arrive one by one, in columns of a terminal."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from devlxdctl.cli.output.tables import Columns

WATCH = ("ACTION", "KEY", "VALUE", "OLD VALUE")
EVENTS = ("TIME", "TYPE", "ACTION", "NAME", "VALUE")
TIME = "2026-11-26T12:00:00.123456789Z"

texts = st.text(st.characters(exclude_categories=["C", "M", "Z"]) | st.sampled_from("web漢字"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(texts.map(lambda text: text[:6]), texts, texts), min_size=1, max_size=5))
@pytest.mark.parametrize("width", [40, 80, 132])
def test_no_row_is_wider_than_the_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch, rows: list[tuple[str, str, str]]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    columns = Columns(WATCH)
    for key, value, old in rows:
        lines = columns.format(("changed", key, value, old)).split("\n")
        assert [line for line in lines if cell_len(line) > width] == []


def test_column_becomes_wider_for_a_longer_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    columns = Columns(WATCH)
    assert columns.format(("initial", "user.a", "1", "")) == (
        f"{'ACTION':7}  {'KEY':24}  {'VALUE':41}  OLD VALUE\n{'initial':7}  {'user.a':24}  1\n"
    )
    key = "user." + "k" * 25
    assert columns.format(("added", key, "2", "")) == f"{'added':7}  {key}  2\n"
    assert columns.format(("changed", "user.a", "3", "1")) == f"{'changed':7}  {'user.a':30}  {'3':38}  1\n"


def test_very_long_key_is_whole_and_leaves_the_column_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    columns = Columns(WATCH)
    key = "user." + "k" * 100
    assert columns.format(("initial", key, "1", "")).endswith(f"\ninitial  {key}  1\n")
    assert columns.format(("initial", "user.a", "1", "")) == f"initial  {'user.a':26}  1\n"


@pytest.mark.parametrize(("width", "time"), [("40", "12:00:00"), ("80", "2026-11-26T12:00:00Z")])
def test_time_has_no_date_on_a_narrow_terminal(
    width: str, time: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    row = Columns(EVENTS).format((TIME, "config", "removed", "a", "", "web")).split("\n")[1]
    assert row.startswith(f"{time}  config  removed  a ")
    assert row.endswith("-  web")


def test_control_characters_and_backslashes_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert Columns(()).format(("a\x1b[2J", "b\\\n")) == "a\\x1b[2J  b\\\\\\n\n"
