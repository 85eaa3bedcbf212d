"""One question to the host, and its whole answer."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from devlxdctl.hints import Endpoint

SILENCE: Final = 15.0
"""Seconds that a host may be silent within one exchange."""


class Question(NamedTuple):
    """A request. `key` is the config key or the image's fingerprint that it is about, "" where none is.

    `silence` is the number of seconds that the host may be silent, None for ever. `repeatable` says that it
    may be asked again where it may have arrived already. Any status but those `expected` is an error.
    `continues` says that the host answered before and broke off: a restart of it is borne, a missing socket
    included, whatever is left of the time to wait for a first answer.
    """

    method: str
    path: str
    endpoint: Endpoint
    body: bytes | None = None
    key: str = ""
    headers: Mapping[str, str] = {}
    silence: float | None = SILENCE
    repeatable: bool = True
    expected: Collection[int] = (200,)
    continues: bool = False

    def __repr__(self) -> str:
        # Headers and body may be secrets.
        return f"Question({self.method!r}, {self.path!r}, {self.endpoint!r})"

    @property
    def what(self) -> str:
        """What errors say that it is about."""
        return self.key or self.path


class Answer(NamedTuple):
    """A whole answer of the host: its status, its media type without parameters, its body as it came."""

    status: int
    media_type: str
    body: bytes

    def __repr__(self) -> str:
        # The body may be a secret.
        return f"Answer({self.status}, {self.media_type!r}, {len(self.body)} bytes)"


def strict_json(text: str | bytes) -> Any:
    """What a JSON document holds. Raises `ValueError` for one that is none, `RecursionError` for a deep one.

    None is one with NaN, which the standard library takes, or with a number that it would make infinite: as
    JSON neither could be written again.
    """
    import json

    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is larger than any number here")
    return number
