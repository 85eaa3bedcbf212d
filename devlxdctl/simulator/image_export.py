"""Image export: find the image, and send its bytes in the shape and range that the request names."""

import re
import secrets
from collections.abc import Iterator

from devlxdctl.simulator.images import Image
from devlxdctl.simulator.instance import Instance
from devlxdctl.simulator.messages import RAW, Response, StreamedResponse, json_error, text_error

_LAST_MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"


def export(instance: Instance, fingerprint: str, range_header: str | None) -> Response | StreamedResponse:
    """Respond to the export of an image."""
    profile = instance.profile
    if not instance.images_on:
        forbidden = json_error if profile.json_forbidden else text_error
        return forbidden(403, profile.forbidden)
    image = _find(instance, fingerprint)
    if image is None:
        return json_error(404, profile.image_not_found)
    return _split(image) if image.split else _unified(instance, image, range_header)


def _find(instance: Instance, fingerprint: str) -> Image | None:
    if instance.profile.partial_fingerprints:
        found = [image for image in instance.images if image.fingerprint.startswith(fingerprint.lower())]
    else:
        found = [image for image in instance.images if image.fingerprint == fingerprint]
    return found[0] if len(found) == 1 and found[0].public else None


def _unified(instance: Instance, image: Image, range_header: str | None) -> Response | StreamedResponse:
    (part,) = image.parts
    disposition = ("Content-Disposition", f"inline;filename={image.file_name(part)}")
    extra = instance.profile.image_headers
    span = _parse_range(range_header, part.size) if range_header else None
    if span == (0, 0):
        headers = (disposition, ("Content-Range", f"bytes */{part.size}"), *extra)
        return text_error(416, "invalid range: failed to overlap", *headers)
    start, end = span or (0, part.size)
    head = [("Accept-Ranges", "bytes"), disposition, ("Last-Modified", _LAST_MODIFIED), *extra]
    if span:
        head.append(("Content-Range", f"bytes {start}-{end - 1}/{part.size}"))
    response = Response(206 if span else 200, RAW, headers=tuple(head))
    return StreamedResponse(response, end - start, (end - start) // 2, part.read(start, end))


def _parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Return start and end of a range, (0, 0) for one outside the image.

    None, for several ranges and for invalid ones, means the whole image.
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header, re.ASCII)
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
    return (start, end) if start < end else (0, 0)


def _split(image: Image) -> StreamedResponse:
    boundary = secrets.token_hex(30)

    def pieces() -> Iterator[bytes]:
        delimiter = f"--{boundary}\r\n"
        for part in image.parts:
            yield (
                f'{delimiter}Content-Disposition: form-data; name="{part.name}"; '
                f'filename="{image.file_name(part)}"\r\nContent-Type: {RAW}\r\n\r\n'
            ).encode()
            yield from part.read(0, part.size)
            delimiter = f"\r\n--{boundary}\r\n"
        # Real hosts send the closing boundary twice.
        yield f"\r\n--{boundary}--\r\n".encode() * 2

    size = sum(part.size for part in image.parts)
    head = Response(200, f"multipart/form-data; boundary={boundary}")
    return StreamedResponse(head, None, size // 2, pieces())
