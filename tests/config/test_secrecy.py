"""Another user who races with a replacement never reads a file of mode 0600, by none of its names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devlxdctl.config.replacement import Owner, replace_file
from tests.hosts.jobs import Job
from tests.support.program import PROGRAM
from tests.support.raw_host import RawHost, response

NOBODY = 65534
ROUNDS = 300

# Opens everything in the directory as fast as it can. Prints what it could read, and the number of attempts.
_READER = """
import os, sys
directory, end = sys.argv[1:]
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print("ready", flush=True)
attempts = 0
while not os.path.exists(end):
    for name in os.listdir(directory):
        attempts += 1
        try:
            descriptor = os.open(f"{directory}/{name}", os.O_RDONLY)
        except (PermissionError, FileNotFoundError):
            continue
        print("read", name, os.read(descriptor, 100), flush=True)
        os.close(descriptor)
print("attempts", attempts, flush=True)
"""


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("umask", [0o000, 0o022])
@pytest.mark.parametrize("owner", [Owner(), Owner(1, 1)], ids=["own", "given away"])
def test_another_user_never_reads_a_file_of_mode_0600(umask: int, owner: Owner, short: Path) -> None:
    directory, end = short / "d", short / "end"
    directory.mkdir()
    for path in (short, directory):
        path.chmod(0o755)
    before = os.umask(umask)
    try:
        with Job([sys.executable, "-c", _READER, str(directory), str(end)]) as reader:
            reader.wait_for(b"ready\n")
            for number in range(ROUNDS):
                assert replace_file(f"{directory}/file", b"%d\n" % number * 5000, 0o600, owner, None)
            end.touch()
            assert reader.wait() == 0
            ready, *read, attempts = reader.stdout().splitlines()
    finally:
        os.umask(before)
    assert (ready, read) == (b"ready", [])
    assert int(attempts.split()[1]) > 100


@pytest.mark.usefixtures("root")
def test_racing_reader_would_notice_a_file_that_is_readable_for_a_moment(short: Path) -> None:
    """The proof that the test above can fail: a file that gets its mode after its content is read."""
    directory, end = short / "d", short / "end"
    directory.mkdir()
    for path in (short, directory):
        path.chmod(0o755)
    with Job([sys.executable, "-c", _READER, str(directory), str(end)]) as reader:
        reader.wait_for(b"ready\n")
        while b"read file" not in reader.stdout():
            (directory / "new").write_bytes(b"secret")
            (directory / "new").chmod(0o600)
            (directory / "new").rename(directory / "file")
            (directory / "file").chmod(0o644)
            (directory / "file").chmod(0o600)
        end.touch()
        assert reader.wait() == 0


@pytest.mark.usefixtures("root")
def test_only_root_can_give_a_file_to_another_user(short: Path) -> None:
    """Exit status 4, and nothing is written, also on a host that would give the value to other users."""
    (short / "d").mkdir()
    os.chown(short / "d", NOBODY, NOBODY)
    short.chmod(0o755)
    argv = [PROGRAM, "config", "save", "user.role", "d/file", "--owner", "daemon"]
    # That user may not be able to read the program in its directory on this machine.
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    as_nobody += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    with RawHost(short / "sock", lambda _: response(b"web", "application/octet-stream")) as host:
        Path(host.path).chmod(0o666)
        done = subprocess.run(
            [*as_nobody, *argv],
            cwd=short,
            env={"DEVLXD_SOCKET": str(host.path), "PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    error = "devlxdctl: d/file: cannot change its owner\n"
    hint = "hint: only root can give a file to another user: sudo devlxdctl …\n"
    assert (done.returncode, done.stdout, done.stderr) == (4, "", error + hint)
    assert list((short / "d").iterdir()) == []
