"""A real shell at a real terminal, with the completions of this checkout, as somebody who types sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROMPT = b"ready> "
_LIMIT = 20.0
_T = TypeVar("_T", bound="Terminal")

# At a TAB, the program. At the end of a line, what the line's words were.
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
    """A program at a terminal of its own, wide enough that no line is broken where a test looks for it."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path = Path("/")) -> None:
        """Starts it and waits for its prompt."""
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
        """Presses these keys."""
        os.write(self._terminal, keys.encode())

    def until(self, pattern: bytes) -> re.Match[bytes]:
        """Reads until the screen shows `pattern`, and takes all up to its end off. Bounded."""
        end = time.monotonic() + _LIMIT
        while (found := re.search(pattern, self.screen, re.DOTALL)) is None:
            ready, _, _ = select.select([self._terminal], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f"no {pattern!r} within {_LIMIT:g} s: {self.screen!r}")
            self.screen += os.read(self._terminal, 65536)
        self.screen = self.screen[found.end() :]
        return found

    def run(self, line: str) -> str:
        """What a line shows, from its echo to the next prompt, as text."""
        self.type(line + "\r")
        self.until(rb"\r\n")
        return self.until(rb"(.*?)" + re.escape(PROMPT))[1].decode().replace("\r\n", "\n")

    def words(self, keys: str) -> str:
        """The words of the line after these keys, as `devlxdctl` then gets them: `[config][get]`."""
        self.type(keys + "\r")
        found = self.until(rb"<<(.*?)>>")[1].decode()
        self.until(re.escape(PROMPT))
        return found


class Shell(Terminal):
    """One of bash, zsh, fish. Skips the test where it is not installed."""

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


def main() -> None:
    """`python -m tests.support.terminal SHELL KEYS`: what a terminal shows, for transcripts."""
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
