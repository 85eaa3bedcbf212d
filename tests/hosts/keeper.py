"""The process that holds the namespaces of a host, and removes everything in them at the end.

`keeper.py DIRECTORY NAME` creates mount, network and PID namespaces and prints the process ID of their init.
Then it waits for the end of its stdin, which comes when the tests end or are killed. It kills that init, so
that the kernel ends all processes inside, daemon and guest included. It removes DIRECTORY and the control
groups of the guest, whose name is NAME. It runs as a script, with the standard library only.
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

# A network namespace needs its own /sys, in which the control groups are mounted again. LXC leaves locks in
# /run. Packages can give root several ranges of subordinate IDs, and Incus starts no guest with two: so there
# is one range here. The last command is process 1: with SIGCHLD ignored, the kernel reaps its orphans.
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


def find_cgroups(pattern: str) -> set[str]:
    """Return the paths of control groups whose name matches a glob."""
    # os.walk, unlike pathlib, skips those that are removed meanwhile.
    return {
        str(Path(path, name))
        for path, names, _ in os.walk(CGROUPS)
        for name in fnmatch.filter(names, pattern)
    }


def remove_cgroups(name: str) -> None:
    """Remove the control groups of an instance. They stay busy for a moment after its end."""
    deadline = time.monotonic() + 20
    for top in find_cgroups(f"lxc.*.{name}*"):
        for path, _, _ in os.walk(top, topdown=False):
            while True:
                try:
                    os.rmdir(path)
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)


def continue_nsenters(name: str) -> None:
    """Send SIGCONT to each nsenter of a host: the PID namespace ends only when it has reaped its child."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if f"DEVLXDCTL_HOST={name}".encode() in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGCONT)


def exit_on_signal(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def main(directory: Path, name: str) -> int:
    signals = (signal.SIGALRM, signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    for signum in signals:
        signal.signal(signum, exit_on_signal)
    # LXC moves processes into this group to remove theirs. All instances share it, and LXC leaves it behind.
    existing = find_cgroups("lxc.pivot")
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    # With --pdeathsig, the namespaces end even if this process is killed.
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
        # unshare ends when the last process in the namespaces has been reaped.
        deadline = time.monotonic() + 60
        while True:
            try:
                child.wait(0.2)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline:
                    raise
                continue_nsenters(name)
        remove_cgroups(name)
        for path in find_cgroups("lxc.pivot") - existing:
            with contextlib.suppress(OSError):  # another host uses it, and removes it
                os.rmdir(path)
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
