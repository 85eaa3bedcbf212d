"""Programs and shells on a pseudo-terminal, as a person who types sees them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, TypeVar

import pytest

from tests.support.program import PROGRAM, REPOSITORY

PROMPT: Final = b"ready> "
_TIMEOUT: Final = 20.0
_T = TypeVar("_T", bound="Terminal")

# The program is started at a TAB only. When the line is entered, its words are printed instead.
_STAND_IN = """#!/bin/sh
[ -z "$_DEVLXDCTL_COMPLETE" ] || exec {program} "$@"
printf '\\n<<'
for word; do printf '[%s]' "$word"; done
printf '>>\\n'
"""

_SETTINGS = {
    "bash": (
        "rc",
        "PS1='ready> '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'\n"
        "bind 'set completion-query-items 0'; bind 'set page-completions off'\n"
        ". {completions}/devlxdctl.bash\n",
        ["--rcfile", "{home}/rc", "-i"],
    ),
    "zsh": (
        ".zshrc",
        "PS1='ready> '; unsetopt beep prompt_cr prompt_sp; unset zle_bracketed_paste\n"
        "LISTMAX=0; fpath=({completions} $fpath); autoload -U compinit; compinit -u -D\n",
        ["-i"],
    ),
    "fish": (
        "fish/config.fish",
        "function fish_prompt; echo -n 'ready> '; end\nfunction fish_greeting; end\n"
        "set -p fish_complete_path {completions}\nset -g fish_autosuggestion_enabled 0\n",
        ["-i"],
    ),
}


class Terminal:
    """A program on its own pseudo-terminal, which is so wide that it wraps no line a test looks for."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path = Path("/")) -> None:
        """Start the program and wait for its prompt."""
        self.screen = b""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            try:
                os.chdir(cwd)
                os.execvpe(argv[0], list(argv), env)
            finally:
                os._exit(127)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 500, 0, 0))
        self.until(re.escape(PROMPT))

    def __enter__(self: _T) -> _T:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)

    def type(self, keys: str) -> None:
        """Type these keys."""
        os.write(self._terminal, keys.encode())

    def until(self, pattern: bytes) -> re.Match[bytes]:
        """Read until the screen matches `pattern`, and remove everything up to the end of the match.

        Raises `TimeoutError` after 20 seconds.
        """
        deadline = time.monotonic() + _TIMEOUT
        while (found := re.search(pattern, self.screen, re.DOTALL)) is None:
            ready, _, _ = select.select([self._terminal], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"no {pattern!r} after {_TIMEOUT:g} s: {self.screen!r}")
            self.screen += os.read(self._terminal, 65536)
        self.screen = self.screen[found.end() :]
        return found

    def run(self, line: str) -> str:
        """Enter a line and return what is printed from its echo to the next prompt."""
        self.type(line + "\r")
        self.until(rb"\r\n")
        return self.until(rb"(.*?)" + re.escape(PROMPT))[1].decode().replace("\r\n", "\n")

    def words(self, keys: str) -> str:
        """Enter a line and return the arguments that `devlxdctl` gets, such as `[config][get]`."""
        self.type(keys + "\r")
        found = self.until(rb"<<(.*?)>>")[1].decode()
        self.until(re.escape(PROMPT))
        return found


class Shell(Terminal):
    """A shell with the completions of this checkout: bash, zsh or fish. Skips the test without that shell."""

    def __init__(self, name: str, home: Path, program: str, env: Mapping[str, str]) -> None:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed: make hosts")
        file, text, argv = _SETTINGS[name]
        (home / file).parent.mkdir(exist_ok=True)
        (home / file).write_text(text.format(completions=REPOSITORY / "completions"))
        (home / "bin").mkdir()
        (home / "bin" / "devlxdctl").write_text(_STAND_IN.format(program=program))
        (home / "bin" / "devlxdctl").chmod(0o755)
        environment = {
            "HOME": str(home),
            "ZDOTDIR": str(home),
            "XDG_CONFIG_HOME": str(home),
            "XDG_DATA_HOME": str(home),
            "PATH": f"{home}/bin:{os.defpath}",
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            **env,
        }
        super().__init__([path, *(word.format(home=home) for word in argv)], environment, home)


class Screen(NamedTuple):
    """How a program on a terminal ended, what it wrote to the terminal, and what to a piped stdout."""

    status: int
    text: str
    stdout: bytes


def run_on_terminal(
    *argv: str | Path,
    socket: Path | str,
    columns: int = 80,
    env: Mapping[str, str] | None = None,
    pipe_stdout: bool = False,
) -> Screen:
    """Run the installed `devlxdctl` with a terminal as its stdin, stdout and stderr.

    With `pipe_stdout`, stdout is a pipe.
    """
    environment = {"DEVLXD_SOCKET": str(socket), **(env or {})}
    return program_on_terminal([PROGRAM, *argv], columns=columns, env=environment, pipe_stdout=pipe_stdout)


def program_on_terminal(
    argv: Sequence[str | Path],
    *,
    columns: int = 80,
    env: Mapping[str, str] | None = None,
    pipe_stdout: bool = False,
) -> Screen:
    """Run a program with a terminal. The line ends of the terminal are newlines in `text`."""
    terminal, other_end = pty.openpty()
    environment = {"TERM": "xterm", "COLUMNS": str(columns), **(env or {})}
    written = b""
    try:
        with subprocess.Popen(
            argv,
            stdin=other_end,
            stdout=subprocess.PIPE if pipe_stdout else other_end,
            stderr=other_end,
            env=environment,
        ) as program:
            os.close(other_end)
            try:
                while chunk := os.read(terminal, 65536):
                    written += chunk
            except OSError:  # EIO, when the last writer has closed the terminal
                pass
            stdout = program.stdout.read() if program.stdout is not None else b""
            status = program.wait(30)
    finally:
        os.close(terminal)
    return Screen(status, written.decode().replace("\r\n", "\n"), stdout)


def without_colors(text: str) -> str:
    """Return `text` without the escape sequences that set colors and styles."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def main() -> None:
    """`python -m tests.support.terminal SHELL KEYS...`: print the arguments after these keys."""
    import tempfile

    name, *lines = sys.argv[1:]
    env = {key: value for key, value in os.environ.items() if key.startswith("DEVLXD_")}
    with (
        tempfile.TemporaryDirectory() as home,
        Shell(name, Path(home), f"{sys.prefix}/bin/devlxdctl", env) as shell,
    ):
        for line in lines:
            print(f"{name}: {line!r} -> {shell.words(line.encode().decode('unicode_escape'))}")


if __name__ == "__main__":
    main()
