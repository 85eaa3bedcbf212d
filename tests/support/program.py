"""The installed program, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PROGRAM: Final = str(Path(sys.executable).with_name("devlxdctl"))


class Result(NamedTuple):
    """How a program ended. A status below 0 is the signal that ended it."""

    status: int
    stdout: bytes
    stderr: bytes


def run(
    *argv: str | Path | bytes,
    socket: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float = 60,
) -> Result:
    """Run the installed `devlxdctl`. Its environment has only `DEVLXD_SOCKET` and `env`."""
    environment = {"DEVLXD_SOCKET": str(socket)} if socket is not None else {}
    done = subprocess.run(
        [PROGRAM, *argv],
        env={**environment, **(env or {})},
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)
