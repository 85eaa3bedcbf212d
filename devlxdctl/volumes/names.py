"""Names, sizes and sources of volumes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from devlxdctl.errors import InvalidRequest

__all__ = ["is_size"]

_SIZE: Final = re.compile(r"[0-9]{1,18}(B|[kMGTPE]B|[KMGTPE]iB)?")


class VolumeSource(NamedTuple):
    """What a new volume is a copy of: a volume, or a snapshot of it."""

    pool: str
    volume: str
    snapshot: str = ""

    @property
    def name(self) -> str:
        """The name in the request."""
        return f"{self.volume}/{self.snapshot}" if self.snapshot else self.volume


def is_size(text: str) -> bool:
    """Whether `text` is a size as LXD writes them: a number of bytes, or one with a unit: MB, GiB."""
    return _SIZE.fullmatch(text) is not None


def check_name(kind: str, name: str) -> str:
    """Return `name`. Raises `InvalidRequest` if it cannot be a part of a path."""
    if name in ("", ".", ".."):
        raise InvalidRequest(f"{kind} {name!r}", "not a valid name")
    return check_text(kind, name)


def check_text(kind: str, text: str) -> str:
    """Return `text`. Raises `InvalidRequest` if it is not valid UTF-8, which JSON cannot contain."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{kind} {text!r}", "not valid UTF-8") from None
    return text


def check_config(config: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of `config`. Raises `InvalidRequest` for an empty key, a bad size, or invalid UTF-8."""
    for key, value in config.items():
        if not key:
            raise InvalidRequest("option ''", "the key is empty")
        check_text("option", key)
        check_text(f"option {key}", value)
    size = config.get("size", "")
    if size and not is_size(size):
        raise InvalidRequest(f"size {size!r}", "expected a number of bytes, or one with a unit such as GiB")
    return dict(config)


def parse_source(text: str, pool: str) -> list[VolumeSource]:
    """Return what `[POOL/]VOLUME[/SNAPSHOT]` can mean, one or two sources; `pool` is the default.

    `A/B` is a snapshot of a volume in `pool`, or a volume in another pool. `/A/B` and `A/B/` say which.
    """
    parts = text.split("/")
    if len(parts) == 1:
        sources = [VolumeSource(pool, text)]
    elif len(parts) == 2:
        sources = [VolumeSource(pool, *parts), VolumeSource(*parts)]
    elif len(parts) == 3:
        sources = [VolumeSource(parts[0] or pool, *parts[1:])]
    else:
        raise InvalidRequest(f"source {text!r}", "expected [POOL/]VOLUME[/SNAPSHOT]")
    for source in sources:
        check_name("source", source.pool)
        check_name("source", source.volume)
        if source.snapshot:
            check_name("source", source.snapshot)
    return sources
