"""A request to the host, and its complete response."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from devlxdctl.http.endpoints import Endpoint

if TYPE_CHECKING:
    import json


class Request(NamedTuple):
    """A request.

    * `object`: the object that the path names: a config key, a fingerprint; "" without one.
    * `read_timeout`: seconds to wait for bytes of the response; None for the session's own timeout.
    * `idempotent`: whether it may be sent again when it may have reached the host already.
    * `expected`: the statuses that are not errors.
    * `resumes`: whether it continues a response that broke off. A restart of the host is then waited for,
      including a missing socket, however much of the caller's `wait` is left.
    """

    method: str
    path: str
    endpoint: Endpoint
    body: bytes | None = None
    object: str = ""
    headers: Mapping[str, str] = {}
    read_timeout: float | None = None
    idempotent: bool = True
    expected: Collection[int] = (200,)
    resumes: bool = False

    def __repr__(self) -> str:
        # Headers and body can contain secrets.
        return f"Request({self.method!r}, {self.path!r})"

    @property
    def subject(self) -> str:
        """The subject of errors about this request."""
        return self.object or self.path


class Response(NamedTuple):
    """A complete response: status, media type without parameters, body as received, and its ETag."""

    status: int
    media_type: str
    body: bytes
    etag: str = ""

    def __repr__(self) -> str:
        # The body can contain secrets.
        return f"Response({self.status}, {self.media_type!r}, {len(self.body)} bytes)"


def parse_strict_json(text: str | bytes) -> Any:
    """Parse a JSON document. Raises `ValueError` for invalid JSON, `RecursionError` for deep nesting.

    Rejects NaN and numbers that overflow to infinity, which the standard library accepts: neither can be
    written as JSON again.
    """
    if isinstance(text, bytes):
        import json

        text = text.decode(json.detect_encoding(text), "surrogatepass")
    return _decoder().decode(text)


@functools.cache
def _decoder() -> json.JSONDecoder:
    """The decoder. `json.loads` would make one for each document, which takes as long as to read it."""
    import json

    return json.JSONDecoder(parse_constant=_reject_constant, parse_float=_finite_float)


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is out of range")
    return number
