"""Where it is measured: a real guest, or the simulator with this machine as its guest."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator

from tests.hosts import PROGRAM, DaemonHost, Host, image
from tests.hosts.daemon import INCUS, LXD, available
from tests.hosts.simulated import SimulatedHost


class Place:
    """A host with a guest to measure in, and how long that may take.

    `room` is a directory inside, for large files. `effort` scales the number of runs.
    """

    def __init__(self, host: Host, title: str, room: str, effort: float) -> None:
        self.host = host
        self.title = title
        self.room = room
        self._effort = effort

    def runs(self, usual: int) -> int:
        return max(round(usual * self._effort), 3)

    def no_images(self) -> str | None:
        """Why no image can be exported here; None if one can."""
        if self.host.run(PROGRAM, "image", "export", "--help").status != 0:
            return "there is no such command"
        return None if isinstance(self.host, DaemonHost) else "only a real host has images here"

    @contextlib.contextmanager
    def image(self, size: int, split: bool = False) -> Iterator[str]:
        """The host has an image of about so many bytes while this lasts; its fingerprint."""
        assert isinstance(self.host, DaemonHost)
        with tempfile.TemporaryFile(dir="/tmp") as file:
            image.sparse(file, size)
            parts = [image.split(b"")[0], file] if split else [file]
            fingerprint = self.host.add_image(*parts)
        try:
            yield fingerprint
        finally:
            self.host.clear()
            self.host.offer_images(True)


@contextlib.contextmanager
def open_place(name: str | None, effort: float) -> Iterator[Place]:
    """The host of this name, lxd or incus, where it can run here, else the simulator.

    Without a name, the first of them that can.
    """
    software = [each for each in (LXD, INCUS) if name in (None, each.name)]
    reasons = [available(each) for each in software]
    for each, reason in zip(software, reasons, strict=True):
        if reason is None:
            with DaemonHost(each) as host:
                title = f"a guest of {host.name} {host.version}"
                host.offer_images(True)
                yield Place(host, title, "/root", effort)
            return
    why = next((reason for reason in reasons if reason), "asked for")
    room = tempfile.mkdtemp(prefix="dx", dir="/tmp")
    try:
        with SimulatedHost("lxd-6") as simulated:
            yield Place(simulated, f"the simulator, no real host: {why}", room, effort)
    finally:
        shutil.rmtree(room)
