"""`output.colors`: colors by meaning on a terminal, and nowhere else."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devlxdctl.cli.output.colors import STYLES, paint_json
from devlxdctl.simulator import Simulator
from tests.cli.background import wait_for_listeners, wait_for_read
from tests.support.program import Result, run
from tests.support.raw_host import RawHost, response
from tests.support.terminal import Screen, run_on_terminal, without_colors

BOLD, DIM, RED, GREEN, YELLOW, CYAN = (f"\x1b[{code}m" for code in ("1", "2", "1;31", "32", "33", "36"))
END = "\x1b[0m"
ERROR = f"{RED}devlxdctl:{END} user.rol: not set on this instance\n{CYAN}hint:{END} did you mean user.role?\n"
FORCED = {"FORCE_COLOR": "1"}


def test_errors_and_hints_begin_in_color_on_a_terminal(simulator: Simulator) -> None:
    assert run_on_terminal("config", "get", "user.rol", socket=simulator.path) == Screen(6, ERROR, b"")


def test_usage_errors_have_the_same_colors(simulator: Simulator) -> None:
    screen = run_on_terminal("state", "--formt", "json", socket=simulator.path)
    assert screen == Screen(
        2,
        f"{RED}devlxdctl:{END} state: no such option --formt\n{CYAN}hint:{END} did you mean --format?\n",
        b"",
    )


def test_logged_requests_are_dim_and_no_errors(simulator: Simulator) -> None:
    screen = run_on_terminal("-v", "ready", socket=simulator.path)
    lines = screen.text.splitlines()
    assert lines
    assert [line for line in lines if not line.startswith(f"{DIM}devlxdctl:{END} ")] == []


def test_help_has_bold_headings_and_terms_in_color(simulator: Simulator) -> None:
    lines = run_on_terminal("state", "--help", socket=simulator.path).text.splitlines()
    assert lines[0] == f"{BOLD}Usage:{END} devlxdctl state [OPTIONS] [FIELD]"
    assert f"{BOLD}  Examples:{END}" in lines
    assert "    devlxdctl state location" in lines
    assert f"{BOLD}Common options:{END}" in lines
    assert f"  {CYAN}-h, --help{END}              Print this help and exit." in lines


def test_help_of_a_group_without_command_has_colors_too(simulator: Simulator) -> None:
    screen = run_on_terminal("config", socket=simulator.path)
    assert screen == run_on_terminal("config", "--help", socket=simulator.path)._replace(status=2)
    assert f"\n  {CYAN}get{END} " in screen.text


def test_doctor_has_a_mark_and_a_color_for_each_status(socket_directory: Path) -> None:
    (socket_directory / "lxd").mkdir()
    (socket_directory / "token").write_text("unknown")
    with Simulator(socket_directory / "lxd" / "sock") as simulator:
        argv = ["doctor", "--token-file", str(socket_directory / "token")]
        screen = run_on_terminal(*argv, socket=simulator.path, columns=200)
    lines = {line.split()[2]: line for line in screen.text.splitlines()}
    assert re.fullmatch(re.escape(f"{GREEN}✓ ok{END}    connection  accepted") + " *", lines["connection"])
    assert lines["volumes"].startswith(f"{DIM}- skip{END}  volumes     {DIM}")
    assert lines["token"].startswith(f"{RED}✗ fail{END}  token       the host does not know it")
    fix = without_colors(screen.text).splitlines()
    assert any(line.startswith(" " * 20 + "fix: the bearer token has expired") for line in fix)


def test_ready_is_green(simulator: Simulator) -> None:
    assert f"{GREEN}Started" not in run_on_terminal("state", socket=simulator.path).text
    assert run("ready", socket=simulator.path).status == 0
    assert f"{GREEN}Ready" in run_on_terminal("state", socket=simulator.path).text


DOCUMENT = {"text": 'a "quoted" {1: true}', "list": [1, -2.5e10, True, False, None], "empty": {}}


def test_json_on_a_terminal_has_colors_by_type(socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", response(json.dumps(DOCUMENT).encode())) as host:
        text = run_on_terminal("-f", "json", "state", socket=host.path).text
    assert without_colors(text) == json.dumps(DOCUMENT, indent=2) + "\n"
    assert text.splitlines()[1:5] == [
        f'  {CYAN}"text"{END}: {GREEN}"a \\"quoted\\" {{1: true}}"{END},',
        f'  {CYAN}"list"{END}: [',
        "    \x1b[35m1\x1b[0m,",
        "    \x1b[35m-25000000000.0\x1b[0m,",
    ]


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_colors_change_nothing_else_in_json(data: object) -> None:
    for text in (json.dumps(data), json.dumps({"a": data, "1": [data]}, indent=2)):
        assert without_colors(paint_json(text)) == text


def test_watch_has_a_header_and_columns_on_a_terminal(simulator: Simulator) -> None:
    with ThreadPoolExecutor(1) as pool:
        argv = ["config", "watch", "user.ro*", "--count", "3"]
        with wait_for_read(simulator, "user.role"):
            watching = pool.submit(run_on_terminal, *argv, socket=simulator.path)
        with wait_for_read(simulator, "user.role"):
            simulator.set({"user.role": "db"})
        with wait_for_read(simulator, "user.role"):
            simulator.unset("user.role")
        simulator.set({"user.role": "w" * 60})
        screen = watching.result(60)
    name = f"{CYAN}user.role               {END}"
    assert screen.text.splitlines() == [
        f"{BOLD}ACTION   KEY                       VALUE                  OLD VALUE{END}",
        f"{DIM}initial{END}  {name}  web",
        f"{YELLOW}changed{END}  {name}  db                     web",
        f"\x1b[31mremoved{END}  {name}                         db",
        f"{GREEN}added  {END}  {name}  {'w' * 44}…",
    ]


def test_events_have_a_header_and_columns_on_a_terminal(simulator: Simulator) -> None:
    with ThreadPoolExecutor(1) as pool:
        listening = pool.submit(run_on_terminal, "events", "--count", "2", socket=simulator.path)
        wait_for_listeners(simulator)
        simulator.set({"user.role": "db"})
        simulator.device("gone", {"type": "none", "user.x": "1"})
        screen = listening.result(60)
    lines = [re.sub(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", line) for line in screen.text.splitlines()]
    assert lines == [
        f"{BOLD}TIME                  TYPE    ACTION   NAME              VALUE{END}",
        f"{DIM}TIME{END}  config  {YELLOW}changed{END}  {CYAN}user.role       {END}  db  web",
        f"{DIM}TIME{END}  device  {GREEN}added  {END}  {CYAN}gone            {END}  type=none  user.x=1",
    ]


COMMANDS = [["state"], ["doctor"], ["-f", "json", "state"], ["config", "get", "user.rol"], ["--help"]]


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"NO_COLOR": "1", **FORCED}])
@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_terminal_gets_no_escape_sequence_where_colors_are_off(
    argv: list[str], env: dict[str, str], simulator: Simulator
) -> None:
    assert "\x1b" not in run_on_terminal(*argv, socket=simulator.path, env=env).text


def test_force_color_wins_over_a_dumb_terminal(simulator: Simulator) -> None:
    env = {"TERM": "dumb", **FORCED}
    assert run_on_terminal("config", "get", "user.rol", socket=simulator.path, env=env).text == ERROR
    assert BOLD in run_on_terminal("state", socket=simulator.path, env=env).text


@pytest.mark.parametrize("argv", [["state"], ["doctor"], ["-f", "json", "config", "ls", "-l"], ["dump"]])
def test_force_color_does_not_change_results_off_a_terminal(argv: list[str], simulator: Simulator) -> None:
    result = run(*argv, socket=simulator.path)
    assert result.stdout and b"\x1b" not in result.stdout
    assert run(*argv, socket=simulator.path, env=FORCED) == result


def test_force_color_colors_errors_and_help_off_a_terminal(simulator: Simulator) -> None:
    argv = ["config", "get", "user.rol"]
    plain = without_colors(ERROR).encode()
    assert run(*argv, socket=simulator.path) == Result(6, b"", plain)
    assert run(*argv, socket=simulator.path, env=FORCED) == Result(6, b"", ERROR.encode())
    help_text = run("state", "--help", env=FORCED)
    assert help_text.stdout.decode().startswith(f"{BOLD}Usage:{END} ")
    assert without_colors(help_text.stdout.decode()).encode() == run("state", "--help").stdout


def test_progress_bar_has_no_color_of_errors(socket_directory: Path) -> None:
    guest = socket_directory / "guest.yaml"
    guest.write_text("config: {security.devlxd.images: 'true'}\nsimulator: {images: [{size: 30MB}]}\n")
    with Simulator(socket_directory / "sock", guest) as simulator:
        fingerprint = simulator.show()["images"][0]["fingerprint"]
        argv = ["image", "export", fingerprint, "-o", str(socket_directory)]
        text = run_on_terminal(*argv, socket=simulator.path, pipe_stdout=True).text
    assert "MB" in text
    assert set(re.findall(r"\x1b\[([\d;]*)m", text)) <= {"0", "2", "36"}
    assert STYLES["progress"] == "cyan"
