"""`power_failure.py DIRECTORY`: what a disk has after a power failure at each system call of a replacement.

The file is on an ext4 in an image file. What the kernel has written to the image by then is what a disk
has after a power failure. So at each system call, the image is copied and mounted, which replays the journal
as the next boot does. Before the copy, another file is written to the disk: this commits the journal, with
all names that were changed so far. That is the worst moment: content that was not written to the disk is
lost, and its name is not. Prints the name of each call, and what the file then has: old, new, or what else.

With `--without-fsync`, the replacement writes nothing to the disk, as a proof that this would be found. Needs
root, and runs in a mount namespace of its own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

OLD, NEW = b"old\n" * 2000, b"new\n" * 20_000
SIZE = 16 << 20
TRACED = "openat,flock,fchmod,fchown,write,fsync,rename,renameat,unlink,unlinkat,close"

_SCRIPT = """
import os, sys
from devlxdctl.config.replacement import Owner, replace_file
if sys.argv[2:]:
    os.fsync = lambda descriptor: None
print("ready", flush=True)
sys.stdin.readline()
replace_file(sys.argv[1], b"new\\n" * 20_000, 0o640, Owner(), None)
print("done", flush=True)
sys.stdin.readline()
"""


def mount(image: Path, place: Path) -> None:
    # Without noauto_da_alloc, ext4 itself writes content to the disk before it replaces a name.
    options = "loop,noauto_da_alloc,commit=600"
    subprocess.run(["mount", "-o", options, image, place], check=True, timeout=60)


def umount(place: Path) -> None:
    subprocess.run(["umount", place], check=True, timeout=60)


def after_power_failure(top: Path, image: Path, place: Path) -> str:
    """Return what the file has after a power failure now."""
    with (place / "other").open("ab") as other:
        other.write(b"x")
        other.flush()
        os.fsync(other.fileno())
    copy, other_place = top / "copy", top / "after"
    subprocess.run(["cp", "--sparse=always", image, copy], check=True, timeout=60)
    mount(copy, other_place)
    try:
        content = (other_place / "d" / "file").read_bytes()
    except FileNotFoundError:
        return "missing"
    finally:
        umount(other_place)
    return {OLD: "old", NEW: "new"}.get(content, f"{len(content)} other bytes")


def replace(top: Path, image: Path, place: Path, call: str | None, arguments: list[str]) -> str | list[str]:
    """Replace the file up to this call, and return what it has; without a call, return all calls."""
    mount(image, place)
    log = top / "log"
    log.write_text("")
    for leftover in (place / "d").glob(".devlxdctl-*"):  # of the process before, which would be removed
        leftover.unlink()
    (place / "d" / "file").write_bytes(OLD)
    os.sync()
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, place / "d" / "file", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    options = ["-e", f"trace={TRACED}"]
    if call is not None:
        name, _, when = call.partition(":")
        options += ["-e", f"inject={name}:signal=SIGSTOP:when={when}"]
    tracer = subprocess.Popen(["strace", "-o", log, *options, "-p", str(process.pid)], stderr=subprocess.PIPE)
    assert tracer.stderr is not None and b"attached" in tracer.stderr.readline()
    try:
        process.stdin.write(b"\n")
        process.stdin.flush()
        if call is None:
            assert process.stdout.readline() == b"done\n"
            return number_calls(log.read_text())
        deadline = time.monotonic() + 60
        while "stopped by SIGSTOP" not in log.read_text():
            assert time.monotonic() < deadline, f"not stopped at {call}"
            time.sleep(0.005)
        return after_power_failure(top, image, place)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        tracer.communicate(timeout=60)
        umount(place)


def number_calls(log: str) -> list[str]:
    """The calls of a replacement, each with its number among those of the same name."""
    counts: dict[str, int] = {}
    calls = []
    for name in re.findall(r"^(\w+)\(", log, re.MULTILINE):
        counts[name] = counts.get(name, 0) + 1
        calls.append(f"{name}:{counts[name]}")
    return calls


def main() -> None:
    top = Path(sys.argv[1])
    image, place = top / "image", top / "before"
    place.mkdir()
    (top / "after").mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, timeout=60)
    mount(image, place)
    (place / "d").mkdir()
    umount(place)
    arguments = sys.argv[2:]
    calls = replace(top, image, place, None, arguments)
    if arguments:  # before the rename, nothing can be lost
        calls = calls[calls.index("renameat:1") :]
    for call in calls:
        print(call, replace(top, image, place, call, arguments), flush=True)


if __name__ == "__main__":
    main()
