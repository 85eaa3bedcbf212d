"""A small program, to be started from an archive as devlxdctl is."""

from __future__ import annotations

from pathlib import Path

from tools import zipapp

_MAIN = b"""\
import sys

import first
from devlxdctl import second


def main():
    print("started", first.VALUE, second.VALUE, flush=True)
    sys.stdin.readline()
    import third
    from devlxdctl.package import fourth

    print("ended", third.VALUE, fourth.VALUE)
"""

STARTED = b"started first second\n"
ENDED = b"ended third fourth\n"
"""What it prints once it has read a line, with values of modules that it imports only then."""

OUTPUT = STARTED + ENDED

CACHED = sorted(
    [
        *("devlxdctl", "devlxdctl.__main__", "devlxdctl.package", "devlxdctl.package.fourth"),
        *("devlxdctl.second", "first", "third"),
    ]
)
"""The modules that it imports, as its cache names them."""


def build(path: Path, **more: bytes) -> Path:
    """Build its archive, with more modules or others under its modules' names."""
    files = {
        "devlxdctl/__init__.py": b"",
        "devlxdctl/__main__.py": _MAIN,
        "devlxdctl/package/__init__.py": b"",
        "devlxdctl/package/fourth.py": b"VALUE = 'fourth'\n",
        "devlxdctl/second.py": b"VALUE = 'second'\n",
        "first.py": b"VALUE = 'first'\n",
        "third.py": b"VALUE = 'third'\n",
        **{f"{name.replace('.', '/')}.py": source for name, source in more.items()},
    }
    start = Path(zipapp.__file__).with_name("bundle") / "start.py"
    files[zipapp.START] = start.read_bytes()
    zipapp.archive(files, path)
    return path
