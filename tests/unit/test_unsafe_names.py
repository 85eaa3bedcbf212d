"""Names of files that another user or the host chose: nothing is written through a link."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from devlxdctl import AtomicFiles, BadData
from devlxdctl.atomic_files import safe_file_name
from devlxdctl.config.replacement import Owner, replace_file
from devlxdctl.guest import find_product


@pytest.mark.parametrize(("target", "exists"), [("victim", True), ("missing", False)])
def test_link_with_the_name_of_the_temporary_file_is_not_written_through(
    target: str, exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attacker would have to guess eight random bytes."""
    (tmp_path / "victim").write_bytes(b"old")
    (tmp_path / ".devlxdctl-0000000000000000").symlink_to(target)
    monkeypatch.setattr(os, "urandom", bytes)
    with pytest.raises(BadData) as caught, AtomicFiles(overwrite=True) as files:
        files.add(str(tmp_path / "new"))
    assert str(caught.value) == f"{tmp_path}/new: file exists"
    assert (tmp_path / target).exists() is exists
    assert (tmp_path / "victim").read_bytes() == b"old"


@pytest.mark.parametrize(("target", "exists"), [("victim", True), ("missing", False)])
def test_link_with_the_name_of_the_temporary_file_of_a_key_is_not_written_through(
    target: str, exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "victim").write_bytes(b"old")
    monkeypatch.setattr(os, "urandom", bytes)
    monkeypatch.setattr("devlxdctl.config.replacement._temporary_prefix", lambda name: ".temporary-")
    (tmp_path / ".temporary-0000000000000000").symlink_to(target)
    with pytest.raises(BadData) as caught:
        replace_file(str(tmp_path / "new"), b"new", 0o600, Owner(), None)
    assert str(caught.value) == f"{tmp_path}/new: file exists"
    assert (tmp_path / target).exists() is exists
    assert (tmp_path / "victim").read_bytes() == b"old"


def test_file_created_at_the_last_moment_is_not_replaced_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: str, target: str, **options: object) -> None:
        (tmp_path / "new").symlink_to("victim")
        raise OSError(errno.EPERM, "Operation not permitted")

    (tmp_path / "victim").write_bytes(b"old")
    monkeypatch.setattr(os, "link", link)
    with pytest.raises(BadData) as caught, AtomicFiles(overwrite=None) as files:
        files.add(str(tmp_path / "new")).write(b"new")
        files.publish()
    assert str(caught.value) == f"{tmp_path}/new: exists already"
    assert (tmp_path / "new").is_symlink()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"new": b"old", "victim": b"old"}


def test_replaced_link_is_restored_as_a_link(tmp_path: Path) -> None:
    """The first file is published, the second cannot be: the first is what it was."""
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "a").symlink_to("target")
    with pytest.raises(BadData), AtomicFiles(overwrite=True) as files:
        for name in ("a", "b"):
            files.add(str(tmp_path / name)).write(b"new")
        for file in files._files:
            file.close()
        files._files[0].publish(True, keep_backup=True)
        (tmp_path / "b").mkdir()
        files._files[1].publish(True, keep_backup=False)
    assert os.readlink(tmp_path / "a") == "target"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "target"]


@pytest.mark.parametrize(
    ("name", "is_safe"),
    [("a" * 255, True), ("a" * 256, False), ("ü" * 127 + "a", True), ("ü" * 128, False)],
    ids=["255 letters", "256 letters", "255 bytes", "256 bytes"],
)
def test_file_name_of_the_host_has_at_most_255_bytes(name: str, is_safe: bool) -> None:
    assert safe_file_name(name, "default") == (name if is_safe else "default")


def test_directory_behind_a_link_decides_the_product(tmp_path: Path) -> None:
    """Virtual machines of Incus have `/dev/lxd` as a link."""
    (tmp_path / "incus").mkdir()
    (tmp_path / "lxd").symlink_to("incus")
    assert find_product(str(tmp_path / "lxd" / "sock")) == "Incus"
    assert find_product(str(tmp_path / "incus" / "sock")) == "Incus"
