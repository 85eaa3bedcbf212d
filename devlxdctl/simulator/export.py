"""Image export: which image a request is for, and its bytes in the shape and the range that it asks for."""

import re
import secrets
from collections.abc import Iterator
from typing import NamedTuple

from devlxdctl.simulator import answers
from devlxdctl.simulator.answers import RAW, Answer
from devlxdctl.simulator.images import Image
from devlxdctl.simulator.instance import Instance

_LAST_MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"


class Body(NamedTuple):
    """A body that is sent piece by piece. `length` is None where it goes in chunks."""

    head: Answer
    length: int | None
    half: int
    """Half of the bytes of its images."""
    pieces: Iterator[bytes]


def export(instance: Instance, fingerprint: str, wanted: str | None) -> Answer | Body:
    """The answer to a request for an image; `wanted` is its Range."""
    profile = instance.profile
    if not instance.images_on:
        forbidden = answers.json_error if profile.json_forbidden else answers.error
        return forbidden(403, profile.forbidden)
    found = _find(instance, fingerprint)
    if found is None:
        return answers.json_error(404, profile.image_not_found)
    return _split(found) if found.split else _unified(instance, found, wanted)


def _find(instance: Instance, fingerprint: str) -> Image | None:
    if instance.profile.partial_fingerprints:
        found = [image for image in instance.images if image.fingerprint.startswith(fingerprint.lower())]
    else:
        found = [image for image in instance.images if image.fingerprint == fingerprint]
    return found[0] if len(found) == 1 and found[0].public else None


def _unified(instance: Instance, image: Image, wanted: str | None) -> Answer | Body:
    (part,) = image.parts
    name = ("Content-Disposition", f"inline;filename={image.file_name(part)}")
    more = instance.profile.image_headers
    span = _range(wanted, part.size) if wanted else None
    if span == (0, 0):
        headers = (name, ("Content-Range", f"bytes */{part.size}"), *more)
        return answers.error(416, "invalid range: failed to overlap", *headers)
    start, end = span or (0, part.size)
    own = [("Accept-Ranges", "bytes"), name, ("Last-Modified", _LAST_MODIFIED), *more]
    if span:
        own.append(("Content-Range", f"bytes {start}-{end - 1}/{part.size}"))
    head = Answer(206 if span else 200, RAW, headers=tuple(own))
    return Body(head, end - start, (end - start) // 2, part.read(start, end))


def _range(wanted: str, size: int) -> tuple[int, int] | None:
    """Start and end of a range, (0, 0) for one outside. None, for several and for nonsense, means all."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted, re.ASCII)
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
    return (start, end) if start < end else (0, 0)


def _split(image: Image) -> Body:
    boundary = secrets.token_hex(30)

    def pieces() -> Iterator[bytes]:
        between = f"--{boundary}\r\n"
        for part in image.parts:
            yield (
                f'{between}Content-Disposition: form-data; name="{part.name}"; '
                f'filename="{image.file_name(part)}"\r\nContent-Type: {RAW}\r\n\r\n'
            ).encode()
            yield from part.read(0, part.size)
            between = f"\r\n--{boundary}\r\n"
        # Hosts close their writer twice.
        yield f"\r\n--{boundary}--\r\n".encode() * 2

    size = sum(part.size for part in image.parts)
    return Body(Answer(200, f"multipart/form-data; boundary={boundary}"), None, size // 2, pieces())
