"""The mount, network and pid namespaces that a daemon and its guest live in."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

from .base import HostError
from .jobs import DEFAULT_SIGNALS

KEEPER = Path(__file__).with_name("keeper.py")


class Namespaces:
    """The namespaces of one host, and the directory that lives as long as they do."""

    def __init__(self) -> None:
        self.name = f"dx{secrets.token_hex(4)}"
        # the paths of unix sockets end at 107 bytes: no long temporary directory
        self.directory = Path("/tmp", self.name)
        self.directory.mkdir()
        # as the umask may be anything, and the guest's root has to come through
        self.directory.chmod(0o711)
        # the keeper knows them by this variable
        self.nsenter = [*DEFAULT_SIGNALS, f"DEVLXDCTL_HOST={self.name}", "nsenter"]
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", str(KEEPER), str(self.directory), self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the tests ends them, and their end ends this
            start_new_session=True,
        )
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        if not line.strip().isdigit():
            raise HostError(f"no namespaces: {line.decode()}{self._end()}")
        self.init = int(line)

    def enter(self, *argv: str) -> list[str]:
        """The command line that runs argv inside."""
        return [*self.nsenter, "-t", str(self.init), "-m", "-n", "-p", "--", *argv]

    def outside(self, pid: int) -> int:
        """A process's id outside, of its id inside, where it is the init of yet another pid namespace."""
        here = os.readlink(f"/proc/{self.init}/ns/pid")
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
                if fields["NSpid"].split()[-2:] != [str(pid), "1"]:
                    continue
                parent = fields["PPid"].strip()
                if os.readlink(f"/proc/{parent}/ns/pid") == here:
                    return int(status.parent.name)
            except (FileNotFoundError, ProcessLookupError):
                continue  # a process that ended meanwhile
        raise HostError(f"no process {pid} in the host's pid namespace")

    def close(self) -> None:
        """End every process inside and remove the directory."""
        output = self._end()
        if self._keeper.returncode != 0:
            raise HostError(f"taking the host down: status {self._keeper.returncode}: {output}")

    def _end(self) -> str:
        output, _ = self._keeper.communicate(timeout=40)
        return str(output.decode(errors="replace"))
