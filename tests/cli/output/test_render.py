"""`output.render`: tables and JSON on a terminal."""

from __future__ import annotations

from devlxdctl.simulator import Simulator
from tests.support.terminal import run_on_terminal, without_colors


def lines_on_terminal(*argv: str, simulator: Simulator, columns: int = 80) -> list[str]:
    """Return the lines of a command on a terminal, without colors and trailing spaces."""
    text = run_on_terminal(*argv, socket=simulator.path, columns=columns).text
    return [line.rstrip() for line in without_colors(text).splitlines()]


def test_table_has_a_header_and_values_are_cut_to_the_width(simulator: Simulator) -> None:
    assert lines_on_terminal("config", "ls", "-l", "user.*", simulator=simulator, columns=40) == [
        "KEY                     VALUE",
        "user.Quote's            it's \"$HOME\" `i…",
        r"user.motd               a\ttab,\na line…",
        "user.port               8080",
        "user.role               web",
        "user.with space/and%25  odd",
    ]


def test_table_has_a_bold_header_and_colored_names(simulator: Simulator) -> None:
    text = run_on_terminal("config", "ls", "-l", "user.*", socket=simulator.path).text
    assert "\x1b[1mKEY" in text
    assert "\x1b[36muser.role" in text


def test_names_are_folded_instead_of_cut(simulator: Simulator) -> None:
    key = "user." + "n" * 40
    simulator.set({"user.x": "", key: "v"})
    lines = lines_on_terminal("config", "ls", "user.n*", simulator=simulator, columns=30)
    assert "".join(lines) == f"KEY{key}"


def test_markup_of_rich_in_keys_and_values_is_printed_as_text(simulator: Simulator) -> None:
    simulator.set({"user.[red]": "[bold]x[/bold] [/dev/lxd/sock] :smile:"})
    lines = lines_on_terminal("config", "ls", "-l", "user.[[]red]", simulator=simulator)
    assert lines[1] == "user.[red]  [bold]x[/bold] [/dev/lxd/sock] :smile:"


def test_single_value_on_a_terminal_keeps_its_tabs_and_line_ends(simulator: Simulator) -> None:
    screen = run_on_terminal("config", "get", "user.motd", socket=simulator.path)
    assert screen == (0, "a\ttab,\na line, a \\ and \\x1b[31mred\\x1b[0m\n", b"")


def test_json_on_a_terminal_is_indented(simulator: Simulator) -> None:
    screen = run_on_terminal("config", "get", "user.role", "-f", "json", socket=simulator.path)
    assert without_colors(screen.text) == '{\n  "user.role": "web"\n}\n'
