"""Changes of config keys in bursts: an update of several keys is one, also where each has an event."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Final, NamedTuple

from devlxdctl.config.keys import KeyReader, is_glob, not_set
from devlxdctl.config.watch import KeyWatch
from devlxdctl.events.watch import QUIET, Change, ChangeTracker
from devlxdctl.http.retry import RetryPolicy

__all__ = ["Burst"]

_log: Final = logging.getLogger(__name__)

_SETTLE: Final = 0.05  # seconds without an event, after which an update counts as complete
_LONGEST: Final = 5.0  # seconds after which a burst ends without such a pause


class Burst(NamedTuple):
    """Changes of config keys that followed each other closely, as those of one update do.

    * `changes`: the changes, in the order in which they were read.
    * `values`: all keys that match and are set, with their values, sorted.
    """

    changes: Sequence[Change[str]]
    values: Mapping[str, str]


def watch_bursts(watch: KeyWatch) -> Generator[Burst, None, None]:
    """Yield a burst after each read: the first has the initial values, later ones can be empty."""
    tracker: ChangeTracker[str] = ChangeTracker()
    reads = watch.follow(tracker, settle=_SETTLE)
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


def changed_bursts(
    reader: KeyReader, bursts: Generator[Burst, None, None], required: Sequence[str]
) -> Iterator[Burst]:
    """Yield the first burst, and then those with changes, while the keys among `required` are set.

    Raises `NotFound` if one of them is not set at the start.
    """
    keys = sorted({pattern for pattern in required if not is_glob(pattern)})
    is_first = True
    reported: list[str] = []
    skipped: list[Change[str]] = []
    with closing(bursts):
        for burst in bursts:
            missing = [key for key in keys if key not in burst.values]
            if missing:
                if is_first:
                    reader.read_named(missing, None, RetryPolicy())  # says what is wrong with each of them
                if missing != reported:
                    _log.warning("%s", not_set(missing))
                skipped += burst.changes
            elif is_first or skipped or burst.changes:
                yield burst._replace(changes=(*skipped, *burst.changes))
                is_first, skipped = False, []
            reported = missing
