"""A cache that other users can write to, or could have written to, is not used."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bundle import small
from tests.bundle.sandbox import ATTACKER, ROOT, USER, Sandbox, plant, tree
from tests.support.program import Result

EVIL = "/home/attacker/evil/devlxdctl"


def test_cache_with_code_of_root_is_run(sandbox: Sandbox, program: str, small_archive: Path) -> None:
    # So that the tests below can fail: what they plant is run where its owner may be trusted.
    plant(sandbox, small_archive, "/var/cache/devlxdctl", user=ROOT)
    result = sandbox.run(program)
    assert (sandbox.proofs(), result.status) == ([str(ROOT)], 1)


def permit_by_access_control_list(directory: Path, user: int) -> None:
    """Let a user write to a directory that is its owner's alone by its mode."""
    entries = ((0x01, 7, -1), (0x02, 7, user), (0x04, 5, -1), (0x10, 7, -1), (0x20, 5, -1))
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(directory, "system.posix_acl_access", value)


Prepare = Callable[[Sandbox, Path], None]


def _parent_of_attacker(sandbox: Sandbox, archive: Path) -> None:
    os.chown(sandbox.cache, ATTACKER, ATTACKER)
    plant(sandbox, archive, "/var/cache/devlxdctl")


def _sticky_parent(sandbox: Sandbox, archive: Path) -> None:
    plant(sandbox, archive, "/var/cache/devlxdctl", user=ROOT)
    sandbox.cache.chmod(0o1777)


def _group_writable_parent(sandbox: Sandbox, archive: Path) -> None:
    plant(sandbox, archive, "/var/cache/devlxdctl", user=ROOT)
    sandbox.cache.chmod(0o775)


def _access_control_list(sandbox: Sandbox, archive: Path) -> None:
    plant(sandbox, archive, "/var/cache/devlxdctl", user=ROOT)
    permit_by_access_control_list(sandbox.cache, ATTACKER)


def _directory_of_attacker(sandbox: Sandbox, archive: Path) -> None:
    plant(sandbox, archive, EVIL)
    (sandbox.home / "attacker" / "evil" / "devlxdctl").rename(sandbox.cache / "devlxdctl")


def _link_to_attacker(sandbox: Sandbox, archive: Path) -> None:
    plant(sandbox, archive, EVIL)
    (sandbox.cache / "devlxdctl").symlink_to(EVIL)


def _link_to_directory_of_root_below_attacker(sandbox: Sandbox, archive: Path) -> None:
    plant(sandbox, archive, EVIL, user=ROOT)
    (sandbox.cache / "devlxdctl").mkdir()
    for directory in (sandbox.home / "attacker" / "evil" / "devlxdctl").iterdir():
        (sandbox.cache / "devlxdctl" / directory.name).symlink_to(f"{EVIL}/{directory.name}")


def _world_writable_directory(sandbox: Sandbox, archive: Path) -> None:
    plant(sandbox, archive, "/var/cache/devlxdctl", user=ROOT)
    for directory in (sandbox.cache / "devlxdctl").iterdir():
        directory.chmod(0o757)  # not for the group, which the other tests have


@pytest.mark.parametrize(
    "prepare",
    [
        *(_parent_of_attacker, _sticky_parent, _group_writable_parent, _access_control_list),
        *(
            _directory_of_attacker,
            _link_to_attacker,
            _link_to_directory_of_root_below_attacker,
            _world_writable_directory,
        ),
    ],
    ids=lambda prepare: prepare.__name__.strip("_"),
)
def test_root_runs_from_the_archive_where_others_can_write_to_its_cache(
    prepare: Prepare, sandbox: Sandbox, program: str, small_archive: Path
) -> None:
    prepare(sandbox, small_archive)
    before = tree(sandbox.cache), tree(sandbox.home)
    result = sandbox.run(program)
    assert (sandbox.proofs(), result) == ([], Result(0, small.OUTPUT, b""))
    assert (tree(sandbox.cache), tree(sandbox.home)) == before


def _home_of_attacker(sandbox: Sandbox) -> None:
    os.chown(sandbox.home / "user", ATTACKER, ATTACKER)


def _group_writable_home(sandbox: Sandbox) -> None:
    (sandbox.home / "user").chmod(0o770)


def _parent_of_homes_that_all_can_write_to(sandbox: Sandbox) -> None:
    sandbox.home.chmod(0o1777)


def _cache_of_attacker(sandbox: Sandbox) -> None:
    os.chown(sandbox.home / "user" / ".cache", ATTACKER, ATTACKER)


@pytest.mark.parametrize(
    "prepare",
    [
        *(_home_of_attacker, _group_writable_home, _parent_of_homes_that_all_can_write_to),
        _cache_of_attacker,
    ],
    ids=lambda prepare: prepare.__name__.strip("_"),
)
def test_user_runs_from_the_archive_where_others_can_write_to_the_home_directory(
    prepare: Callable[[Sandbox], None], sandbox: Sandbox, program: str, small_archive: Path
) -> None:
    plant(sandbox, small_archive, "/home/user/.cache/devlxdctl", user=USER)
    prepare(sandbox)
    before = tree(sandbox.home)
    result = sandbox.run(program, user=USER)
    assert (sandbox.proofs(), result) == ([], Result(0, small.OUTPUT, b""))
    assert tree(sandbox.home) == before


@pytest.mark.parametrize("how", ["owner", "mode", "link"])
def test_file_that_another_user_could_have_written_is_replaced(
    how: str, sandbox: Sandbox, program: str, small_archive: Path
) -> None:
    plant(sandbox, small_archive, "/var/cache/devlxdctl", user=ROOT)
    plant(sandbox, small_archive, EVIL, user=ROOT)
    files = [path for path in (sandbox.cache / "devlxdctl").glob("*-*-*/*") if path.is_file()]
    for path in files:
        if how == "owner":
            os.chown(path, ATTACKER, ATTACKER)
        elif how == "mode":
            path.chmod(0o666)
        else:
            path.unlink()
            path.symlink_to(f"{EVIL}/{path.parent.name}/{path.name}")
    for _ in range(2):
        result = sandbox.run(program)
        assert (sandbox.proofs(), result) == ([], Result(0, small.OUTPUT, b""))
    replaced = [
        path.name for path in files if path.lstat().st_mode == 0o100600 and path.lstat().st_uid == ROOT
    ]
    assert sorted(replaced) == small.CACHED
