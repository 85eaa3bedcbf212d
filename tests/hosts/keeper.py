"""The process that keeps a host's namespaces, and leaves nothing of them behind.

``keeper.py DIRECTORY NAME`` makes mount, network and pid namespaces, prints the pid of their init and waits
for the end of its standard input, which comes when the tests are done and equally when they are killed. Then
it kills that init, with which the kernel ends every process inside, daemon and guest alike, and removes the
control groups of the guest, whose name is NAME, and DIRECTORY. It is run as a script: standard library only.
"""

import contextlib
import fnmatch
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

CGROUPS = Path("/sys/fs/cgroup")

# A network namespace needs its own /sys, over which the control groups are put back. LXC leaves locks in
# /run. Of the machine's ids root has as many ranges as packages gave it, and Incus starts no guest with two,
# so there is one range here. The last line becomes pid 1: with SIGCHLD ignored the kernel reaps its orphans.
SETUP = """set -e
mkdir "$1/cgroup"
mount --rbind /sys/fs/cgroup "$1/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$1/cgroup" /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
echo root:100000:10000001 >"$1/ids"
mount --bind "$1/ids" /etc/subuid
mount --bind "$1/ids" /etc/subgid
ip link set lo up
echo up
trap '' CHLD
exec sleep infinity </dev/null >/dev/null 2>&1
"""


def cgroups(pattern: str) -> set[str]:
    """The paths of control groups whose last part matches a glob."""
    # os.walk, unlike pathlib, passes over those that vanish meanwhile
    return {
        str(Path(path, name))
        for path, names, _ in os.walk(CGROUPS)
        for name in fnmatch.filter(names, pattern)
    }


def remove_cgroups(name: str) -> None:
    """Remove the control groups of an instance; for a moment after its end the kernel calls them busy."""
    deadline = time.monotonic() + 5
    for top in cgroups(f"lxc.*.{name}*"):
        for path, _, _ in os.walk(top, topdown=False):
            while True:
                try:
                    os.rmdir(path)
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)


def wake(name: str) -> None:
    """Let each stopped nsenter of a host go on: until it reaps its child, the pid namespace does not end."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if f"DEVLXDCTL_HOST={name}".encode() in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGCONT)


def finish(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def main(directory: Path, name: str) -> int:
    signals = (signal.SIGALRM, signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    for signum in signals:
        signal.signal(signum, finish)
    # through these groups LXC leaves the ones that it removes; they are shared by all instances, and stay
    others = cgroups("lxc.pivot")
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    # should this process be killed, the namespaces end with it
    child = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *unshare, "sh", "-c", SETUP, "sh", str(directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    init = None
    try:
        signal.alarm(20)
        assert child.stdout is not None
        if child.stdout.readline() != b"up\n":
            return 1
        signal.alarm(0)
        init = int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text())
        print(init, flush=True)
        sys.stdin.buffer.read()
        return 0
    finally:
        for signum in signals:
            signal.signal(signum, signal.SIG_IGN)
        os.kill(init or child.pid, signal.SIGKILL)
        # this ends when the last process inside has been reaped
        deadline = time.monotonic() + 20
        while True:
            try:
                child.wait(0.2)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline:
                    raise
                wake(name)
        remove_cgroups(name)
        for path in cgroups("lxc.pivot") - others:
            with contextlib.suppress(OSError):  # in use by another host, which removes it
                os.rmdir(path)
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
