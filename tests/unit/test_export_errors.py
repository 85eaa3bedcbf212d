"""Responses that are no valid image: the error for each, and no file is left."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from devlxdctl import (
    BadData,
    DevLXDError,
    NotFound,
    NotSupported,
    PermissionDenied,
    UnexpectedResponse,
)
from tests.support.exports import (
    BOUNDARY,
    END,
    FINGERPRINT,
    IMAGE,
    METADATA,
    PARTS,
    ROOTFS,
    SPLIT_FINGERPRINT,
    contents,
    export,
    part,
    split,
    unified,
)
from tests.support.raw_host import OCTET_STREAM, response

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


def json_error(status: int, text: str) -> bytes:
    """The body of an error of the host's main API."""
    return f'{{"type":"error","error_code":{status},"error":"{text}"}}\n\n'.encode()


def checksum_mismatch(data: bytes) -> str:
    found = hashlib.sha256(data).hexdigest()
    return f"checksum mismatch: the SHA-256 of the {len(data)} bytes received is {found}"


NO_PARTS = "multipart response without the parts of an image"
RESPONSES: dict[str, tuple[bytes, type[DevLXDError], str]] = {
    "other data": (unified(IMAGE[:-1]), BadData, checksum_mismatch(IMAGE[:-1])),
    "HTML": (response(b"<html>", "text/html"), UnexpectedResponse, "unexpected content type text/html"),
    "no content type": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        UnexpectedResponse,
        "unexpected content type none",
    ),
    "other JSON": (response(b"{}"), UnexpectedResponse, "unexpected content type application/json"),
    "versions, as of LXD 6.9 for an unknown path": (
        response(b'["/1.0"]\n'),
        NotSupported,
        "not supported by this host",
    ),
    "status 403 as text": (
        response(b"not authorized\n", TEXT, "403 Forbidden"),
        PermissionDenied,
        "permission denied",
    ),
    "status 403 as JSON": (
        response(json_error(403, "Forbidden"), JSON, "403 Forbidden"),
        PermissionDenied,
        "permission denied",
    ),
    "status 404 as JSON": (
        response(json_error(404, "Image not found"), JSON, "404 Not Found"),
        NotFound,
        "no such image, or it is private",
    ),
    "status 404 as text": (
        response(b"404 page not found\n", TEXT, "404 Not Found"),
        NotSupported,
        "not supported by this host",
    ),
    "status 206 to a request without a range": (
        response(IMAGE, OCTET_STREAM, "206 Partial Content"),
        UnexpectedResponse,
        "HTTP status 206",
    ),
    "compressed": (
        response(gzip.compress(IMAGE), OCTET_STREAM, extra="Content-Encoding: gzip\r\n"),
        UnexpectedResponse,
        "unexpected Content-Encoding",
    ),
    "another boundary": (
        split(content_type="multipart/form-data; boundary=xyz"),
        UnexpectedResponse,
        NO_PARTS,
    ),
    "another boundary of 10,000 characters": (
        split(content_type=f"multipart/form-data; boundary={'x' * 10_000}"),
        UnexpectedResponse,
        NO_PARTS,
    ),
    "no boundary": (
        split(content_type="multipart/form-data"),
        UnexpectedResponse,
        "invalid multipart response: Empty boundary",
    ),
    "no parts": (split(b"", end=END), UnexpectedResponse, NO_PARTS),
    "no metadata": (split(PARTS[1]), UnexpectedResponse, "unexpected part rootfs of a split image"),
    "parts in the wrong order": (
        split(*PARTS[::-1]),
        UnexpectedResponse,
        "unexpected part rootfs of a split image",
    ),
    "second rootfs": (
        split(*PARTS, part("rootfs", "x", b"x")),
        UnexpectedResponse,
        "unexpected part rootfs of a split image",
    ),
    "second metadata": (
        split(PARTS[0], PARTS[0], PARTS[1]),
        UnexpectedResponse,
        "unexpected part metadata of a split image",
    ),
    "third part": (
        split(*PARTS, part("other", "x", b"x")),
        UnexpectedResponse,
        "unexpected part other of a split image",
    ),
    "other part instead of rootfs": (
        split(PARTS[0], part("other", "x", ROOTFS)),
        UnexpectedResponse,
        "unexpected part other of a split image",
    ),
    "part without a name": (
        split(PARTS[0].replace(b' name="metadata";', b"")),
        UnexpectedResponse,
        "unexpected part without a name of a split image",
    ),
    "same file name for both parts": (
        split(part("metadata", "a", METADATA), part("rootfs", "a", ROOTFS)),
        UnexpectedResponse,
        "both parts have the file name a",
    ),
    "no rootfs": (
        split(PARTS[0]),
        BadData,
        f"truncated image: it ends in the part metadata, after {len(METADATA)} bytes",
    ),
    "no closing boundary": (
        split(end=b""),
        BadData,
        f"truncated image: it ends in the part rootfs, after {len(METADATA + ROOTFS)} bytes",
    ),
    "another part announced": (
        split(end=f"--{BOUNDARY}\r\n".encode()),
        BadData,
        f"truncated image: it ends in the part rootfs, after {len(METADATA + ROOTFS)} bytes",
    ),
    "header without a colon": (
        split(f"--{BOUNDARY}\r\nx\r\n\r\n".encode()),
        UnexpectedResponse,
        "invalid multipart response: Malformed segment header",
    ),
    "wrong length of a part": (
        split(PARTS[0].replace(b"\r\n\r\n", b"\r\nContent-Length: 10\r\n\r\n", 1)),
        UnexpectedResponse,
        "invalid multipart response: Segment Content-Length exceeded",
    ),
    "header of 1 MB": (
        split(PARTS[0].replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n", 1), PARTS[1]),
        UnexpectedResponse,
        "invalid multipart response: Maximum segment header length exceeded",
    ),
    "1000 headers": (
        split(PARTS[0].replace(b"\r\n\r\n", b"\r\nX: x" * 1000 + b"\r\n\r\n", 1), PARTS[1]),
        UnexpectedResponse,
        "invalid multipart response: Maximum segment header count exceeded",
    ),
    "part without Content-Disposition": (
        split(PARTS[0].replace(b"Content-Disposition", b"X-Disposition"), PARTS[1]),
        UnexpectedResponse,
        "invalid multipart response: Missing Content-Disposition segment header",
    ),
    "line feeds instead of CRLF": (
        split(*(each.replace(b"\r\n", b"\n") for each in PARTS)),
        UnexpectedResponse,
        "invalid multipart response: Invalid line break after first boundary",
    ),
    "other data in the rootfs": (
        split(PARTS[0], part("rootfs", "x", b"x")),
        BadData,
        checksum_mismatch(METADATA + b"x"),
    ),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_response_without_a_valid_image_is_an_error_and_leaves_no_file(
    name: str, image_directory: Path
) -> None:
    given, kind, problem = RESPONSES[name]
    fingerprint = SPLIT_FINGERPRINT if b"multipart" in given else FINGERPRINT
    with pytest.raises(DevLXDError) as caught:
        export(image_directory, given, fingerprint)
    error = caught.value
    assert (type(error), error.subject, error.problem) == (kind, fingerprint, problem)
    assert contents(image_directory) == {}
