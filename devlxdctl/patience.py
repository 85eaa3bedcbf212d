"""How long to go on asking a host that gives no answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, TypeVar

from devlxdctl.errors import DevLXDError, NoHost, NotPermitted, TimedOut, Unreachable
from devlxdctl.exchange import Question
from devlxdctl.log import log

_T = TypeVar("_T")

GRACE: Final = 10.0
"""Seconds that a request is repeated for while a host restarts, which takes it 1 to 5."""

_LAST_SILENCE: Final = 1.0  # what a host has to answer at least, however little of the time is left
_TELL_AFTER: Final = 1.0
_PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.5)


class Patience:
    """The patience of one session.

    `wait` is the number of seconds to keep trying while there is no answer, a missing socket included,
    counted from the first request; None means to bear a restart of the host for `GRACE` seconds, and a
    missing socket only where there was an answer before.
    """

    def __init__(self, wait: float | None) -> None:
        self._wait = wait
        self._deadline: float | None = None
        self._limit: float | None = None
        self._until: float | None = None
        self._persistent = False
        self._bears_refusal = False
        self._answered = False

    def persist(self, refused: bool = False) -> None:
        """Bears any absence of the host from now on, however long, as long-running commands do.

        With `refused`, a 403 counts as one too, since that is how a connection that is still open learns that
        the API was switched off. To be said only where the same was answered before. A 401 never counts.
        """
        self._persistent = True
        self._bears_refusal = refused

    def limit(self, seconds: float) -> None:
        """Ends every attempt to reach the host, so many seconds from now, with `TimedOut`."""
        self._limit = seconds
        self._until = time.monotonic() + seconds

    def silence(self, question: Question) -> float | None:
        """The number of seconds that the host may be silent in one attempt, None for ever."""
        end = self._end(math.inf, question)
        if question.silence is None or end == math.inf:
            return question.silence
        return min(question.silence, max(end - time.monotonic(), _LAST_SILENCE))

    def repeat(self, attempt: Callable[[Question], _T], question: Question) -> _T:
        """What `attempt` returns: made again while the host restarts, as it is borne."""
        # Not urllib3's Retry: it counts attempts and not time, and ends at the headers, where the answer of a
        # dying host only begins.
        first_failure: float | None = None
        told = warned = False
        number = 0
        while True:
            start = time.monotonic()
            if self._wait is not None and self._deadline is None:
                self._deadline = start + self._wait
            try:
                result = attempt(question)
                self._answered = True
                return result
            except DevLXDError as error:
                self._answered = self._answered or error.http_status is not None
                if not self._bears(error, question):
                    raise
                now = time.monotonic()
                first_failure = first_failure or start
                end = self._end(first_failure, question)
                if now >= end:
                    raise self._given_up(error, question, now - first_failure) from error
                pause = min(_PAUSES[min(number, len(_PAUSES) - 1)], end - now)
                log.debug("%s %s: %s; again in %.2f s", question.method, question.path, error.why, pause)
                if now - first_failure > _TELL_AFTER and not told:
                    log.info("waiting for the host: %s", error)
                    told = True
                if self._persistent and now - first_failure > GRACE and not warned:
                    log.warning("the host is away: %s", error)
                    warned = True
            number += 1
            time.sleep(pause)

    def _bears(self, error: DevLXDError, question: Question) -> bool:
        waits = self._persistent or self._wait is not None
        if isinstance(error, NoHost):
            # Where there was an answer there is a host: it restarts, or the API was switched off.
            return (waits or self._answered) and error.may_come
        if isinstance(error, Unreachable):
            return (waits or error.passing) and (question.repeatable or not error.sent)
        return self._bears_refusal and isinstance(error, NotPermitted) and error.http_status != 401

    def _end(self, first_failure: float, question: Question) -> float:
        ends = [] if self._until is None else [self._until]
        if not self._persistent:
            deadline = None if question.continues else self._deadline
            ends.append(first_failure + GRACE if deadline is None else deadline)
        return min(ends, default=math.inf)

    def _given_up(self, error: DevLXDError, question: Question, tried: float) -> DevLXDError:
        waited = None if question.continues else self._wait
        if self._until is not None and time.monotonic() >= self._until:
            waited = self._limit
        kind, passed = (
            (Unreachable, f"tried for {tried:.0f} s")
            if waited is None
            else (TimedOut, f"waited {waited:g} s")
        )
        return kind(error.what, f"{error.why}; {passed}", hint=error.hint, http_status=error.http_status)
