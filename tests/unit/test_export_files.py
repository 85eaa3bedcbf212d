"""Exports into a directory where something exists already, or where nothing can be created."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devlxdctl import BadData, Client
from tests.support.exports import (
    FINGERPRINT,
    IMAGE,
    ROOTFS_NAME,
    SPLIT_FINGERPRINT,
    UNIFIED_NAME,
    contents,
    export,
    split,
    unified,
)
from tests.support.raw_host import RawHost


def test_existing_file_is_not_replaced(image_directory: Path) -> None:
    (image_directory / UNIFIED_NAME).write_bytes(b"old")
    with pytest.raises(BadData) as caught:
        export(image_directory, unified())
    assert str(caught.value) == f"{image_directory}/{UNIFIED_NAME}: exists already"
    assert caught.value.hint == "replace it with --force"
    assert contents(image_directory) == {UNIFIED_NAME: b"old"}


def test_existing_file_is_replaced_with_overwrite(image_directory: Path) -> None:
    (image_directory / UNIFIED_NAME).write_bytes(b"old")
    export(image_directory, unified(), overwrite=True)
    assert contents(image_directory) == {UNIFIED_NAME: IMAGE}


def test_image_with_a_checksum_mismatch_replaces_nothing(image_directory: Path) -> None:
    (image_directory / UNIFIED_NAME).write_bytes(b"old")
    with pytest.raises(BadData):
        export(image_directory, unified(b"x"), overwrite=True)
    assert contents(image_directory) == {UNIFIED_NAME: b"old"}


@pytest.mark.parametrize("overwrite", [True, False])
def test_target_of_a_symbolic_link_is_not_written(overwrite: bool, image_directory: Path) -> None:
    target, link = image_directory.parent / "target", image_directory / UNIFIED_NAME
    target.write_bytes(b"old")
    link.symlink_to(target)
    if overwrite:
        export(image_directory, unified(), overwrite=True)
    else:
        with pytest.raises(BadData):
            export(image_directory, unified())
    assert link.is_symlink() is not overwrite
    assert target.read_bytes() == b"old"


def test_dangling_symbolic_link_is_not_replaced_and_its_target_not_created(image_directory: Path) -> None:
    (image_directory / UNIFIED_NAME).symlink_to(image_directory.parent / "missing")
    with pytest.raises(BadData):
        export(image_directory, unified())
    assert not (image_directory.parent / "missing").exists()


@pytest.mark.parametrize("overwrite", [True, False])
def test_directory_and_device_are_never_replaced(
    overwrite: bool, socket_directory: Path, image_directory: Path
) -> None:
    (image_directory / UNIFIED_NAME).mkdir()
    (image_directory / "null").symlink_to("/dev/null")
    with RawHost(socket_directory / "sock", unified()) as raw_host, Client(raw_host.path) as client:
        for output in (image_directory, image_directory / "null"):
            with pytest.raises(BadData) as caught:
                client.export_image(FINGERPRINT, output, overwrite=overwrite)
            suffix = " and is not a regular file" if overwrite else ""
            assert caught.value.problem == f"exists already{suffix}"
    assert sorted(path.name for path in image_directory.iterdir()) == [UNIFIED_NAME, "null"]
    assert (image_directory / "null").is_symlink()


def test_existing_second_file_of_a_split_image_prevents_the_first(image_directory: Path) -> None:
    (image_directory / ROOTFS_NAME).write_bytes(b"old")
    with pytest.raises(BadData):
        export(image_directory, split(), SPLIT_FINGERPRINT)
    assert contents(image_directory) == {ROOTFS_NAME: b"old"}


@pytest.mark.parametrize("fingerprint", [FINGERPRINT, SPLIT_FINGERPRINT])
def test_file_created_during_the_download_is_not_replaced(fingerprint: str, image_directory: Path) -> None:
    name = UNIFIED_NAME if fingerprint == FINGERPRINT else ROOTFS_NAME

    def progress(done: int, total: int | None) -> None:
        (image_directory / name).write_bytes(b"new")

    given = unified() if fingerprint == FINGERPRINT else split()
    with pytest.raises(BadData) as caught:
        export(image_directory, given, fingerprint, progress=progress)
    assert str(caught.value) == f"{image_directory}/{name}: exists already"
    assert contents(image_directory) == {name: b"new"}


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing/file", "no such file or directory"),
        ("missing/", "no such file or directory"),
        ("file/image", "not a directory"),
        ("file", "exists already"),
    ],
)
def test_output_that_cannot_be_created_sends_no_request(
    path: str, problem: str, socket_directory: Path
) -> None:
    (socket_directory / "file").touch()
    with RawHost(socket_directory / "sock", unified()) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(BadData) as caught:
            client.export_image(FINGERPRINT, f"{socket_directory}/{path}")
    assert raw_host.requests == []
    assert str(caught.value) == f"{socket_directory}/{path}: {problem}"


@pytest.mark.parametrize(("umask", "mode"), [(0, 0o666), (0o022, 0o644), (0o077, 0o600), (0o777, 0)])
def test_exported_file_has_the_mode_that_the_umask_leaves(
    umask: int, mode: int, image_directory: Path
) -> None:
    before = os.umask(umask)
    try:
        export(image_directory, unified())
    finally:
        os.umask(before)
    assert (image_directory / UNIFIED_NAME).stat().st_mode & 0o777 == mode
