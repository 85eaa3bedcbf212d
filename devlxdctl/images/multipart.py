"""The parts of a split image, read from a multipart response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from devlxdctl.errors import BadData, HostUnavailable, NoDevLXD, UnexpectedResponse
from devlxdctl.http.streaming import StreamedResponse

_PART_NAMES: Final = (("metadata",), ("rootfs", "rootfs.img"))


def split_parts(response: StreamedResponse, subject: str, size: int) -> Iterator[bytes | str | None]:
    """Yield for each part its file name, None without one, and then its bytes in pieces of at most `size`.

    Reads the response to its end, which is behind the end of the last part, so that the connection can be
    reused. Raises `HostUnavailable` when it is truncated, `BadData` for an image that ends too soon, and
    `UnexpectedResponse` for anything but the two parts.
    """
    # defnull's parser streams, has no dependencies, and was the fastest and most exact of those tried. The
    # standard library's `email` needs the whole body in memory.
    from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

    boundary = parse_options_header(response.headers.get("Content-Type", ""))[1].get("boundary", "")
    done = parts = 0
    inside = False
    try:
        parser = PushMultipartParser(boundary)
        for chunk in response.chunks(size):
            if parser.closed:
                continue
            for event in parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    names: tuple[str, ...] = _PART_NAMES[parts] if parts < len(_PART_NAMES) else ()
                    if event.name not in names:
                        problem = f"unexpected part {event.name or 'without a name'} of a split image"
                        raise UnexpectedResponse(subject, problem, http_status=200)
                    parts, inside = parts + 1, True
                    yield event.filename
                elif event is None:
                    inside = False
                else:
                    done += len(event)
                    yield event
        complete = _is_complete(parser)
    except MultipartError as error:
        raise UnexpectedResponse(subject, f"invalid multipart response: {error}", http_status=200) from error
    except HostUnavailable as error:
        raise connection_lost(error, subject, done, None, "; a split image cannot be resumed") from error
    if not parts:
        raise UnexpectedResponse(subject, "multipart response without the parts of an image", http_status=200)
    if not complete or inside or parts < len(_PART_NAMES):
        part = _PART_NAMES[parts - 1][0]
        raise BadData(subject, f"truncated image: it ends in the part {part}, after {done} bytes")


def _is_complete(parser: Any) -> bool:
    """Whether the closing boundary was read."""
    from multipart import MultipartError

    try:
        parser.close()
    except MultipartError:
        return False
    return True


def file_name(disposition: str | None) -> str | None:
    """Return the file name in a Content-Disposition, which LXD and Incus write without quotes."""
    from multipart import content_disposition_unquote, parse_options_header

    if not disposition:
        return None
    options: Mapping[str, str] = parse_options_header(disposition, unquote=content_disposition_unquote)[1]
    return options.get("filename")


def connection_lost(
    error: NoDevLXD | HostUnavailable, subject: str, done: int, total: int | None, suffix: str = ""
) -> HostUnavailable:
    """The error for a download that cannot be resumed."""
    of = f" of {total}" if total is not None else ""
    problem = f"connection lost after {done}{of} bytes: {error.problem}{suffix}"
    return HostUnavailable(subject, problem, hint=error.hint, http_status=error.http_status)
