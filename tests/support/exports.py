"""Responses of an image export, as hosts send them and malformed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from devlxdctl import Client, ExportedImage
from tests.support.raw_host import OCTET_STREAM, RawHost, Script, response

BOUNDARY = "79a5c207"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"

IMAGE = bytes(range(256)) * 8
FINGERPRINT = hashlib.sha256(IMAGE).hexdigest()
# Both contain beginnings of the boundary.
METADATA, ROOTFS = b"metadata\r\n--79a5\r\n" * 3, b"\r\n--79a5c20" + IMAGE
SPLIT_FINGERPRINT = hashlib.sha256(METADATA + ROOTFS).hexdigest()

UNIFIED_NAME = f"{FINGERPRINT}.tar.xz"
METADATA_NAME, ROOTFS_NAME = f"meta-{SPLIT_FINGERPRINT}.tar.xz", f"{SPLIT_FINGERPRINT}.squashfs"


def unified(body: bytes = IMAGE, name: str | None = None, length: int | None = None) -> bytes:
    """Return the response for a unified image.

    * `name`: what follows `inline;` in the Content-Disposition, by default the usual file name.
    * `length`: the value of Content-Length, by default the length of `body`.
    """
    name = f"filename={UNIFIED_NAME}" if name is None else name
    return response(body, OCTET_STREAM, extra=f"Content-Disposition: inline;{name}\r\n", length=length)


def part(name: str, file: str | None, data: bytes) -> bytes:
    """Return a part of a split image, with the file name `file` unless that is None."""
    file_name = f'; filename="{file}"' if file is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file_name}\r\n'
    return f"{head}Content-Type: {OCTET_STREAM}\r\n\r\n".encode() + data + b"\r\n"


END = f"--{BOUNDARY}--\r\n\r\n--{BOUNDARY}--\r\n".encode()
"""The closing boundary, twice as on all hosts."""
PARTS = (part("metadata", METADATA_NAME, METADATA), part("rootfs", ROOTFS_NAME, ROOTFS))


def split(*parts: bytes, end: bytes = END, content_type: str = MULTIPART) -> bytes:
    """Return the response for a split image of `parts`, by default `PARTS`, in chunks."""
    body = b"".join(parts or PARTS) + end
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in _chunks(body))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + chunks + b"0\r\n\r\n"


def _chunks(body: bytes) -> Iterable[bytes]:
    return (body[start : start + 32768] for start in range(0, len(body), 32768))


def range_response(request: bytes, image: bytes = IMAGE, size: int | None = None) -> bytes:
    """Return the response to a request for the rest of an image.

    With `size`, it is truncated after that number of bytes of the body.
    """
    value = request.partition(b"\r\nRange: bytes=")[2]
    start = int(value.partition(b"-")[0])
    content_range = f"Content-Range: bytes {start}-{len(image) - 1}/{len(image)}\r\n"
    complete = response(image[start:], OCTET_STREAM, "206 Partial Content", content_range)
    return complete if size is None else complete[: len(complete) - len(image) + start + size]


@pytest.fixture
def image_directory(socket_directory: Path) -> Path:
    """An empty directory for exported images."""
    path = socket_directory / "images"
    path.mkdir()
    return path


def export(
    directory: Path, script: Script | bytes, fingerprint: str = FINGERPRINT, **options: object
) -> ExportedImage:
    """Export an image into `directory`, from a host that responds with `script`, and return the result."""
    socket = directory.parent / "sock"
    socket.unlink(missing_ok=True)
    with RawHost(socket, script) as raw_host, Client(raw_host.path) as client:
        return client.export_image(fingerprint, directory, **options)  # type: ignore[arg-type]


def contents(directory: Path) -> dict[str, bytes]:
    """Return the content of all files in `directory` by name, hidden ones included."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}
