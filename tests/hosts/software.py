"""LXD and Incus as data, and whether they can run on this machine."""

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.program import REPOSITORY

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Software:
    """The names that LXD and Incus use for the same things.

    * `daemon`, `client`: the programs.
    * `state_variable`: the environment variable with the directory of the daemon's state.
    * `client_variable`: the environment variable with the directory of the client's settings.
    * `socket`: the path of the devLXD socket inside the guest.
    * `api_key`: the config key that switches the guest API; with `.images` the one for the export of images.
    * `public_header`: the HTTP header that makes an imported image public.
    """

    name: str
    daemon: str
    client: str
    state_variable: str
    client_variable: str
    socket: str
    api_key: str
    public_header: str


LXD = Software("lxd", "lxd", "lxc", "LXD_DIR", "LXD_CONF", "/dev/lxd/sock", "security.devlxd", "X-LXD-public")
INCUS = Software(
    "incus",
    "/usr/libexec/incus/incusd",
    "incus",
    "INCUS_DIR",
    "INCUS_CONF",
    "/dev/incus/sock",
    "security.guestapi",
    "X-Incus-public",
)


def program_directories() -> list[Path]:
    """Return the directories outside /usr that the guest needs: checkout, environment, interpreter."""
    needed = [REPOSITORY, Path(sys.prefix), Path(sys.base_prefix), Path("/usr")]
    outermost = [path for path in needed if not any(other in path.parents for other in needed)]
    return [path for path in dict.fromkeys(outermost) if path != Path("/usr")]


def default_environment(user: int) -> dict[str, str]:
    """Return the environment of a command in the guest when the caller gives none."""
    home = "/root" if user == 0 else "/"
    return {"HOME": home, "LANG": "C.UTF-8", "PATH": f"{sys.prefix}/bin:{SYSTEM_PATH}"}


@functools.cache
def unavailable_reason(software: Software) -> str | None:
    """Return why this host cannot run on this machine; None if it can."""
    if os.geteuid() != 0:
        return f"{software.name} needs root"
    for program in (software.daemon, software.client, "ip", "nsenter", "setpriv", "unshare"):
        if shutil.which(program, path=SYSTEM_PATH) is None:
            return f"{program} is not installed: make hosts"
    for path in program_directories():
        if path.stat().st_mode & 0o005 != 0o005:
            return f"the guest cannot read {path}: it is not readable by all users"
    probe = "unshare --mount --net --pid --fork --mount-proc mount -t sysfs sysfs /sys"
    result = subprocess.run(probe.split(), capture_output=True, text=True, timeout=20, check=False)
    if result.returncode != 0:
        return f"namespaces cannot be created: {result.stderr.strip()}"
    return None
