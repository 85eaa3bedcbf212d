"""When to send a request again while the host is unavailable."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Final, TypeVar

from devlxdctl.errors import (
    DevLXDError,
    HostUnavailable,
    NoDevLXD,
    PermissionDenied,
    TimedOut,
    UnexpectedResponse,
)
from devlxdctl.http.messages import Request

_T = TypeVar("_T")
_log: Final = logging.getLogger(__name__)

RESTART_SECONDS: Final = 10.0
"""Seconds for which requests are retried by default. A restart of the host's daemon takes 1 to 5."""

_MIN_READ_TIMEOUT: Final = 1.0  # seconds that the host gets to respond, however little time is left
_LOG_AFTER: Final = 1.0
_MAX_DROPPED: Final = 5
"""Connections in a row that are closed without a response, after which the peer is not an HTTP server. A
daemon that starts or stops does that once or twice."""
_PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.5)


class RetryPolicy:
    """The retries of one call of the library, which can make several requests.

    * `wait`: seconds to retry while the host is unavailable or the socket is missing, counted from the first
      request; `math.inf` for ever. None retries for `RESTART_SECONDS` from the first failure, and a missing
      socket only when the host responded earlier in the same call.
    * `timeout`: seconds after which every attempt to reach the host ends, with `TimedOut`.
    """

    def __init__(self, wait: float | None = None, *, timeout: float | None = None) -> None:
        self._wait = wait
        self._timeout = timeout
        self._started = time.monotonic()
        self._forever = wait == math.inf
        self._accept_403 = False
        self._responded = self._succeeded = self._was_missing = False
        self.retries = 0
        """How many requests were sent again."""

    def retry_forever(self, accept_403: bool = False) -> None:
        """Retry from now on until `timeout`, however long the host is unavailable.

        With `accept_403`, status 403 is retried as well: a connection that is still open learns in this way
        that the API was switched off. Use it only after the same request succeeded. 401 is never retried.
        """
        self._forever = True
        self._accept_403 = accept_403

    def read_timeout(self, request: Request, default: float) -> float:
        """Seconds to wait for bytes of the response in one attempt."""
        timeout = default if request.read_timeout is None else request.read_timeout
        end = self._end(math.inf, request)
        return timeout if end == math.inf else min(timeout, max(end - time.monotonic(), _MIN_READ_TIMEOUT))

    def run(self, attempt: Callable[[Request], _T], request: Request, socket: Callable[[], str] = str) -> _T:
        """Return what `attempt` returns, after retries while the host is unavailable.

        `socket` returns the path of the socket in use.
        """
        # Not urllib3's Retry: it counts attempts instead of time, and does not cover the body of a response,
        # which a host can break off when it stops.
        first_failure: float | None = None
        logged_wait = logged_outage = False
        attempts = dropped = 0
        while True:
            start = time.monotonic()
            try:
                result = attempt(request)
                self._responded = self._succeeded = True
                return result
            except DevLXDError as error:
                self._responded = self._responded or error.http_status is not None
                if not self._should_retry(error, request, socket):
                    raise
                dropped = dropped + 1 if self._is_dropped(error) else 0
                if dropped == _MAX_DROPPED:
                    raise UnexpectedResponse(error.subject, "not an HTTP server") from error
                now = time.monotonic()
                first_failure = first_failure or start
                end = self._end(first_failure, request)
                if now >= end:
                    raise self._final_error(error, request, now - first_failure) from error
                pause = min(_PAUSES[min(attempts, len(_PAUSES) - 1)], end - now)
                _log.debug("%s %s: %s; retry in %.2f s", request.method, request.path, error.problem, pause)
                failing = now - first_failure
                if failing > _LOG_AFTER and not logged_wait:
                    _log.info("waiting for the host: %s", error)
                    logged_wait = True
                if self._forever and failing > RESTART_SECONDS and not logged_outage:
                    _log.warning("host unavailable, still waiting: %s", error)
                    logged_outage = True
            attempts += 1
            self.retries += 1
            time.sleep(pause)

    def _is_dropped(self, error: DevLXDError) -> bool:
        from devlxdctl.http.error_mapping import is_dropped

        return not self._forever and is_dropped(error)

    def _should_retry(self, error: DevLXDError, request: Request, socket: Callable[[], str]) -> bool:
        from devlxdctl.http.error_mapping import can_appear, is_api_off, is_new_socket, is_restart, was_sent

        waits = self._forever or self._wait is not None
        if isinstance(error, NoDevLXD):
            # A socket that responded before is missing because the host restarts or the API is switched off.
            self._was_missing = (waits or self._responded) and can_appear(error)
            return self._was_missing
        if isinstance(error, HostUnavailable):
            # A host that cannot identify this process never succeeds: after a success, 500 is a restart.
            retryable = is_restart(error, request.endpoint, socket(), self._succeeded)
            retryable = retryable or (waits and error.http_status != 500)
            return retryable and (request.idempotent or not was_sent(error))
        if isinstance(error, PermissionDenied):
            # A host that switches the API on creates the socket shortly before it accepts requests.
            is_switched_on = self._was_missing and is_api_off(error, request.endpoint)
            return is_new_socket(error) or is_switched_on or (self._accept_403 and error.http_status == 403)
        return False

    def _end(self, first_failure: float, request: Request) -> float:
        ends = [] if self._timeout is None else [self._started + self._timeout]
        if not self._forever:
            if self._wait is None or request.resumes:
                ends.append(first_failure + RESTART_SECONDS)
            else:
                ends.append(self._started + self._wait)
        return min(ends, default=math.inf)

    def _final_error(self, error: DevLXDError, request: Request, tried: float) -> DevLXDError:
        waited = None if request.resumes else self._wait
        if self._timeout is not None and time.monotonic() >= self._started + self._timeout:
            waited = self._timeout
        kind: type[DevLXDError] = TimedOut
        if waited is None:
            kind = PermissionDenied if isinstance(error, PermissionDenied) else HostUnavailable
        suffix = f"tried for {tried:.0f} s" if waited is None else f"waited {round(waited, 2):g} s"
        return kind(
            error.subject, f"{error.problem}; {suffix}", hint=error.hint, http_status=error.http_status
        )
