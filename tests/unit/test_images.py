"""`Client.export_image`: what hosts send, well and badly, and the files that come of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from pathlib import Path

import pytest

from devlxdctl import (
    BadData,
    Client,
    DevLXDError,
    ExportedFile,
    ExportedImage,
    HostUnavailable,
    InvalidRequest,
    NotFound,
    NotSupported,
    PermissionDenied,
    UnexpectedResponse,
)
from devlxdctl.images.export import MAX_RESUMES, PIECE_SIZE
from devlxdctl.simulator import Simulator
from tests.support.exports import (
    BOUNDARY,
    END,
    FINGERPRINT,
    IMAGE,
    METADATA,
    PARTS,
    ROOTFS,
    SPLIT_FINGERPRINT,
    UNIFIED,
    part,
    rest,
    split,
    unified,
)
from tests.support.raw_host import RawHost, Script, response

META_NAME, ROOTFS_NAME = f"meta-{SPLIT_FINGERPRINT}.tar.xz", f"{SPLIT_FINGERPRINT}.squashfs"


@pytest.fixture
def to(short: Path) -> Path:
    path = short / "to"
    path.mkdir()
    return path


def export(
    short: Path, script: Script | bytes, fingerprint: str = FINGERPRINT, **how: object
) -> ExportedImage:
    """Exports into the directory `to`, from a host that answers with `script`."""
    (short / "sock").unlink(missing_ok=True)
    with RawHost(short / "sock", script) as host, Client(host.path) as client:
        return client.export_image(fingerprint, short / "to", **how)  # type: ignore[arg-type]


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


class TestGoodImages:
    def test_unified(self, short: Path, to: Path) -> None:
        found = export(short, unified())
        name = f"{FINGERPRINT}.tar.xz"
        assert found == ExportedImage(
            FINGERPRINT, "unified", (ExportedFile(name, f"{to}/{name}", len(IMAGE)),)
        )
        assert content(to) == {name: IMAGE}

    def test_split(self, short: Path, to: Path) -> None:
        found = export(short, split(), SPLIT_FINGERPRINT)
        files = (
            ExportedFile(META_NAME, f"{to}/{META_NAME}", len(METADATA)),
            ExportedFile(ROOTFS_NAME, f"{to}/{ROOTFS_NAME}", len(ROOTFS)),
        )
        assert found == ExportedImage(SPLIT_FINGERPRINT, "split", files)
        assert content(to) == {META_NAME: METADATA, ROOTFS_NAME: ROOTFS}

    def test_split_with_something_before_the_first_part(self, short: Path, to: Path) -> None:
        export(short, split(b"preamble\r\n", *PARTS), SPLIT_FINGERPRINT)
        assert content(to) == {META_NAME: METADATA, ROOTFS_NAME: ROOTFS}

    def test_of_a_virtual_machine(self, short: Path, to: Path) -> None:
        parts = (PARTS[0], part("rootfs.img", f"{SPLIT_FINGERPRINT}.qcow2", ROOTFS))
        export(short, split(*parts), SPLIT_FINGERPRINT)
        assert sorted(content(to)) == sorted([META_NAME, f"{SPLIT_FINGERPRINT}.qcow2"])

    def test_empty(self, short: Path, to: Path) -> None:
        export(short, unified(b""), hashlib.sha256().hexdigest())
        assert content(to) == {f"{FINGERPRINT}.tar.xz": b""}

    def test_without_a_length(self, short: Path, to: Path) -> None:
        body = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n" + IMAGE
        export(short, body)
        assert content(to) == {FINGERPRINT: IMAGE}

    def test_to_a_file(self, short: Path, to: Path) -> None:
        with RawHost(short / "sock", unified()) as host, Client(host.path) as client:
            found = client.export_image(FINGERPRINT, to / "image")
        assert found.files == (ExportedFile("image", f"{to}/image", len(IMAGE)),)
        assert content(to) == {"image": IMAGE}

    def test_to_a_stream(self, short: Path) -> None:
        stream = io.BytesIO()
        with RawHost(short / "sock", unified()) as host, Client(host.path) as client:
            assert client.export_image(FINGERPRINT, stream) == ExportedImage(FINGERPRINT, "unified", ())
        assert stream.getvalue() == IMAGE

    def test_a_fingerprint_in_either_case_is_asked_for_in_lower_case(self, short: Path, to: Path) -> None:
        with RawHost(short / "sock", unified()) as host, Client(host.path) as client:
            assert client.export_image(FINGERPRINT.upper(), to).fingerprint == FINGERPRINT
            assert host.requests[0].startswith(f"GET /1.0/images/{FINGERPRINT}/export HTTP".encode())

    def test_the_progress_is_told(self, short: Path, to: Path) -> None:
        image = os.urandom(2 * PIECE_SIZE + 1)
        told: list[tuple[int, int | None]] = []

        def tell(done: int, total: int | None) -> None:
            told.append((done, total))

        export(short, unified(image), hashlib.sha256(image).hexdigest(), progress=tell)
        assert told == [(size, len(image)) for size in (PIECE_SIZE, 2 * PIECE_SIZE, 2 * PIECE_SIZE + 1)]
        told.clear()
        export(short, split(), SPLIT_FINGERPRINT, progress=tell)
        assert told[-1] == (len(METADATA + ROOTFS), None)

    def test_a_boundary_anywhere_about_the_border_of_what_is_read(self, short: Path, to: Path) -> None:
        head = len(part("metadata", "m", b""))
        for size in range(PIECE_SIZE - head - 30, PIECE_SIZE - head + 30):
            metadata = b"\r\n--79a5" * (size // 8) + b"x" * (size % 8)
            parts = (part("metadata", "m", metadata), part("rootfs", "r", b"r"))
            export(short, split(*parts), hashlib.sha256(metadata + b"r").hexdigest(), overwrite=True)
            assert content(to) == {"m": metadata, "r": b"r"}

    @pytest.mark.parametrize("kind", ["unified", "split"])
    def test_the_connection_is_kept(self, kind: str, short: Path, to: Path) -> None:
        (short / "guest.yaml").write_text(
            "config: {security.devlxd.images: 'true'}\n"
            f"simulator: {{images: [{{size: 300kB, type: {kind}}}]}}\n"
        )
        with Simulator(short / "sock", short / "guest.yaml") as host, Client(host.path) as client:
            client.export_image(host.show()["images"][0]["fingerprint"], to)
            client.versions()
            assert host.connections == 1


class TestNames:
    @pytest.mark.parametrize(
        ("given", "name"),
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
    def test_of_a_unified_image(self, given: str, name: str, short: Path, to: Path) -> None:
        export(short, unified(name=given))
        assert list(content(to)) == [name]

    def test_of_a_split_image(self, short: Path, to: Path) -> None:
        parts = (part("metadata", "../.m", METADATA), part("rootfs", None, ROOTFS))
        export(short, split(*parts), SPLIT_FINGERPRINT)
        assert content(to) == {f"meta-{SPLIT_FINGERPRINT}": METADATA, SPLIT_FINGERPRINT: ROOTFS}


def failure(error: DevLXDError) -> tuple[type[DevLXDError], str, str]:
    return type(error), error.subject, error.problem


OTHER = hashlib.sha256(IMAGE[:-1]).hexdigest()
MAIN_API = '{"type":"error","error_code":%d,"error":"%s"}\n\n'
ABSENT = "no such image, or it is private: both look the same from here"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BAD: dict[str, tuple[bytes, type[DevLXDError], str]] = {
    "another digest": (
        unified(IMAGE[:-1]),
        BadData,
        f"the {len(IMAGE) - 1} bytes that came have another SHA-256, {OTHER}",
    ),
    "no image": (
        response(b"<html>", "text/html"),
        UnexpectedResponse,
        "the answer is text/html, and no image",
    ),
    "no type": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        UnexpectedResponse,
        "the answer is of no type, and no image",
    ),
    "LXD 6.9 on a path that it does not know": (
        response(b'["/1.0"]\n'),
        NotSupported,
        "this host does not offer it",
    ),
    "403 in text": (
        response(b"not authorized\n", TEXT, "403 Forbidden"),
        PermissionDenied,
        "not permitted: not authorized",
    ),
    "403 in JSON": (
        response((MAIN_API % (403, "Forbidden")).encode(), JSON, "403 Forbidden"),
        PermissionDenied,
        "not permitted: Forbidden",
    ),
    "404 in JSON": (
        response((MAIN_API % (404, "Image not found")).encode(), JSON, "404 Not Found"),
        NotFound,
        ABSENT,
    ),
    "404 in text": (
        response(b"404 page not found\n", TEXT, "404 Not Found"),
        NotSupported,
        "this host does not offer it, or it is private: both look the same from here: 404 page not found",
    ),
    "a range that was not asked for": (
        response(IMAGE, UNIFIED, "206 Partial Content"),
        UnexpectedResponse,
        "the host answered with status 206",
    ),
    "another boundary": (
        split(kind="multipart/form-data; boundary=xyz"),
        UnexpectedResponse,
        "the answer is multipart, without the parts of an image",
    ),
    "no boundary": (
        split(kind="multipart/form-data"),
        UnexpectedResponse,
        "the answer is no multipart: Empty boundary",
    ),
    "a header that is none": (
        split(f"--{BOUNDARY}\r\nx\r\n\r\n".encode()),
        UnexpectedResponse,
        "the answer is no multipart: Malformed segment header",
    ),
    "no metadata": (
        split(PARTS[1]),
        UnexpectedResponse,
        "the part rootfs of a split image is out of place",
    ),
    "the parts swapped": (
        split(*PARTS[::-1]),
        UnexpectedResponse,
        "the part rootfs of a split image is out of place",
    ),
    "a part too many": (
        split(*PARTS, part("rootfs", "x", b"x")),
        UnexpectedResponse,
        "the part rootfs of a split image is out of place",
    ),
    "a part without a name": (
        split(PARTS[0].replace(b' name="metadata";', b"")),
        UnexpectedResponse,
        "the part without a name of a split image is out of place",
    ),
    "both parts of one name": (
        split(part("metadata", "a", METADATA), part("rootfs", "a", ROOTFS)),
        UnexpectedResponse,
        "both of its parts are called a",
    ),
    "no rootfs": (
        split(PARTS[0]),
        BadData,
        f"the image is incomplete: it ends in the part metadata, after {len(METADATA)} bytes",
    ),
    "no parts": (
        split(b"", end=END),
        UnexpectedResponse,
        "the answer is multipart, without the parts of an image",
    ),
    "no end": (
        split(end=b""),
        BadData,
        f"the image is incomplete: it ends in the part rootfs, after {len(METADATA + ROOTFS)} bytes",
    ),
    "a lying length of a part": (
        split(PARTS[0].replace(b"\r\n\r\n", b"\r\nContent-Length: 10\r\n\r\n", 1)),
        UnexpectedResponse,
        "the answer is no multipart: Segment Content-Length exceeded",
    ),
    "a third part": (
        split(*PARTS, part("other", "x", b"x")),
        UnexpectedResponse,
        "the part other of a split image is out of place",
    ),
    "a part of another name": (
        split(PARTS[0], part("other", "x", ROOTFS)),
        UnexpectedResponse,
        "the part other of a split image is out of place",
    ),
    "the metadata twice": (
        split(PARTS[0], PARTS[0], PARTS[1]),
        UnexpectedResponse,
        "the part metadata of a split image is out of place",
    ),
    "a part whose head has no end": (
        split(PARTS[0].replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n", 1), PARTS[1]),
        UnexpectedResponse,
        "the answer is no multipart: Maximum segment header length exceeded",
    ),
    "a part with many headers": (
        split(PARTS[0].replace(b"\r\n\r\n", b"\r\nX: x" * 1000 + b"\r\n\r\n", 1), PARTS[1]),
        UnexpectedResponse,
        "the answer is no multipart: Maximum segment header count exceeded",
    ),
    "a part without a disposition": (
        split(PARTS[0].replace(b"Content-Disposition", b"X-Disposition"), PARTS[1]),
        UnexpectedResponse,
        "the answer is no multipart: Missing Content-Disposition segment header",
    ),
    "bare line feeds": (
        split(*(each.replace(b"\r\n", b"\n") for each in PARTS)),
        UnexpectedResponse,
        "the answer is no multipart: Invalid line break after first boundary",
    ),
    "another, long boundary": (
        split(kind=f"multipart/form-data; boundary={'x' * 10_000}"),
        UnexpectedResponse,
        "the answer is multipart, without the parts of an image",
    ),
    "compressed": (
        response(gzip.compress(IMAGE), UNIFIED, extra="Content-Encoding: gzip\r\n"),
        UnexpectedResponse,
        "the answer is compressed, which was not asked for",
    ),
    "a part of no digest's": (
        split(PARTS[0], part("rootfs", "x", b"x")),
        BadData,
        f"the {len(METADATA) + 1} bytes that came have another SHA-256, "
        + hashlib.sha256(METADATA + b"x").hexdigest(),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_answer_leaves_nothing_behind(name: str, short: Path, to: Path) -> None:
    given, kind, why = BAD[name]
    fingerprint = SPLIT_FINGERPRINT if b"multipart" in given else FINGERPRINT
    with pytest.raises(kind) as caught:
        export(short, given, fingerprint)
    assert failure(caught.value) == (kind, fingerprint, why)
    assert content(to) == {}


@pytest.mark.parametrize("given", ["", "abc", FINGERPRINT[:-1], FINGERPRINT + "0", "g" * 64, "\u0661" * 64])
def test_half_a_fingerprint_is_not_asked_for(given: str, short: Path, to: Path) -> None:
    with RawHost(short / "sock", unified()) as host, Client(host.path) as client:
        with pytest.raises(InvalidRequest) as caught:
            client.export_image(given, to)
        assert host.requests == []
    assert failure(caught.value)[1:] == (given, "a whole fingerprint is 64 hexadecimal digits")


@pytest.mark.parametrize("stream", [True, False])
def test_a_split_image_goes_into_directories_only(stream: bool, short: Path, to: Path) -> None:
    with RawHost(short / "sock", split()) as host, Client(host.path) as client:
        with pytest.raises(InvalidRequest) as caught:
            client.export_image(SPLIT_FINGERPRINT, io.BytesIO() if stream else to / "file")
    why = "it is a split image, which is two files: they need a directory that exists"
    assert failure(caught.value)[1:] == (SPLIT_FINGERPRINT, why)
    assert content(to) == {}


class TestLostConnections:
    def test_a_unified_image_cut_anywhere_once_comes_whole(self, short: Path, to: Path) -> None:
        given = unified(b"a short image")
        fingerprint = hashlib.sha256(b"a short image").hexdigest()
        head = given.index(b"\r\n\r\n")
        for cut in (*range(1, head, 9), *range(head, len(given))):
            answers = iter([given[:cut]])

            def script(request: bytes, answers: object = answers) -> bytes:
                whole = rest(request, b"a short image") if b"\r\nRange: " in request else given
                return next(answers, whole)  # type: ignore[call-overload, no-any-return]

            export(short, script, fingerprint, overwrite=True)
            assert list(content(to).values()) == [b"a short image"], cut

    def test_a_split_image_cut_anywhere_is_lost(self, short: Path, to: Path) -> None:
        given = split(part("metadata", "m", b"metadata"), part("rootfs", "r", b"rootfs"))
        fingerprint = hashlib.sha256(b"metadatarootfs").hexdigest()
        # Right behind the head, an answer without a length is a whole one for this host.
        for cut in range(given.index(b"\r\n\r\n") + 5, len(given) - len("0\r\n\r\n")):
            with pytest.raises(HostUnavailable) as caught:
                export(short, given[:cut], fingerprint)
            assert caught.value.problem.startswith("the connection was lost after ")
            assert content(to) == {}, cut

    def test_it_is_continued_a_few_times(self, short: Path, to: Path) -> None:
        def script(request: bytes) -> bytes:
            return rest(request, bring=1) if b"\r\nRange: " in request else unified()[: 1 - len(IMAGE)]

        with RawHost(short / "sock", script) as host, Client(host.path) as client:
            with pytest.raises(HostUnavailable) as caught:
                client.export_image(FINGERPRINT, to)
            assert len(host.requests) == 1 + MAX_RESUMES
        done = 1 + MAX_RESUMES
        why = f"the connection was lost after {done} of {len(IMAGE)} bytes: the answer was cut short"
        assert failure(caught.value) == (HostUnavailable, FINGERPRINT, why)
        assert content(to) == {}

    def test_but_not_where_that_brings_nothing(self, short: Path, to: Path) -> None:
        def script(request: bytes) -> bytes:
            return rest(request, bring=0) if b"\r\nRange: " in request else unified()[:-100]

        with RawHost(short / "sock", script) as host, Client(host.path) as client:
            with pytest.raises(HostUnavailable):
                client.export_image(FINGERPRINT, to)
            assert len(host.requests) == 3
        assert content(to) == {}

    def test_a_length_that_promises_too_much(self, short: Path, to: Path) -> None:
        with pytest.raises(HostUnavailable) as caught:
            export(short, unified(length=len(IMAGE) + 10))
        assert caught.value.exit_status == 7
        assert content(to) == {}

    def test_where_ranges_are_unknown_what_comes_again_is_skipped(self, short: Path, to: Path) -> None:
        answers = iter([unified()[:-100], unified()])
        export(short, lambda request: next(answers))
        assert list(content(to).values()) == [IMAGE]

    def test_another_range_than_the_one_asked_for(self, short: Path, to: Path) -> None:
        other = response(b"x", UNIFIED, "206 Partial Content", "Content-Range: bytes 0-0/1\r\n")
        answers = iter([unified()[:-100], other])
        with pytest.raises(UnexpectedResponse) as caught:
            export(short, lambda request: next(answers))
        size = len(IMAGE)
        asked = f"bytes {size - 100}-{size - 1}/{size}"
        assert caught.value.problem == f"asked for {asked}, the host continues with bytes 0-0/1"
        assert content(to) == {}

    def test_a_missing_socket_is_borne_in_between_whatever_the_time_to_wait(
        self, short: Path, to: Path
    ) -> None:
        (short / "guest.yaml").write_text(
            "config: {security.devlxd.images: 'true'}\nsimulator: {images: [{size: 4MiB}]}\n"
        )
        with Simulator(short / "sock", short / "guest.yaml") as host, Client(host.path, wait=0.0) as client:
            restarted = False

            def tell(done: int, total: int | None) -> None:
                nonlocal restarted
                if not restarted:
                    restarted = True
                    host.restart(down=0.3, wait=False)
                    while host.path.exists():
                        pass

            found = client.export_image(host.show()["images"][0]["fingerprint"], to, progress=tell)
        assert [file.size for file in found.files] == [4 << 20]


class TestFilesInTheWay:
    NAME = f"{FINGERPRINT}.tar.xz"

    def test_a_file_stays(self, short: Path, to: Path) -> None:
        (to / self.NAME).write_bytes(b"old")
        with pytest.raises(BadData) as caught:
            export(short, unified())
        assert failure(caught.value)[1:] == (f"{to}/{self.NAME}", "it exists already")
        assert content(to) == {self.NAME: b"old"}

    def test_unless_it_is_to_be_replaced(self, short: Path, to: Path) -> None:
        (to / self.NAME).write_bytes(b"old")
        export(short, unified(), overwrite=True)
        assert content(to) == {self.NAME: IMAGE}

    def test_a_bad_image_replaces_nothing(self, short: Path, to: Path) -> None:
        (to / self.NAME).write_bytes(b"old")
        with pytest.raises(BadData):
            export(short, unified(b"x"), overwrite=True)
        assert content(to) == {self.NAME: b"old"}

    @pytest.mark.parametrize("overwrite", [True, False])
    def test_links_are_not_followed(self, overwrite: bool, short: Path, to: Path) -> None:
        (short / "target").write_bytes(b"old")
        (to / self.NAME).symlink_to(short / "target")
        if overwrite:
            export(short, unified(), overwrite=True)
            assert not (to / self.NAME).is_symlink()
        else:
            with pytest.raises(BadData):
                export(short, unified())
            assert (to / self.NAME).is_symlink()
        assert (short / "target").read_bytes() == b"old"

    def test_a_link_to_nowhere_is_in_the_way(self, short: Path, to: Path) -> None:
        (to / self.NAME).symlink_to(short / "nowhere")
        with pytest.raises(BadData):
            export(short, unified())
        assert not (short / "nowhere").exists()

    @pytest.mark.parametrize("overwrite", [True, False])
    def test_a_directory_and_a_device_are_never_replaced(
        self, overwrite: bool, short: Path, to: Path
    ) -> None:
        (to / self.NAME).mkdir()
        (to / "null").symlink_to("/dev/null")
        with RawHost(short / "sock", unified()) as host, Client(host.path) as client:
            for output in (to, to / "null"):
                with pytest.raises(BadData):
                    client.export_image(FINGERPRINT, output, overwrite=overwrite)
        assert sorted(path.name for path in to.iterdir()) == [self.NAME, "null"]
        assert (to / "null").is_symlink()

    def test_the_second_of_two_is_noticed_before_the_first_appears(self, short: Path, to: Path) -> None:
        (to / ROOTFS_NAME).write_bytes(b"old")
        with pytest.raises(BadData):
            export(short, split(), SPLIT_FINGERPRINT)
        assert content(to) == {ROOTFS_NAME: b"old"}

    @pytest.mark.parametrize("fingerprint", [FINGERPRINT, SPLIT_FINGERPRINT])
    def test_one_that_came_meanwhile_stays(self, fingerprint: str, short: Path, to: Path) -> None:
        name = self.NAME if fingerprint == FINGERPRINT else ROOTFS_NAME

        def tell(done: int, total: int | None) -> None:
            (to / name).write_bytes(b"new")

        given = unified() if fingerprint == FINGERPRINT else split()
        with pytest.raises(BadData) as caught:
            export(short, given, fingerprint, progress=tell)
        assert failure(caught.value)[1:] == (f"{to}/{name}", "it exists already")
        assert content(to) == {name: b"new"}

    @pytest.mark.parametrize(
        ("path", "why"),
        [
            ("missing/file", "no such file or directory"),
            ("missing/", "no such file or directory"),
            ("file/image", "not a directory"),
            ("file", "it exists already"),
        ],
    )
    def test_what_cannot_be_made_is_not_asked_for(self, path: str, why: str, short: Path) -> None:
        (short / "file").touch()
        with RawHost(short / "sock", unified()) as host, Client(host.path) as client:
            with pytest.raises(BadData) as caught:
                client.export_image(FINGERPRINT, f"{short}/{path}")
            assert host.requests == []
        assert failure(caught.value)[1:] == (f"{short}/{path}", why)

    @pytest.mark.parametrize(("mask", "mode"), [(0, 0o666), (0o022, 0o644), (0o077, 0o600), (0o777, 0)])
    def test_the_umask_is_kept(self, mask: int, mode: int, short: Path, to: Path) -> None:
        before = os.umask(mask)
        try:
            with RawHost(short / "sock", unified()) as host, Client(host.path) as client:
                client.export_image(FINGERPRINT, to)
        finally:
            os.umask(before)
        assert (to / self.NAME).stat().st_mode & 0o777 == mode
