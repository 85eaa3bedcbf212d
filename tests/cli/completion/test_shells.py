"""`completion.shells`: completion in real shells on a terminal, and the command that prints the scripts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.support.program import PROGRAM, REPOSITORY, Result, failure, run
from tests.support.terminal import Shell

SHELLS = ("bash", "zsh", "fish")
KEYS = (
    *("user.role", "user.colon:ed", "user.eq=ual", "user.sp ace", "user.do$lar*", "user.quo'te", "user.ünï☃"),
    *("user.li\nne", "user.esc\x1b[31m"),
)
_ATTEMPTS = 10


@pytest.fixture
def simulator(socket_directory: Path) -> Iterator[Simulator]:
    """LXD 6 with keys that shells could misread."""
    with Simulator(socket_directory / "sock") as simulator:
        simulator.set({"user.domain": "", **dict.fromkeys(KEYS, "1")})
        simulator.device("data", {"type": "disk", "path": "/data"})
        simulator.device("eth0", {"type": "nic"})
        simulator.device("odd", {"type": "teapot"})
        yield simulator


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path, simulator: Simulator) -> Iterator[Shell]:
    """Each shell in turn, with the completions of this checkout."""
    with Shell(request.param, tmp_path, PROGRAM, {"DEVLXD_SOCKET": str(simulator.path)}) as shell:
        yield shell


def assert_completes(shell: Shell, keys: str, words: str) -> None:
    """Assert that the shell passes these words to the program after these keys.

    On a busy machine the time of a completion can run out, and it completes nothing: so this is repeated.
    """
    seen: list[str] = []
    while words not in seen and len(seen) < _ATTEMPTS:
        seen.append(shell.words(keys))
    assert seen[-1] == words, seen


def test_shell_completes_commands_options_keys_devices_and_types(shell: Shell) -> None:
    for keys, words in (
        ("conf\tge\tuser.r\t", "[config][get][user.role]"),
        ("config watch user.r\t", "[config][watch][user.role]"),
        ("wait conf\tuser.r\t", "[wait][config][user.role]"),
        ("config ls --val\t user.r\t", "[config][ls][--values][user.role]"),
        ("devices e\t", "[devices][eth0]"),
        ("wait device da\t", "[wait][device][data]"),
        ("devices --type tea\t", "[devices][--type][teapot]"),
        ("devices --type=infi\t", "[devices][--type=infiniband]"),
        ("events --type dev\t", "[events][--type][device]"),
        ("events --type config,d\t", "[events][--type][config,device]"),
        ("--form\tjs\tstate loc\t", "[--format][json][state][location]"),
        ("help exit\t", "[help][exit-codes]"),
        ("config get none\t", "[config][get][none]"),
    ):
        assert_completes(shell, f"devlxdctl {keys}", words)


def test_shell_completes_keys_with_characters_that_it_interprets(shell: Shell) -> None:
    for keys, key in (
        ("user.co\t", "user.colon:ed"),
        ("user.colon:e\t", "user.colon:ed"),
        ("user.eq=\t", "user.eq=ual"),
        ("user.sp\t", "user.sp ace"),
        ("'user.sp\t", "user.sp ace"),
        ('"user.sp\t', "user.sp ace"),
        ("user.do\t", "user.do$lar*"),
        ("user.quo\t", "user.quo'te"),
        ("user.ü\t", "user.ünï☃"),
    ):
        assert_completes(shell, f"devlxdctl config get {keys}", f"[config][get][{key}]")


def test_shell_does_not_complete_keys_with_control_characters(shell: Shell) -> None:
    for keys in ("user.li", "user.es"):
        assert shell.words(f"devlxdctl config get {keys}\t") == f"[config][get][{keys}]"


def test_shell_completes_file_names_of_options(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a token").touch()
    assert shell.words("devlxdctl --token-file a\\ to\t state") == "[--token-file][a token][state]"


def test_shell_lists_several_completions(shell: Shell) -> None:
    for attempt in range(_ATTEMPTS):
        shell.type("devlxdctl devices \t\t")
        try:
            shell.until(rb"(?=.*data)(?=.*eth0)(?=.*odd)")
            return
        except TimeoutError:
            if attempt == _ATTEMPTS - 1:
                raise
            shell.type("\x15")  # deletes the line


@pytest.mark.parametrize("name", SHELLS)
def test_completion_prints_the_script_that_packages_install(name: str) -> None:
    file = {"bash": "devlxdctl.bash", "zsh": "_devlxdctl", "fish": "devlxdctl.fish"}[name]
    script = (REPOSITORY / "completions" / file).read_bytes()
    assert run("completion", name, env={"DEVLXD_SOCKET": "/nowhere"}) == Result(0, script, b"")


def test_completion_script_of_bash_is_sourced_as_its_help_says() -> None:
    command = f'source <("{PROGRAM}" completion bash) && complete -p devlxdctl'
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.strip().endswith(b" devlxdctl")


def test_completion_for_an_unknown_shell_is_a_usage_error() -> None:
    error = "completion: invalid value for 'bash|zsh|fish': 'csh' is not one of 'bash', 'zsh', 'fish'"
    assert run("completion", "csh") == failure(2, error, "see the help: devlxdctl completion --help")
