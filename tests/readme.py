"""The README's examples: run in a simulated guest, and written anew with `python -m tests.readme`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
README = REPOSITORY / "README.md"
EXAMPLES = REPOSITORY / "examples"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MARK = "--- end of an example ---"


def blocks(language: str) -> list[str]:
    """The contents of the README's code blocks in this language, in order."""
    return [found[2] for found in _BLOCK.finditer(README.read_text()) if found[1] == language]


def as_run(block: str) -> str:
    """A console block with what its commands now print, stdout and stderr as a terminal shows them.

    The commands run one after the other in one bash, in a fresh simulated guest and a directory with nothing
    but `examples`.
    """
    commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    script = "".join(f"{command}\necho '{_MARK}'\n" for command in commands)
    simulator = [f"{sys.prefix}/bin/devlxd-simulator", "run", "--guest", f"{EXAMPLES}/guest.yaml", "--"]
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "examples").symlink_to(EXAMPLES)
        done = subprocess.run(
            [*simulator, "bash", "-c", script],
            cwd=directory,
            env={"PATH": f"{sys.prefix}/bin:{os.defpath}", "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    outputs = done.stdout.decode().split(f"{_MARK}\n")[:-1]
    return "".join(f"$ {command}\n{output}" for command, output in zip(commands, outputs, strict=True))


def main() -> None:
    text = _BLOCK.sub(
        lambda found: f"```console\n{as_run(found[2])}```" if found[1] == "console" else found[0],
        README.read_text(),
    )
    README.write_text(text)


if __name__ == "__main__":
    main()
