"""Exports that lose the connection: a unified image is resumed, a split image is not."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl import Client, DevLXDError, HostUnavailable, UnexpectedResponse
from devlxdctl.images.export import MAX_RESUMES
from tests.support.exports import (
    FINGERPRINT,
    IMAGE,
    UNIFIED_NAME,
    contents,
    export,
    part,
    range_response,
    split,
    unified,
)
from tests.support.raw_host import OCTET_STREAM, RawHost, Script, response
from tests.unit.conftest import StartSimulator


def is_resume(request: bytes) -> bool:
    return b"\r\nRange: " in request


def in_turn(*responses: bytes) -> Script:
    remaining: Iterator[bytes] = iter(responses)
    return lambda request: next(remaining)


def export_error(image_directory: Path, raw_host: RawHost) -> DevLXDError:
    with raw_host, Client(raw_host.path) as client, pytest.raises(DevLXDError) as caught:
        client.export_image(FINGERPRINT, image_directory)
    assert caught.value.subject == FINGERPRINT
    return caught.value


def test_unified_image_truncated_at_any_byte_is_completed(image_directory: Path) -> None:
    image = b"a short image"
    fingerprint = hashlib.sha256(image).hexdigest()
    complete = unified(image)
    head = complete.index(b"\r\n\r\n")
    for size in (*range(1, head, 9), *range(head, len(complete))):
        truncated = [complete[:size]]

        def script(request: bytes, truncated: list[bytes] = truncated) -> bytes:
            if truncated:
                return truncated.pop()
            return range_response(request, image) if is_resume(request) else complete

        export(image_directory, script, fingerprint, overwrite=True)
        assert contents(image_directory) == {UNIFIED_NAME: image}, size


def test_split_image_truncated_at_any_byte_is_lost(image_directory: Path) -> None:
    given = split(part("metadata", "m", b"metadata"), part("rootfs", "r", b"rootfs"))
    fingerprint = hashlib.sha256(b"metadatarootfs").hexdigest()
    # The raw host takes the bare head for a complete response, and keeps the connection.
    for size in range(given.index(b"\r\n\r\n") + 5, len(given) - len("0\r\n\r\n")):
        with pytest.raises(HostUnavailable) as caught:
            export(image_directory, given[:size], fingerprint)
        assert caught.value.problem.startswith("connection lost after "), size
        assert caught.value.problem.endswith(": truncated response; a split image cannot be resumed"), size
        assert contents(image_directory) == {}, size


def test_export_stops_after_five_resumes(socket_directory: Path, image_directory: Path) -> None:
    def script(request: bytes) -> bytes:
        return range_response(request, size=1) if is_resume(request) else unified()[: 1 - len(IMAGE)]

    raw_host = RawHost(socket_directory / "sock", script)
    error = export_error(image_directory, raw_host)
    done = 1 + MAX_RESUMES
    assert len(raw_host.requests) == 1 + MAX_RESUMES == 6
    assert error.problem == f"connection lost after {done} of {len(IMAGE)} bytes: truncated response"
    assert isinstance(error, HostUnavailable)
    assert contents(image_directory) == {}


def test_export_stops_after_two_resumes_without_progress(
    socket_directory: Path, image_directory: Path
) -> None:
    def script(request: bytes) -> bytes:
        return range_response(request, size=0) if is_resume(request) else unified()[:-100]

    raw_host = RawHost(socket_directory / "sock", script)
    error = export_error(image_directory, raw_host)
    size = len(IMAGE)
    assert error.problem == f"connection lost after {size - 100} of {size} bytes: truncated response"
    assert len(raw_host.requests) == 3
    assert contents(image_directory) == {}


def test_content_length_larger_than_the_body_is_a_lost_connection(image_directory: Path) -> None:
    with pytest.raises(HostUnavailable) as caught:
        export(image_directory, unified(length=len(IMAGE) + 10))
    assert caught.value.exit_status == 7
    assert contents(image_directory) == {}


def test_bytes_received_twice_are_skipped_where_the_host_ignores_ranges(image_directory: Path) -> None:
    export(image_directory, in_turn(unified()[:-100], unified()))
    assert contents(image_directory) == {UNIFIED_NAME: IMAGE}


@pytest.mark.parametrize("found", ["bytes 0-0/1", "octets 0-0/1"])
def test_another_range_than_requested_is_an_unexpected_response(
    found: str, socket_directory: Path, image_directory: Path
) -> None:
    other = response(b"x", OCTET_STREAM, "206 Partial Content", f"Content-Range: {found}\r\n")
    raw_host = RawHost(socket_directory / "sock", in_turn(unified()[:-100], other))
    error = export_error(image_directory, raw_host)
    size = len(IMAGE)
    requested = f"bytes {size - 100}-{size - 1}/{size}"
    assert error.problem == f"expected {requested}, the host sends {found}"
    assert isinstance(error, UnexpectedResponse)
    assert error.http_status == 206
    assert contents(image_directory) == {}


def test_export_is_resumed_after_a_restart_whatever_the_wait_of_the_client(
    start_simulator: StartSimulator, image_directory: Path
) -> None:
    """A restart removes the socket for a while, which `wait=0` otherwise does not wait for."""
    simulator = start_simulator(
        "config: {security.devlxd.images: 'true'}\nsimulator: {images: [{size: 4MiB}]}\n"
    )
    restarted = threading.Event()

    def progress(done: int, total: int | None) -> None:
        if not restarted.is_set():
            restarted.set()
            simulator.restart(down=0.3, wait=False)
            while simulator.path.exists():
                pass

    with Client(simulator.path, wait=0.0) as client:
        fingerprint = simulator.show()["images"][0]["fingerprint"]
        found = client.export_image(fingerprint, image_directory, progress=progress)
    assert [file.size for file in found.files] == [4 << 20]
