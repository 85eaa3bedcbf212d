"""Programs run by several users in a mount namespace with its own /home, /var/cache and /etc/passwd."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.program import Result

PYTHON = "/usr/bin/python3"
"""The Python that the archive's first line names. Every user can run it, unlike one below /root."""

ROOT = 0
USER = 54321
ATTACKER = 54322

_PASSWD = f"""\
root:x:0:0:root:/root:/bin/sh
user:x:{USER}:{USER}::/home/user:/bin/sh
attacker:x:{ATTACKER}:{ATTACKER}::/home/attacker:/bin/sh
"""
_MOUNT = (
    'mount --bind "$0/home" /home && mount --bind "$0/cache" /var/cache && '
    'mount --bind "$0/passwd" /etc/passwd && exec "$@"'
)
_PROOF = "/home/proof"


def require() -> None:
    """Skip the test where it cannot create a mount namespace or change the user."""
    if os.geteuid() != 0:
        pytest.skip("needs root: runs programs as several users in a mount namespace")
    missing = [name for name in ("unshare", "setpriv", "mount", PYTHON) if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


class Sandbox:
    """Directories that the programs run in here see as /home and /var/cache."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self.home = top / "home"
        self.cache = top / "cache"
        self.passwd = top / "passwd"
        for directory, owner in {
            top: ROOT,
            self.cache: ROOT,
            self.home: ROOT,
            self.home / "user": USER,
            self.home / "attacker": ATTACKER,
            self.home / "proof": ROOT,
        }.items():
            directory.mkdir(mode=0o755)
            os.chown(directory, owner, owner)
        (self.home / "proof").chmod(0o777)
        self.passwd.write_text(_PASSWD)

    def install(self, archive: Path, name: str = "devlxdctl") -> str:
        """Copy an executable there, and return the path at which programs see it."""
        shutil.copy(archive, self.home / name)
        (self.home / name).chmod(0o755)
        return f"/home/{name}"

    def command(self, *argv: str, user: int = ROOT) -> list[str]:
        """The command line that runs a command in here as a user."""
        change = [] if user == ROOT else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return ["unshare", "--mount", "sh", "-ec", _MOUNT, str(self._top), *change, *argv]

    def run(
        self,
        *argv: str,
        user: int = ROOT,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        umask: int = 0o022,
    ) -> Result:
        """Run a command to its end."""
        done = subprocess.run(
            self.command(*argv, user=user),
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(env or {})},
            input=stdin,
            capture_output=True,
            timeout=60,
            umask=umask,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(
        self, *argv: str, user: int = ROOT, env: Mapping[str, str] | None = None
    ) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Start a command with pipes for its standard streams."""
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(
            self.command(*argv, user=user),
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(env or {})},
            **pipes,
        )

    def python(self, script: str, *argv: str, user: int = ROOT) -> None:
        """Run a Python script, which must succeed."""
        result = self.run(PYTHON, "-IS", "-c", script, *argv, user=user)
        assert result == Result(0, b"", b"")

    def proofs(self) -> list[str]:
        """The users whom the attacker's code has run as."""
        return sorted(path.name for path in (self.home / "proof").iterdir())


def tree(directory: Path) -> dict[str, tuple[int, int, int]]:
    """The owner, mode and inode of all that is below a directory."""
    found = {str(path.relative_to(directory)): path.lstat() for path in sorted(directory.rglob("*"))}
    return {name: (status.st_uid, status.st_mode, status.st_ino) for name, status in found.items()}


_PAYLOAD = f"import os; open('{_PROOF}/' + str(os.geteuid()), 'w').close(); VALUE = 'attacker'"
_PLANT = f"""
import importlib.util, marshal, os, sys
directory, digest, *modules = sys.argv[1:]
payload = {_PAYLOAD!r}
body = marshal.dumps(compile(payload, "payload", "exec"))
cache = os.path.join(directory, f"{{digest}}-{{sys.implementation.cache_tag}}-0")
os.makedirs(cache)
for module in modules:
    source = os.path.join(directory, digest, module)
    os.makedirs(os.path.dirname(source), exist_ok=True)
    with open(source, "w") as file:
        file.write(payload)
    name = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    with open(os.path.join(cache, name), "wb") as file:
        file.write(importlib.util.MAGIC_NUMBER + importlib.util.source_hash(body) + body)
"""


def plant(sandbox: Sandbox, archive: Path, directory: str, user: int = ATTACKER) -> None:
    """Create a cache of an archive whose modules are the attacker's.

    It has the compiled modules that the archive reads, and the unpacked sources that other programs of this
    kind read. Each leaves a file named as the user who ran it.
    """
    sandbox.python(_PLANT, directory, digest(archive), *modules(archive), user=user)


def digest(archive: Path) -> str:
    """The digest that the archive names its cache after."""
    _, _, rest = archive.read_bytes().partition(b'\nDIGEST = "')
    return rest[:16].decode()


def modules(archive: Path) -> list[str]:
    """The paths of the archive's modules."""
    from zipfile import ZipFile

    with ZipFile(archive) as opened:
        names = opened.namelist()
    return [name for name in names if name not in ("__main__.py", "devlxdctl_start.py")]
