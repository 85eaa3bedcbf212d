"""Reporting Ready to the host, and verifying that it took effect."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Final, NoReturn

from devlxdctl.errors import HostUnavailable, NotSupported, UnexpectedResponse
from devlxdctl.http.endpoints import READY
from devlxdctl.http.messages import Request
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session
from devlxdctl.models import State

ReadState = Callable[[RetryPolicy], State]

_log: Final = logging.getLogger(__name__)

_RESET_DELAY: Final = 1.0
"""Seconds within which a daemon that responds again after a restart resets Ready."""
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts that the host accepts and that have no effect."""
_MAX_RESTARTS: Final = 10
"""Attempts during which the host restarted, usually of one or two seconds, after which it is unavailable."""


def is_ready(session: Session, read_state: ReadState, retry: RetryPolicy) -> bool:
    """Whether the host has the instance as Ready. Raises `NotSupported` on hosts without readiness."""
    state = read_state(retry).get("state")
    if not state:
        raise _not_supported(session, "not supported by this host")
    return state == "Ready"


def set_ready(
    session: Session,
    read_state: ReadState,
    ready: bool,
    retry: RetryPolicy,
    max_restarts: float = _MAX_RESTARTS,
) -> None:
    """Report Ready, or Started, and verify it by reading the state.

    A state that disagrees once is no proof that the host ignores it: a restart of the daemon resets Ready
    shortly after it responds again. So after a retry, the state is read again after that delay. An attempt
    during which the host restarted proves nothing. Raises `HostUnavailable` after `max_restarts` of these.
    """
    state = "Ready" if ready else "Started"
    request = Request("PATCH", READY.path, READY, b'{"state":"%s"}' % state.encode())
    pauses = iter(_PAUSES)
    restarts = 0
    verified = retry.retries
    while True:
        before = retry.retries
        response = session.send(request, retry)
        if response.body:  # LXD 5.0 answers with the state and changes nothing
            session.parse(response, READY.path)
            raise _not_supported(session, "ignored by this host")
        was_set = is_set = is_ready(session, read_state, retry) is ready
        if is_set and retry.retries > verified:  # also by an attempt before this one
            verified = retry.retries
            time.sleep(_RESET_DELAY)
            is_set = is_ready(session, read_state, retry) is ready and retry.retries == verified
        if is_set:
            return
        if was_set or retry.retries > before:
            restarts += 1
            if restarts == max_restarts:
                raise HostUnavailable("ready", f"the host restarted during each of {restarts} attempts")
            pauses = iter(_PAUSES)
            time.sleep(_PAUSES[0])
        elif (pause := next(pauses, None)) is not None:
            time.sleep(pause)
        else:
            raise _not_supported(session, f"the host accepted {state}, but the state did not change")


def hold_ready(session: Session, read_state: ReadState, interval: float, retry: RetryPolicy) -> NoReturn:
    """Report Ready, and again whenever the host has lost it, for ever. See `Client.hold_ready`."""
    is_ready(session, read_state, retry)  # raises what is wrong at the start
    retry.retry_forever()
    set_ready(session, read_state, True, retry, math.inf)
    retry.retry_forever(accept_403=True)
    while True:
        time.sleep(interval)
        try:
            if not is_ready(session, read_state, retry):
                _log.info("the host has lost Ready; reporting it again")
                set_ready(session, read_state, True, retry, math.inf)
        except (HostUnavailable, NotSupported, UnexpectedResponse) as error:  # of a host that restarts
            _log.warning("%s", error)


def _not_supported(session: Session, problem: str) -> NotSupported:
    return NotSupported("ready", problem, hint=session.hint(READY, "ready-ignored"))
