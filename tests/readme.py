"""The examples in README.md and docs/: run in a simulated guest, updated with `python -m tests.readme`.

A `console` block has commands after `$ `, each followed by its output, stdout and stderr as a terminal shows
them. A line after `> ` continues a command. All commands of a block run in one bash, in a fresh simulated
guest. A block of another language whose first line is a comment with a file name is a file in the directory
of all console blocks of its document.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from tests.support.program import REPOSITORY

EXAMPLES = REPOSITORY / "examples"
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
LIMIT = 60.0
"""Seconds that one command may take."""

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ (.*\n(?:> .*\n)*)((?:(?!\$ ).*\n)*)", re.MULTILINE)
_FILE = re.compile(r"(?:#!.*\n)?# ([\w-]+\.\w+)\n")
END = b"--- end of the command ---\n"
_QUIET = 2.0  # seconds without output after which the output of a background command counts as complete


class Block(NamedTuple):
    """A code block. `document` is the file that contains it."""

    document: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.name}: {self.text.splitlines()[0]}"

    def file_name(self) -> str | None:
        """The name of the file that the block is, None for any other block."""
        found = _FILE.match(self.text)
        return found[1] if found else None


def blocks(language: str, *documents: Path) -> list[Block]:
    """The code blocks in `language`, in order; of all documents where none is given."""
    return [block for path in documents or DOCUMENTS for block in _blocks(path) if block.language == language]


def _blocks(document: Path) -> Iterator[Block]:
    for found in _BLOCK.finditer(document.read_text()):
        yield Block(document, found[1], found[2])


def files(document: Path) -> dict[str, str]:
    """The files among the code blocks of a document, by name."""
    return {name: block.text for block in _blocks(document) if (name := block.file_name()) is not None}


Shell = tuple[Callable[[str], None], Callable[[int, bool], str]]
"""Two functions: write a line to a shell, read a command's output."""


def run(
    block: Block,
    *,
    update: bool = False,
    shell: Callable[[Path], AbstractContextManager[Shell]] | None = None,
) -> str:
    """The text of a console block with the output that its commands have now.

    The output of a command that runs in the background is complete once it has as many lines as the block
    shows, or with `update`, when nothing more comes. `shell` starts a shell with the files of a document, by
    default in a simulated guest.
    """
    commands = _COMMAND.findall(block.text)
    text = ""
    with (shell or _shell)(block.document) as (write, read):
        in_background = False
        for command, shown in commands:
            in_background = in_background or bool(re.search(r"[^&]&$", command.strip()))
            script = command.replace("\n> ", "\n").replace("--unix-socket /dev/lxd/sock", SOCKET_OPTION)
            write(f"{script}echo '{END.decode().strip()}'\n")
            text += (
                f"$ {command}{read(shown.count(chr(10)) if in_background else 0, update and in_background)}"
            )
    return text


SOCKET_OPTION = '--unix-socket "$DEVLXD_SOCKET"'


@contextmanager
def _shell(document: Path) -> Iterator[Shell]:
    """Start bash in a simulated guest."""
    simulator = [f"{sys.prefix}/bin/devlxd-simulator", "run", "--guest", f"{EXAMPLES}/guest.yaml", "--"]
    with tempfile.TemporaryDirectory() as top:
        directory = Path(top, "work")
        directory.mkdir()
        (directory / "examples").symlink_to(EXAMPLES)
        for name, content in files(document).items():
            (directory / name).write_text(content.replace("--unix-socket /dev/lxd/sock", SOCKET_OPTION))
            (directory / name).chmod(0o755)
        fifo = Path(top, "script")  # stdin stays free for the commands
        os.mkfifo(fifo)
        environment = {"PATH": f"{sys.prefix}/bin:{os.defpath}", "LANG": "C.UTF-8", "HOME": top}
        # For reading, too: otherwise this would block if the simulator did not start.
        with (
            os.fdopen(os.open(fifo, os.O_RDWR), "w") as script,
            run_script([*simulator, "bash", str(fifo)], script, cwd=directory, env=environment) as shell,
        ):
            yield shell


@contextmanager
def run_script(
    argv: Sequence[str],
    script: TextIO,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[Shell]:
    """Start a bash that reads its commands from the other end of `script`. At the end, it exits."""
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        pass_fds=pass_fds,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        output = Output(process.stdout.fileno())

        def write(text: str) -> None:
            script.write(text)
            script.flush()

        try:
            yield write, output.read
            write("exec 2>/dev/null; kill $(jobs -p); wait; exit\n")
            process.wait(LIMIT)
        finally:
            if process.poll() is None:  # a command still runs
                os.killpg(process.pid, signal.SIGTERM)


class Output:
    """The output of the shell, split at the ends of its commands."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pending = b""

    def read(self, lines: int, until_quiet: bool) -> str:
        """Read to the end of a command, and until there are `lines` lines or, if asked, nothing comes."""
        deadline = time.monotonic() + LIMIT
        has_ended = False
        while True:
            before, end, after = self._pending.partition(END)
            if end and not has_ended:
                has_ended, self._pending = True, before + after
            is_complete = has_ended and self._pending.count(b"\n") >= lines
            if is_complete and not until_quiet:
                break
            timeout = _QUIET if is_complete else max(0, deadline - time.monotonic())
            if not select.select([self._descriptor], [], [], timeout)[0]:
                if has_ended:  # fewer lines than shown: the comparison prints which
                    break
                raise TimeoutError(f"no end of the command after {LIMIT:g} s: {self._pending!r}")
            data = os.read(self._descriptor, 65536)
            if not data:
                break
            self._pending += data
        text, self._pending = self._pending.decode(), b""
        return text


def main() -> None:
    """Update the output in all console blocks, or in those of the documents that are named."""
    for document in [Path(name).resolve() for name in sys.argv[1:]] or DOCUMENTS:
        text = _BLOCK.sub(
            lambda found, document=document: (  # type: ignore[misc]  # mypy knows no default in a lambda
                f"```console\n{run(Block(document, found[1], found[2]), update=True)}```"
                if found[1] == "console"
                else found[0]
            ),
            document.read_text(),
        )
        document.write_text(text)


if __name__ == "__main__":
    main()
