"""Export of an image: from the response of the host to verified files.

Hosts send an image in one of two forms. A unified image is a body with Content-Length and a file name. A
split image is multipart and chunked, of unknown length: the parts `metadata` and `rootfs` (`rootfs.img` for
virtual machines), each with a file name, and the closing boundary twice. The fingerprint is the SHA-256 of
the one file, or of the two in this order.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from devlxdctl.atomic_files import AtomicFile, AtomicFiles, check_replaceable, safe_file_name, write_error
from devlxdctl.errors import (
    BadData,
    DevLXDError,
    HostUnavailable,
    InvalidRequest,
    NoDevLXD,
    UnexpectedResponse,
)
from devlxdctl.http.endpoints import IMAGE
from devlxdctl.http.messages import Request
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session
from devlxdctl.http.streaming import StreamedResponse
from devlxdctl.images.hashing import Sha256Thread
from devlxdctl.images.multipart import connection_lost, file_name, split_parts

__all__ = ["ExportedFile", "ExportedImage", "Output", "Progress"]

_log: Final = logging.getLogger(__name__)

PIECE_SIZE: Final = 512 * 1024
"""Bytes that are read, hashed and written at a time. They fit into a processor's cache: with 3 MiB, an export
took a tenth more processor time."""

MAX_RESUMES: Final = 5
"""How many times the download of a unified image is resumed."""

Progress = Callable[[int, int | None], None]
"""Called after each piece with the bytes so far and the size, None where it is unknown."""


class Writer(Protocol):
    """A binary stream that takes all bytes it gets. Its exceptions are not caught."""

    def write(self, data: bytes, /) -> object: ...


Output = str | os.PathLike[str] | Writer
"""Where an image goes: an existing directory, the file of a unified image, or a stream."""

_FINGERPRINT: Final = re.compile("[0-9A-Fa-f]{64}")


@dataclass(frozen=True)
class ExportedFile:
    """A file of an image.

    * `name`: the name that the host gives, or that of the output file.
    * `path`: its path, relative if the output was relative.
    * `size`: its size in bytes.
    """

    name: str
    path: str
    size: int


@dataclass(frozen=True)
class ExportedImage:
    """An exported and verified image. A split one has two files, the metadata first.

    `files` is empty where the image went to a stream.
    """

    fingerprint: str
    type: Literal["unified", "split"]
    files: tuple[ExportedFile, ...]


def export_image(
    session: Session,
    fingerprint: str,
    output: Output,
    overwrite: bool,
    progress: Progress | None,
    retry: RetryPolicy,
) -> ExportedImage:
    """See `Client.export_image`."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        # LXD before 6 accepts any prefix, even of one digit, and sends the first image that matches.
        advice = session.hint(IMAGE, "partial-fingerprint")
        problem = "incomplete fingerprint, expected 64 hexadecimal digits"
        raise InvalidRequest(fingerprint, problem, hint=advice)
    fingerprint = fingerprint.lower()
    path = os.fspath(output) if isinstance(output, (str, os.PathLike)) else None
    to_directory = path == "" or (path is not None and os.path.isdir(path))
    if path and not to_directory:
        _check_output_file(path, overwrite)
    request = Request("GET", f"/1.0/images/{fingerprint}/export", IMAGE, object=fingerprint)
    with session.open(request, retry) as response, Sha256Thread() as sha256:
        receiver = _Receiver(fingerprint, sha256, progress)
        if response.media_type == "multipart/form-data":
            if path is None or not to_directory:
                problem = "is a split image of two files, which need an existing directory"
                raise InvalidRequest(fingerprint, problem)
            with AtomicFiles(overwrite=overwrite) as files:
                return receiver.receive_split(response, files, path)
        if response.media_type != IMAGE.content_type:
            raise _not_an_image(session, response, request)
        download = _UnifiedDownload(session, request, response, retry)
        if not isinstance(output, (str, os.PathLike)):
            return receiver.receive_unified(download, output.write)
        path = os.fspath(output)
        if to_directory:
            name = file_name(response.headers.get("Content-Disposition"))
            path = os.path.join(path, safe_file_name(name, fingerprint))
        with AtomicFiles(overwrite=overwrite) as files:
            file = files.add(path)
            exported = receiver.receive_unified(download, file.write, file)
            files.publish()
            return exported


def _check_output_file(path: str, overwrite: bool) -> None:
    """Raise `BadData` where no file can be created at `path`, before anything is downloaded."""
    try:
        os.stat(os.path.dirname(path) or ".")
    except OSError as error:
        raise write_error(path, error) from error
    if not os.path.basename(path):
        raise BadData(path, "no such directory")
    check_replaceable(path, overwrite)


def _not_an_image(session: Session, response: StreamedResponse, request: Request) -> DevLXDError:
    """The error for status 200 with another content type."""
    if response.media_type == "application/json" and response.read().strip() == b'["/1.0"]':
        return session.not_supported(request)
    problem = f"unexpected content type {response.media_type or 'none'}"
    return UnexpectedResponse(request.subject, problem, http_status=200)


class _Receiver:
    """Passes the pieces of one image to their destination and to the hash."""

    def __init__(self, fingerprint: str, sha256: Sha256Thread, progress: Progress | None) -> None:
        self._fingerprint = fingerprint
        self._sha256 = sha256
        self._progress = progress
        self._done = 0

    def receive_unified(
        self, download: _UnifiedDownload, write: Callable[[bytes], object], *files: AtomicFile
    ) -> ExportedImage:
        with closing(download.pieces()) as pieces:
            for piece in pieces:
                self._receive(piece, write, download.total)
        self._verify()
        return self._result("unified", *files)

    def receive_split(self, response: StreamedResponse, files: AtomicFiles, directory: str) -> ExportedImage:
        created: list[AtomicFile] = []
        for item in split_parts(response, self._fingerprint, PIECE_SIZE):
            if isinstance(item, (bytes, bytearray)):
                self._receive(bytes(item), created[-1].write, None)
            elif not created:
                name = safe_file_name(item, f"meta-{self._fingerprint}")
                created.append(files.add(os.path.join(directory, name)))
            else:
                name = safe_file_name(item, self._fingerprint)
                if name == os.path.basename(created[0].path):
                    raise UnexpectedResponse(self._fingerprint, f"both parts have the file name {name}")
                created.append(files.add(os.path.join(directory, name)))
        self._verify()
        files.publish()
        return self._result("split", *created)

    def _receive(self, piece: bytes, write: Callable[[bytes], object], total: int | None) -> None:
        self._sha256.update(piece)
        write(piece)
        self._done += len(piece)
        if self._progress is not None:
            self._progress(self._done, total)

    def _verify(self) -> None:
        found = self._sha256.hexdigest()
        if found != self._fingerprint:
            problem = f"checksum mismatch: the SHA-256 of the {self._done} bytes received is {found}"
            raise BadData(self._fingerprint, problem)

    def _result(self, kind: Literal["unified", "split"], *files: AtomicFile) -> ExportedImage:
        exported = (ExportedFile(os.path.basename(file.path), file.path, file.size) for file in files)
        return ExportedImage(self._fingerprint, kind, tuple(exported))


class _UnifiedDownload:
    """The body of a unified image, resumed with Range when the connection is lost."""

    def __init__(
        self, session: Session, request: Request, response: StreamedResponse, retry: RetryPolicy
    ) -> None:
        self._session = session
        self._request = request
        self._response = response
        self._retry = retry
        length = response.headers.get("Content-Length", "")
        self.total = int(length) if length.isascii() and length.isdigit() else None
        """Size of the image in bytes, None where the host does not send it."""

    def pieces(self) -> Generator[bytes, None, None]:
        """Yield the image in pieces. Raises `HostUnavailable` when the connection is lost for good.

        That is after `MAX_RESUMES`, after two in a row without progress, and when the host stays unavailable.
        """
        from devlxdctl.http.error_mapping import is_timeout

        done = without_progress = 0
        for attempt in range(MAX_RESUMES + 1):
            before = done
            try:
                with ExitStack() as stack:
                    response = stack.enter_context(self._response if attempt == 0 else self._resume(done))
                    skipped = done if response.status == 200 else 0
                    for piece in response.chunks(PIECE_SIZE):
                        skip, skipped = min(len(piece), skipped), max(skipped - len(piece), 0)
                        done += len(piece) - skip
                        if piece[skip:]:
                            yield piece[skip:]
            except (NoDevLXD, HostUnavailable) as error:
                without_progress = without_progress + 1 if done == before else 0
                is_last = is_timeout(error) or without_progress == 2 or attempt == MAX_RESUMES
                if self.total is None or is_last:
                    raise connection_lost(error, self._request.subject, done, self.total) from error
                _log.info("%s: %s; resuming after %d bytes", self._request.subject, error.problem, done)
            else:
                return

    def _resume(self, done: int) -> StreamedResponse:
        assert self.total is not None
        headers = {"Range": f"bytes={done}-"}
        request = self._request._replace(headers=headers, expected=(200, 206), resumes=True)
        response = self._session.open(request, self._retry)
        # Something in between may not support ranges: it sends the whole image, with status 200.
        expected = f"bytes {done}-{self.total - 1}/{self.total}"
        found = response.headers.get("Content-Range", "no range")
        if response.status == 206 and found != expected:
            response.close()
            problem = f"expected {expected}, the host sends {found}"
            raise UnexpectedResponse(self._request.subject, problem, http_status=206)
        return response
