"""Changes of config keys, and waiting for one of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from devlxdctl.config.keys import NAMESPACES, KeyReader, is_glob, matches
from devlxdctl.errors import InvalidRequest
from devlxdctl.events.watch import Change, ChangeTracker, Source, follow, wait_policy, wait_until
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session


@dataclass(frozen=True)
class KeyWatch:
    """The config keys to watch, and how. The fields are the arguments of `Client.watch_config`."""

    session: Session
    reader: KeyReader
    patterns: Sequence[str]
    retry: RetryPolicy
    interval: float | None
    output_fd: int | None

    def follow(
        self, tracker: ChangeTracker[str], settle: float | None = None
    ) -> Generator[Sequence[Change[str]], None, None]:
        """Yield the changes that each read shows. See `devlxdctl.events.watch.follow`."""
        return follow(
            self.session,
            config_source(self.reader, self.patterns, self.retry),
            tracker,
            self.retry,
            interval=self.interval,
            output_fd=self.output_fd,
            settle=settle,
        )


def watch_config(watch: KeyWatch) -> Iterator[Change[str]]:
    """See `Client.watch_config`."""
    for changes in watch.follow(ChangeTracker()):
        yield from changes


def wait_for_config(
    session: Session,
    reader: KeyReader,
    key: str,
    value: str | None,
    gone: bool,
    timeout: float | None,
) -> str | None:
    """See `Client.wait_for_config`."""
    if is_glob(key):
        raise InvalidRequest(key, "is a pattern, expected a key")
    retry = wait_policy(session, timeout)
    if not key.startswith(NAMESPACES):
        reader.read_named([key], "", retry)  # raises what a full read would skip: guests cannot read the key

    def holds(found: str | None) -> bool:
        return found is None if gone else found is not None and value in (None, found)

    late = "still set" if gone else "not set" if value is None else "not set to that value"
    source = config_source(reader, [key], retry, timeout)
    return wait_until(session, source, key, holds, retry, timeout=timeout, late=late)


def config_source(
    reader: KeyReader, patterns: Sequence[str], retry: RetryPolicy, timeout: float | None = None
) -> Source[str]:
    """The source of the config keys that match `patterns`."""
    key_retry = RetryPolicy(math.inf, timeout=timeout)

    def wanted(key: str) -> bool:
        return key.startswith(NAMESPACES) and (not patterns or matches(key, patterns))

    def read_all() -> Mapping[str, str]:
        matching, named = reader.select(patterns, retry)
        found = read_some({*matching, *named})
        return {key: value for key, value in found if value is not None}

    def read_some(keys: Collection[str]) -> Iterable[tuple[str, str | None]]:
        return reader.read_following(keys, key_retry, retry)

    return Source("config", "key", wanted, read_all, read_some)
