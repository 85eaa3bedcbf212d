"""The mount, network and PID namespaces of a daemon and its guest."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

from .base import HostError
from .jobs import DEFAULT_SIGNALS

_KEEPER = Path(__file__).with_name("keeper.py")
_END_TIMEOUT = 300  # seconds; a busy machine takes long to delete the files of a whole Debian release


class Namespaces:
    """The namespaces of one host, and a directory that exists as long as they do."""

    def __init__(self) -> None:
        self.name = f"dx{secrets.token_hex(4)}"
        # Paths of Unix sockets have at most 107 bytes, so the directory needs a short path.
        self.directory = Path("/tmp", self.name)
        self.directory.mkdir()
        # The root user of the guest must be able to pass, whatever the umask is.
        self.directory.chmod(0o711)
        # keeper.py finds these processes by the variable.
        self.nsenter = [*DEFAULT_SIGNALS, f"DEVLXDCTL_HOST={self.name}", "nsenter"]
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", str(_KEEPER), str(self.directory), self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C ends the tests, and their end ends the keeper
        )
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        if not line.strip().isdigit():
            raise HostError(f"cannot create namespaces: {line.decode()}{self._end()}")
        self.init = int(line)

    def enter(self, *argv: str) -> list[str]:
        """Return the command line that runs `argv` inside."""
        return [*self.nsenter, "-t", str(self.init), "-m", "-n", "-p", "--", *argv]

    def outside(self, pid: int) -> int:
        """Return the process ID outside of the init of a guest, whose process ID inside is `pid`."""
        namespace = os.readlink(f"/proc/{self.init}/ns/pid")
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
                if fields["NSpid"].split()[-2:] != [str(pid), "1"]:
                    continue
                parent = fields["PPid"].strip()
                if os.readlink(f"/proc/{parent}/ns/pid") == namespace:
                    return int(status.parent.name)
            except (FileNotFoundError, ProcessLookupError):
                continue  # a process that ended meanwhile
        raise HostError(f"no process {pid} in the PID namespace of the host")

    def close(self) -> None:
        """End every process inside and remove the directory."""
        output = self._end()
        if self._keeper.returncode != 0:
            raise HostError(f"cannot remove the host: status {self._keeper.returncode}: {output}")

    def _end(self) -> str:
        output, _ = self._keeper.communicate(timeout=_END_TIMEOUT)
        return str(output.decode(errors="replace"))
