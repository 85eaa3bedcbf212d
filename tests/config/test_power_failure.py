"""A power failure at any system call of a replacement leaves the old content or the new."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.program import REPOSITORY


def found(directory: Path, *arguments: str) -> list[tuple[str, str]]:
    """Each system call of a replacement, and what the file has after a power failure at it."""
    for program in ("strace", "mkfs.ext4"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{program} is not installed")
    probe = "truncate -s 16M i && mkfs.ext4 -q -F i && mkdir -p m && mount -o loop i m"
    probed = subprocess.run(
        ["unshare", "-m", "sh", "-c", probe], cwd=directory, capture_output=True, text=True, check=False
    )
    if probed.returncode != 0:
        pytest.skip(f"no file system can be mounted: {probed.stderr.strip()}")
    done = subprocess.run(
        ["unshare", "-m", sys.executable, "-m", "tests.config.power_failure", directory, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return re.findall(r"^(\w+):\d+ (.*)$", done.stdout, re.MULTILINE)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("root")
def test_power_failure_at_any_system_call_leaves_the_old_content_or_the_new(tmp_path: Path) -> None:
    states = found(tmp_path)
    calls = [call for call, _ in states]
    assert len(calls) > 20
    renamed = calls.index("renameat")
    assert [state for _, state in states] == ["old"] * renamed + ["new"] * (len(calls) - renamed)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("root")
def test_power_failure_would_lose_content_that_is_not_written_to_the_disk(tmp_path: Path) -> None:
    """The proof that the test above can fail."""
    assert any(state not in ("old", "new") for _, state in found(tmp_path, "--without-fsync"))
