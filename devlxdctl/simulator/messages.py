"""Requests and responses without what HTTP adds to them (Date, Content-Length, Connection)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from devlxdctl.simulator import go_json

JSON = "application/json"
RAW = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Target:
    """A request's target, split into path and query and not decoded."""

    path: str
    query: str = ""

    @classmethod
    def parse(cls, raw: str) -> "Target":
        """Split a raw target. A fragment is dropped, as real hosts do."""
        path, _, query = raw.partition("#")[0].partition("?")
        return cls(path, query)

    @property
    def well_encoded(self) -> bool:
        """Whether each percent sign of the path begins an escape."""
        return re.search(r"%(?![0-9A-Fa-f]{2})", self.path) is None


@dataclass(frozen=True)
class Response:
    """A response whose whole body is known."""

    status: int
    content_type: str | None
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class StreamedResponse:
    """A response whose body is sent piece by piece."""

    head: Response
    length: int | None
    """The body's size; None if it is sent in chunks."""
    truncated_length: int
    """Where the fault `short-image` ends the body."""
    pieces: Iterator[bytes]


def json_response(value: object, headers: Mapping[str, str] | None = None) -> Response:
    """A response with JSON."""
    return Response(200, JSON, go_json.encode(value, html=False), tuple((headers or {}).items()))


def raw_response(text: str) -> Response:
    """A response with a raw value."""
    return Response(200, RAW, text.encode("utf-8", "surrogateescape"))


def text_error(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """An error as text that ends in a newline."""
    return Response(status, TEXT, f"{text}\n".encode(), (("X-Content-Type-Options", "nosniff"), *headers))


def json_error(status: int, text: str) -> Response:
    """An error in the JSON form of LXD's main API."""
    body = {
        "type": "error",
        "status": "",
        "status_code": 0,
        "operation": "",
        "error_code": status,
        "error": text,
        "metadata": None,
    }
    nosniff = (("X-Content-Type-Options", "nosniff"),)
    # Real hosts send two newlines here: one from the JSON encoder, one from the error writer.
    return Response(status, JSON, go_json.encode(body, html=True) + b"\n", nosniff)
