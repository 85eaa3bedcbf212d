"""Exporting valid images: files, their names, streams, progress, and requests that are not sent."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import threading
from pathlib import Path

import pytest

from devlxdctl import Client, ExportedFile, ExportedImage, InvalidRequest
from devlxdctl.images.export import PIECE_SIZE
from tests.support.exports import (
    FINGERPRINT,
    IMAGE,
    METADATA,
    METADATA_NAME,
    PARTS,
    ROOTFS,
    ROOTFS_NAME,
    SPLIT_FINGERPRINT,
    UNIFIED_NAME,
    contents,
    export,
    part,
    split,
    unified,
)
from tests.support.raw_host import OCTET_STREAM, RawHost, response
from tests.unit.conftest import StartSimulator


def test_unified_image_is_one_file(image_directory: Path) -> None:
    file = ExportedFile(UNIFIED_NAME, f"{image_directory}/{UNIFIED_NAME}", len(IMAGE))
    assert export(image_directory, unified()) == ExportedImage(FINGERPRINT, "unified", (file,))
    assert contents(image_directory) == {UNIFIED_NAME: IMAGE}


def test_split_image_is_two_files(image_directory: Path) -> None:
    files = (
        ExportedFile(METADATA_NAME, f"{image_directory}/{METADATA_NAME}", len(METADATA)),
        ExportedFile(ROOTFS_NAME, f"{image_directory}/{ROOTFS_NAME}", len(ROOTFS)),
    )
    found = export(image_directory, split(), SPLIT_FINGERPRINT)
    assert found == ExportedImage(SPLIT_FINGERPRINT, "split", files)
    assert contents(image_directory) == {METADATA_NAME: METADATA, ROOTFS_NAME: ROOTFS}


def test_preamble_of_a_split_image_is_ignored(image_directory: Path) -> None:
    export(image_directory, split(b"preamble\r\n", *PARTS), SPLIT_FINGERPRINT)
    assert contents(image_directory) == {METADATA_NAME: METADATA, ROOTFS_NAME: ROOTFS}


def test_split_image_of_a_virtual_machine_is_exported(image_directory: Path) -> None:
    name = f"{SPLIT_FINGERPRINT}.qcow2"
    export(image_directory, split(PARTS[0], part("rootfs.img", name, ROOTFS)), SPLIT_FINGERPRINT)
    assert contents(image_directory) == {METADATA_NAME: METADATA, name: ROOTFS}


def test_empty_image_is_exported(image_directory: Path) -> None:
    export(image_directory, unified(b""), hashlib.sha256().hexdigest())
    assert contents(image_directory) == {UNIFIED_NAME: b""}


def test_image_without_content_length_is_exported(image_directory: Path) -> None:
    """The checksum shows that it is complete."""
    export(image_directory, b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n" + IMAGE)
    assert contents(image_directory) == {FINGERPRINT: IMAGE}


def test_unified_image_can_be_exported_to_a_file(socket_directory: Path, image_directory: Path) -> None:
    with RawHost(socket_directory / "sock", unified()) as raw_host, Client(raw_host.path) as client:
        found = client.export_image(FINGERPRINT, image_directory / "image")
    assert found.files == (ExportedFile("image", f"{image_directory}/image", len(IMAGE)),)
    assert contents(image_directory) == {"image": IMAGE}


def test_unified_image_can_be_exported_to_a_stream(socket_directory: Path) -> None:
    stream = io.BytesIO()
    with RawHost(socket_directory / "sock", unified()) as raw_host, Client(raw_host.path) as client:
        assert client.export_image(FINGERPRINT, stream) == ExportedImage(FINGERPRINT, "unified", ())
    assert stream.getvalue() == IMAGE


@pytest.mark.parametrize("is_stream", [True, False])
def test_split_image_can_be_exported_to_directories_only(
    is_stream: bool, socket_directory: Path, image_directory: Path
) -> None:
    with RawHost(socket_directory / "sock", split()) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(InvalidRequest) as caught:
            client.export_image(SPLIT_FINGERPRINT, io.BytesIO() if is_stream else image_directory / "file")
    problem = "is a split image of two files, which need an existing directory"
    assert str(caught.value) == f"{SPLIT_FINGERPRINT}: {problem}"
    assert contents(image_directory) == {}


def test_fingerprint_is_requested_in_lower_case(socket_directory: Path, image_directory: Path) -> None:
    with RawHost(socket_directory / "sock", unified()) as raw_host, Client(raw_host.path) as client:
        assert client.export_image(FINGERPRINT.upper(), image_directory).fingerprint == FINGERPRINT
    assert raw_host.requests[0].startswith(f"GET /1.0/images/{FINGERPRINT}/export HTTP".encode())


@pytest.mark.parametrize(
    "fingerprint", ["", "abc", FINGERPRINT[:-1], FINGERPRINT + "0", "g" * 64, "\u0661" * 64]
)
def test_incomplete_fingerprint_is_not_requested(
    fingerprint: str, socket_directory: Path, image_directory: Path
) -> None:
    with RawHost(socket_directory / "sock", unified()) as raw_host, Client(raw_host.path) as client:
        with pytest.raises(InvalidRequest) as caught:
            client.export_image(fingerprint, image_directory)
    assert raw_host.requests == []
    problem = "incomplete fingerprint, expected 64 hexadecimal digits"
    assert str(caught.value) == f"{fingerprint}: {problem}"


def test_progress_is_reported_after_each_piece(image_directory: Path) -> None:
    image = os.urandom(2 * PIECE_SIZE + 1)
    calls: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None) -> None:
        calls.append((done, total))

    export(image_directory, unified(image), hashlib.sha256(image).hexdigest(), progress=progress)
    assert calls == [(size, len(image)) for size in (PIECE_SIZE, 2 * PIECE_SIZE, 2 * PIECE_SIZE + 1)]
    calls.clear()
    export(image_directory, split(), SPLIT_FINGERPRINT, progress=progress)
    assert calls[-1] == (len(METADATA + ROOTFS), None)


def test_boundary_across_two_pieces_is_found(image_directory: Path) -> None:
    head = len(part("metadata", "m", b""))
    for size in range(PIECE_SIZE - head - 30, PIECE_SIZE - head + 30):
        metadata = b"\r\n--79a5" * (size // 8) + b"x" * (size % 8)
        parts = (part("metadata", "m", metadata), part("rootfs", "r", b"r"))
        fingerprint = hashlib.sha256(metadata + b"r").hexdigest()
        export(image_directory, split(*parts), fingerprint, overwrite=True)
        assert contents(image_directory) == {"m": metadata, "r": b"r"}


@pytest.mark.parametrize("kind", ["unified", "split"])
def test_connection_is_reused_after_an_export(
    kind: str, start_simulator: StartSimulator, image_directory: Path
) -> None:
    simulator = start_simulator(
        "config: {security.devlxd.images: 'true'}\n"
        f"simulator: {{images: [{{size: 300kB, type: {kind}}}]}}\n"
    )
    with Client(simulator.path) as client:
        client.export_image(simulator.show()["images"][0]["fingerprint"], image_directory)
        client.versions()
    assert simulator.connections == 1


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("filename=a.tar.xz", "a.tar.xz"),
        ('filename="a b.tar"', "a b.tar"),
        ('filename="ü.tar"', "Ã¼.tar"),
        ('filename="/etc/passwd"', "passwd"),
        ('filename="../../a"', "a"),
        ('filename="a/"', FINGERPRINT),
        ('filename=".."', FINGERPRINT),
        ('filename=".profile"', FINGERPRINT),
        ('filename="x/.profile"', FINGERPRINT),
        ("filename=-rf", FINGERPRINT),
        ('filename=""', FINGERPRINT),
        ('filename="a\x1b[31m"', FINGERPRINT),
        ('filename="a%0Ab"', FINGERPRINT),
        ('filename=" a "', FINGERPRINT),
        (f"filename={'x' * 256}", FINGERPRINT),
        (f"filename={'x' * 255}", "x" * 255),
        ("name=a", FINGERPRINT),
    ],
)
def test_file_has_the_name_that_the_host_gives_unless_it_is_unsafe(
    disposition: str, name: str, image_directory: Path
) -> None:
    export(image_directory, unified(name=disposition))
    assert list(contents(image_directory)) == [name]


def test_files_of_a_split_image_have_default_names_where_the_host_gives_none(image_directory: Path) -> None:
    parts = (part("metadata", "../.m", METADATA), part("rootfs", None, ROOTFS))
    export(image_directory, split(*parts), SPLIT_FINGERPRINT)
    assert contents(image_directory) == {f"meta-{SPLIT_FINGERPRINT}": METADATA, SPLIT_FINGERPRINT: ROOTFS}


def test_connection_of_an_interrupted_export_is_not_used_again(socket_directory: Path) -> None:
    """The rest of the image would be the response to the next request."""
    responses = [
        response(bytes(PIECE_SIZE), OCTET_STREAM, length=2 * PIECE_SIZE),
        response(b'["/1.0"]', "application/json"),
    ]
    connections: list[socket.socket] = []

    def respond() -> None:
        for each in responses:
            connections.append(listener.accept()[0])
            connections[-1].recv(1000)
            connections[-1].sendall(each)

    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with socket.socket(socket.AF_UNIX) as listener, Client(socket_directory / "sock", wait=0) as client:
        listener.bind(str(socket_directory / "sock"))
        listener.listen()
        thread = threading.Thread(target=respond, daemon=True)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            client.export_image(FINGERPRINT, io.BytesIO(), progress=interrupt)
        assert client.versions() == ["/1.0"]
        thread.join(60)
    for each in connections:
        each.close()
