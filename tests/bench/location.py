"""Where the measurements run: a real guest, or this machine as the guest of the simulator."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator

from tests.hosts import INCUS, LXD, DaemonHost, Host, HostError, image, unavailable_reason
from tests.hosts.simulated import SimulatedHost
from tests.support.program import PROGRAM


class Location:
    """A host with a guest to measure in.

    * `title`: a description for the report.
    * `directory`: a directory in the guest for large files.
    * `effort`: a factor for the number of runs.
    * `peer`: another client to compare with.
    """

    def __init__(self, host: Host, title: str, directory: str, effort: float, peer: str | None) -> None:
        self.peer = peer
        self.host = host
        self.title = title
        self.directory = directory
        self._effort = effort

    def runs(self, usual: int) -> int:
        """Return the number of runs for a measurement that usually has `usual`."""
        return max(round(usual * self._effort), 3)

    def no_peer_reason(self) -> str | None:
        """Return why there is no other client to compare with; None if there is one."""
        if self.peer is None:
            return "no --peer"
        if self.host.socket != "/dev/lxd/sock":
            return f"{self.peer} only supports /dev/lxd/sock"
        try:
            found = self.host.run(self.peer).status == 0
        except (HostError, OSError):
            found = False
        return None if found else f"{self.peer} does not run in the guest"

    def no_images_reason(self) -> str | None:
        """Return why images cannot be exported here; None if they can."""
        if self.host.run(PROGRAM, "image", "export", "--help").status != 0:
            return "this version has no such command"
        return None if isinstance(self.host, DaemonHost) else "only real hosts have images here"

    @contextlib.contextmanager
    def image(self, size: int, split: bool = False) -> Iterator[str]:
        """Add an image of about `size` bytes to the host for a while, and return its fingerprint."""
        assert isinstance(self.host, DaemonHost)
        with tempfile.TemporaryFile(dir="/tmp") as file:
            image.sparse(file, size)
            parts = [image.split(b"")[0], file] if split else [file]
            fingerprint = self.host.add_image(*parts)
        try:
            yield fingerprint
        finally:
            self.host.reset()
            self.host.switch_images(True)


@contextlib.contextmanager
def open_location(name: str | None, effort: float, peer: str | None = None) -> Iterator[Location]:
    """Start the host `name`: lxd, incus or simulator.

    Without a name, it is the first real host that can run on this machine. Without any, it is the simulator.
    """
    candidates = [each for each in (LXD, INCUS) if name in (None, each.name)]
    reasons = [unavailable_reason(each) for each in candidates]
    for software, reason in zip(candidates, reasons, strict=True):
        if reason is None:
            with DaemonHost(software) as host:
                host.switch_images(True)
                yield Location(host, f"a guest of {host.name} {host.version}", "/root", effort, peer)
            return
    why = next((reason for reason in reasons if reason), "as requested")
    directory = tempfile.mkdtemp(prefix="dx", dir="/tmp")
    try:
        with SimulatedHost("lxd-6") as simulated:
            yield Location(simulated, f"the simulator, not a real host: {why}", directory, effort, peer)
    finally:
        shutil.rmtree(directory)
