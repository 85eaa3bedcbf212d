"""Images of the host: from the stream that it sends to files whose fingerprint was verified.

Hosts send an image in one of two shapes. A unified one is a body with a length and a file name. A split one
is multipart, chunked, of no known length: the parts `metadata` and `rootfs` (`rootfs.img` for virtual
machines), each with a file name, and the closing boundary twice. The fingerprint is the SHA-256 of the one
file, or of the two in this order.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from devlxdctl.digest import Digest
from devlxdctl.errors import BadData, InvalidRequest, NoHost, NotSupported, UnexpectedAnswer, Unreachable
from devlxdctl.exchange import Question
from devlxdctl.files import NewFile, NewFiles, base_name, cannot, refuse_existing
from devlxdctl.hints import hint
from devlxdctl.log import log
from devlxdctl.session import HostSession
from devlxdctl.stream import Stream

PIECE: Final = 3 * 1024 * 1024
"""Bytes that are read and hashed at a time: the more, the less often three programs on two processors have to
take turns, and the more memory it takes."""

CONTINUATIONS: Final = 5
"""How often a unified image is continued where its connection was lost."""

Progress = Callable[[int, int | None], None]
"""Is told of each piece: how many bytes there are by now, and of how many, None where that is not known."""


class Writer(Protocol):
    """A binary stream that takes all that it is given. What it raises passes through."""

    def write(self, data: bytes, /) -> object: ...


Output = str | os.PathLike[str] | Writer
"""Where an image goes: a directory that exists, the file that a unified image becomes, or a stream."""

_FINGERPRINT: Final = re.compile("[0-9A-Fa-f]{64}")
_PARTS: Final = (("metadata",), ("rootfs", "rootfs.img"))


@dataclass(frozen=True)
class ExportedFile:
    """A file of an image: its name, its path (which begins as the caller's did), its size in bytes."""

    name: str
    path: str
    size: int


@dataclass(frozen=True)
class Export:
    """An image that was exported and verified. A split one has two files, the metadata first.

    `files` is empty where the image went to a stream.
    """

    fingerprint: str
    type: Literal["unified", "split"]
    files: tuple[ExportedFile, ...]


def export(
    session: HostSession, fingerprint: str, output: Output, overwrite: bool, progress: Progress | None
) -> Export:
    """Exports an image, as `Client.image_export` says."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        # LXD before 6 takes any prefix, be it one digit, and answers with what it finds.
        advice = hint(session.locate(), "image", "partial")
        raise InvalidRequest(fingerprint, "a whole fingerprint is 64 hexadecimal digits", hint=advice)
    fingerprint = fingerprint.lower()
    path = os.fspath(output) if isinstance(output, (str, os.PathLike)) else None
    to_directory = path == "" or (path is not None and os.path.isdir(path))
    if path and not to_directory:
        _check_file(path, overwrite)
    question = Question("GET", f"/1.0/images/{fingerprint}/export", "image", key=fingerprint)
    with session.open(question) as stream, Digest() as digest:
        receiver = _Receiver(fingerprint, digest, progress)
        if stream.media_type == "multipart/form-data":
            if path is None or not to_directory:
                why = "it is a split image, which is two files: they need a directory that exists"
                raise InvalidRequest(fingerprint, why)
            with NewFiles(overwrite) as new:
                return receiver.split(stream, new, path)
        if stream.media_type != "application/octet-stream":
            raise _no_image(session, stream, question)
        body = _Unified(session, question, stream)
        if not isinstance(output, (str, os.PathLike)):
            return receiver.unified(body, output.write)
        path = os.fspath(output)
        if to_directory:
            name = _file_name(stream.headers.get("Content-Disposition"))
            path = os.path.join(path, base_name(name, fingerprint))
        with NewFiles(overwrite) as new:
            file = new.add(path)
            exported = receiver.unified(body, file.write, file)
            new.appear()
            return exported


def _check_file(path: str, overwrite: bool) -> None:
    """Raises `BadData` where no file can be made at `path`: known before the image is fetched."""
    try:
        os.stat(os.path.dirname(path) or ".")
    except OSError as error:
        raise cannot(path, error) from error
    if not os.path.basename(path):
        raise BadData(path, "no such directory")
    refuse_existing(path, overwrite)


def _no_image(session: HostSession, stream: Stream, question: Question) -> NotSupported | UnexpectedAnswer:
    """The error for a 200 that is no image. LXD 6.9 answers with its versions where it has no endpoint."""
    if stream.media_type == "application/json" and stream.read().strip() == b'["/1.0"]':
        advice = hint(session.socket, "image", 404)
        return NotSupported(question.what, "this host does not offer it", hint=advice, http_status=200)
    kind = stream.media_type or "of no type"
    return UnexpectedAnswer(question.what, f"the answer is {kind}, and no image", http_status=200)


class _Receiver:
    """Takes the pieces of one image to where they go, and to its digest on the way."""

    def __init__(self, fingerprint: str, digest: Digest, progress: Progress | None) -> None:
        self._fingerprint = fingerprint
        self._digest = digest
        self._progress = progress
        self._done = 0

    def unified(self, body: _Unified, write: Callable[[bytes], object], *new: NewFile) -> Export:
        with closing(body.pieces()) as pieces:
            for piece in pieces:
                self._take(piece, write, body.total)
        self._verify()
        return self._export("unified", *new)

    def split(self, stream: Stream, files: NewFiles, directory: str) -> Export:
        made: list[NewFile] = []
        for event in _parts(stream, self._fingerprint):
            if isinstance(event, (bytes, bytearray)):
                self._take(bytes(event), made[-1].write, None)
            elif not made:
                name = base_name(event, f"meta-{self._fingerprint}")
                made.append(files.add(os.path.join(directory, name)))
            else:
                name = base_name(event, self._fingerprint)
                if name == os.path.basename(made[0].path):
                    raise UnexpectedAnswer(self._fingerprint, f"both of its parts are called {name}")
                made.append(files.add(os.path.join(directory, name)))
        self._verify()
        files.appear()
        return self._export("split", *made)

    def _take(self, piece: bytes, write: Callable[[bytes], object], total: int | None) -> None:
        self._digest.update(piece)
        write(piece)
        self._done += len(piece)
        if self._progress is not None:
            self._progress(self._done, total)

    def _verify(self) -> None:
        found = self._digest.hexdigest()
        if found != self._fingerprint:
            why = f"the {self._done} bytes that came have another SHA-256, {found}"
            raise BadData(self._fingerprint, why)

    def _export(self, kind: Literal["unified", "split"], *new: NewFile) -> Export:
        files = tuple(ExportedFile(os.path.basename(each.path), each.path, each.size) for each in new)
        return Export(self._fingerprint, kind, files)


class _Unified:
    """The body of a unified image, continued with Range where the connection is lost."""

    def __init__(self, session: HostSession, question: Question, stream: Stream) -> None:
        self._session = session
        self._question = question
        self._stream = stream
        length = stream.headers.get("Content-Length", "")
        self.total = int(length) if length.isascii() and length.isdigit() else None
        """Size of the image in bytes, None where the host does not say."""

    def pieces(self) -> Generator[bytes, None, None]:
        """The image in pieces. Raises `Unreachable` when the connection is lost for good.

        That is after `CONTINUATIONS`, after two in a row that brought nothing, and when the host stays away.
        """
        done = barren = 0
        for attempt in range(CONTINUATIONS + 1):
            before = done
            try:
                with ExitStack() as stack:
                    stream = stack.enter_context(self._stream if attempt == 0 else self._continue(done))
                    skipped = done if stream.status == 200 else 0
                    for piece in stream.chunks(PIECE):
                        skip, skipped = min(len(piece), skipped), max(skipped - len(piece), 0)
                        done += len(piece) - skip
                        if piece[skip:]:
                            yield piece[skip:]
            except (NoHost, Unreachable) as error:
                barren = barren + 1 if done == before else 0
                lasts = isinstance(error, Unreachable) and not error.passing
                if self.total is None or lasts or barren == 2 or attempt == CONTINUATIONS:
                    raise _lost(error, self._question.what, done, self.total) from error
                log.info("%s: %s; it is continued after %d bytes", self._question.what, error.why, done)
            else:
                return

    def _continue(self, done: int) -> Stream:
        assert self.total is not None
        headers = {"Range": f"bytes={done}-"}
        stream = self._session.open(
            self._question._replace(headers=headers, expected=(200, 206), continues=True)
        )
        # Whatever stands in between may not know ranges: it sends all of it again, and says so with a 200.
        expected = f"bytes {done}-{self.total - 1}/{self.total}"
        found = stream.headers.get("Content-Range", "no range")
        if stream.status == 206 and found != expected:
            stream.close()
            why = f"asked for {expected}, the host continues with {found}"
            raise UnexpectedAnswer(self._question.what, why, http_status=206)
        return stream


def _lost(
    error: NoHost | Unreachable, what: str, done: int, total: int | None, more: str = ""
) -> Unreachable:
    of = f" of {total}" if total is not None else ""
    why = f"the connection was lost after {done}{of} bytes: {error.why}{more}"
    return Unreachable(what, why, hint=error.hint, http_status=error.http_status)


def _parts(stream: Stream, what: str) -> Iterator[bytes | str | None]:
    """The parts of a split image: of each its file name, None where it has none, then its bytes.

    Reads the answer to its end, which is behind the end of the last part: so the connection is kept. Raises
    `Unreachable` when it is lost, `BadData` for an image that ends too soon, and `UnexpectedAnswer` for
    anything but its two parts.
    """
    # Pure Python without dependencies; it streams, and was the fastest and most exact of those tried. The
    # standard library's `email` wants the whole body in memory.
    from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

    boundary = parse_options_header(stream.headers.get("Content-Type", ""))[1].get("boundary", "")
    done = parts = 0
    inside = False
    try:
        parser = PushMultipartParser(boundary)
        for chunk in stream.chunks(PIECE):
            if parser.closed:
                continue
            for event in parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    names: tuple[str, ...] = _PARTS[parts] if parts < len(_PARTS) else ()
                    if event.name not in names:
                        why = f"the part {event.name or 'without a name'} of a split image is out of place"
                        raise UnexpectedAnswer(what, why, http_status=200)
                    parts, inside = parts + 1, True
                    yield event.filename
                elif event is None:
                    inside = False
                else:
                    done += len(event)
                    yield event
        complete = _is_complete(parser)
    except MultipartError as error:
        raise UnexpectedAnswer(what, f"the answer is no multipart: {error}", http_status=200) from error
    except Unreachable as error:
        raise _lost(error, what, done, None, "; a split image cannot be continued") from error
    if not parts:
        raise UnexpectedAnswer(
            what, "the answer is multipart, without the parts of an image", http_status=200
        )
    if not complete or inside or parts < len(_PARTS):
        where = f"in the part {_PARTS[parts - 1][0]}, after {done} bytes"
        raise BadData(what, f"the image is incomplete: it ends {where}")


def _is_complete(parser: Any) -> bool:
    """Whether the closing boundary has come."""
    from multipart import MultipartError

    try:
        parser.close()
    except MultipartError:
        return False
    return True


def _file_name(disposition: str | None) -> str | None:
    """The file name in a Content-Disposition, which LXD and Incus write without quotes."""
    from multipart import content_disposition_unquote, parse_options_header

    if not disposition:
        return None
    options: Mapping[str, str] = parse_options_header(disposition, unquote=content_disposition_unquote)[1]
    return options.get("filename")
