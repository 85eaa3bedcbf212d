"""Images on the wire, as hosts send them and as they should not."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path
from socket import socket

from tests.support.raw_host import RawHost, Script, response

BOUNDARY = "79a5c207"
UNIFIED = "application/octet-stream"
SPLIT = f"multipart/form-data; boundary={BOUNDARY}"

IMAGE = bytes(range(256)) * 8
FINGERPRINT = hashlib.sha256(IMAGE).hexdigest()
METADATA, ROOTFS = b"metadata\r\n--79a5\r\n" * 3, b"\r\n--79a5c20" + IMAGE
SPLIT_FINGERPRINT = hashlib.sha256(METADATA + ROOTFS).hexdigest()


def unified(body: bytes = IMAGE, name: str | None = None, length: int | None = None) -> bytes:
    """An answer with a unified image; `name` is all that follows `inline;` in its Content-Disposition."""
    name = f"filename={FINGERPRINT}.tar.xz" if name is None else name
    return response(body, UNIFIED, extra=f"Content-Disposition: inline;{name}\r\n", length=length)


def part(name: str, file: str | None, data: bytes) -> bytes:
    """A part of a split image."""
    given = f'; filename="{file}"' if file is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{given}\r\n'
    return f"{head}Content-Type: {UNIFIED}\r\n\r\n".encode() + data + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode() + f"\r\n--{BOUNDARY}--\r\n".encode()
"""The closing boundary, twice as on all hosts."""
PARTS = (
    part("metadata", f"meta-{SPLIT_FINGERPRINT}.tar.xz", METADATA),
    part("rootfs", f"{SPLIT_FINGERPRINT}.squashfs", ROOTFS),
)


def split(*parts: bytes, end: bytes = END, kind: str = SPLIT) -> bytes:
    """An answer with these parts, in chunks; with those of a good image where there are none."""
    body = b"".join(parts or PARTS) + end
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in _pieces(body))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + chunks + b"0\r\n\r\n"


def _pieces(body: bytes) -> Iterable[bytes]:
    return (body[start : start + 32768] for start in range(0, len(body), 32768))


def rest(request: bytes, image: bytes = IMAGE, bring: int | None = None) -> bytes:
    """The answer to a request with a Range from somewhere on; `bring` bytes of it, where that is given."""
    head = request.partition(b"\r\nRange: bytes=")[2]
    start = int(head.partition(b"-")[0])
    spans = f"Content-Range: bytes {start}-{len(image) - 1}/{len(image)}\r\n"
    whole = response(image[start:], UNIFIED, "206 Partial Content", spans)
    return whole if bring is None else whole[: len(whole) - len(image) + start + bring]


class Holding(RawHost):
    """Sends what it has, and then neither more nor the end, until it is closed. `sent` says that it has."""

    def __init__(self, path: Path, script: Script | bytes | None) -> None:
        super().__init__(path, script)
        self.sent = threading.Event()
        self._over = threading.Event()

    def __enter__(self) -> Holding:
        super().__enter__()
        return self

    def _send(self, connection: socket, given: bytes) -> None:
        super()._send(connection, given)
        self.sent.set()
        self._over.wait(60)

    def __exit__(self, *error: object) -> None:
        self._over.set()
        super().__exit__(None, None, None)
