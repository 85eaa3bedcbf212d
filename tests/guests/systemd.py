"""Guests that boot systemd, and commands in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.guests.deb_images import booting, for_systemd
from tests.hosts import DaemonHost, Result
from tests.hosts.fixtures import require
from tests.hosts.jobs import poll
from tests.hosts.software import Software

ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
}


@contextmanager
def booted(release: str, software: Software, scripts: Path) -> Iterator[DaemonHost]:
    """Boot a release of Debian in a guest. `scripts` is a directory for the script of the daemon."""
    require(software)
    with DaemonHost(for_systemd(software, scripts), booting(release)) as guest:
        wait_for_boot(guest)
        yield guest


def wait_for_boot(guest: DaemonHost) -> None:
    def has_booted() -> bool | None:
        state = run(guest, "systemctl", "is-system-running", status=None).stdout.strip()
        return state in (b"running", b"degraded") or None

    poll("systemd has booted", has_booted, 120, interval=0.2)


def run(guest: DaemonHost, *argv: str, status: int | None = 0, stdin: bytes = b"") -> Result:
    """Run a command in the guest as root; `status` is the exit status that it must have, None for any."""
    result = guest.run(*argv, env=ENVIRONMENT, timeout=180, stdin=stdin)
    assert status in (None, result.status), (argv, result)
    return result


def properties(guest: DaemonHost, unit: str, *names: str) -> list[str]:
    """Return properties of a unit, in the order of `names`."""
    shown = run(guest, "systemctl", "show", unit, f"--property={','.join(names)}").stdout.decode()
    values = dict(line.split("=", 1) for line in shown.splitlines())
    return [values[name] for name in names]
