"""Changes of config keys in bursts: an update of several keys is one, also where each has an event."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Final, NamedTuple

from devlxdctl.config.keys import KeyReader
from devlxdctl.events.watch import QUIET, Change, ChangeTracker, config_source, follow
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session

__all__ = ["Burst"]

_SETTLE: Final = 0.05  # seconds without an event, after which an update counts as complete
_LONGEST: Final = 5.0  # seconds after which a burst ends without such a pause


class Burst(NamedTuple):
    """Changes of config keys that followed each other closely, as those of one update do.

    * `changes`: the changes, in the order in which they were read.
    * `values`: all keys that match and are set, with their values, sorted.
    """

    changes: Sequence[Change[str]]
    values: Mapping[str, str]


def watch_bursts(
    session: Session,
    reader: KeyReader,
    patterns: Sequence[str],
    interval: float | None,
    output_fd: int | None,
    retry: RetryPolicy,
) -> Generator[Burst, None, None]:
    """Yield a burst after each read: the first has the initial values, later ones can be empty."""
    source = config_source(reader, patterns, retry)
    tracker: ChangeTracker[str] = ChangeTracker()
    reads = follow(session, source, tracker, retry, interval=interval, output_fd=output_fd, settle=_SETTLE)
    gathered: list[Change[str]] = []
    ends: float | None = None
    with closing(reads):
        for changes in reads:
            gathered += changes
            now = time.monotonic()
            ends = ends or now + _LONGEST
            if tracker.started and (changes is QUIET or now >= ends):
                yield Burst(tuple(gathered), dict(sorted(tracker.known.items())))
                gathered, ends = [], None
