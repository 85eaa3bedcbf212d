"""Running the installed program as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PROGRAM: Final = str(Path(sys.executable).with_name("devlxdctl"))

OBEY_FILE_MODES: Final = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
)
"""The words before a command that make file modes apply to it, as they do not to root."""


class Result(NamedTuple):
    """How a program ended. A negative status is the number of the signal that ended it."""

    status: int
    stdout: bytes
    stderr: bytes


def run(
    *argv: str | Path | bytes,
    socket: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    cwd: Path | None = None,
    prefix: Sequence[str] = (),
    timeout: float = 60,
) -> Result:
    """Run the installed `devlxdctl` and return its result.

    * `socket`, `env`: its environment has only `DEVLXD_SOCKET` and `env`.
    * `prefix`: a command that runs it, with its arguments.
    """
    environment = {"DEVLXD_SOCKET": str(socket)} if socket is not None else {}
    done = subprocess.run(
        [*prefix, PROGRAM, *argv],
        env={**environment, **(env or {})},
        input=stdin,
        cwd=cwd,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def failure(status: int, error: str, hint: str = "") -> Result:
    """Return the result of a program that prints one error, with a hint if one is given, and nothing else."""
    lines = f"devlxdctl: {error}\n" + (f"hint: {hint}\n" if hint else "")
    return Result(status, b"", lines.encode())
