"""The one HTTP session: which socket, how long to be silent, when to ask again.

Everything that devlxdctl asks of a host goes through `HostSession`. Requests and urllib3 are imported when
the first request is made.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from devlxdctl import __version__
from devlxdctl.errors import (
    DevLXDError,
    InvalidRequest,
    NoHost,
    NotPermitted,
    NotSupported,
    TimedOut,
    UnexpectedAnswer,
    Unreachable,
)
from devlxdctl.exchange import Answer, Question, strict_json
from devlxdctl.hints import Endpoint, hint
from devlxdctl.stream import Stream
from devlxdctl.tokens import Token, usable_token

if TYPE_CHECKING:
    import requests

_T = TypeVar("_T")

log = logging.getLogger("devlxdctl")

CONNECTIONS: Final = 4
"""How many connections of the session may be open at a time."""

GRACE: Final = 10.0
"""Seconds that a request is repeated for while a host restarts, which takes it 1 to 5."""

_LAST_SILENCE: Final = 1.0  # what a host has to answer at least, however little of the time is left
_TELL_AFTER: Final = 1.0
_PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.5)
_SOCKET_PATH_LIMIT: Final = 107  # bytes, of sockaddr_un's 108 with its closing NUL


def socket_path(given: str | os.PathLike[str] | None = None) -> str:
    """The socket to use: `given`, else `$DEVLXD_SOCKET`, else the first that exists of LXD's and Incus's.

    Where neither exists, it is the one whose directory does, else that of the product that the machine shows
    signs of, else LXD's. Raises `InvalidRequest` for a path
    that no socket can have.
    """
    from devlxdctl.failures import SOCKETS

    path = os.fspath(given) if given else os.environ.get("DEVLXD_SOCKET", "")
    if not path:
        for candidate in SOCKETS:
            if os.path.lexists(candidate):
                return candidate
        for candidate in SOCKETS:
            if os.path.isdir(os.path.dirname(candidate)):
                return candidate
        from devlxdctl.guestsigns import guest_signs

        return SOCKETS[1 if any(sign.product == "Incus" for sign in guest_signs()) else 0]
    length = len(os.fsencode(path))
    if length > _SOCKET_PATH_LIMIT or "\0" in path:
        why = f"the path of a socket has at most {_SOCKET_PATH_LIMIT} bytes and no NUL, this one has {length}"
        raise InvalidRequest(path, why)
    return path


class HostSession:
    """The session with one host. Connects when asked something; safe to use from several threads.

    `wait` is the number of seconds to keep trying while there is no answer, a missing socket included,
    counted from the first request; None means to bear a restart of the host for `GRACE` seconds and a missing
    socket not at all. `token` is a bearer token, or a function that returns it, called for each request.
    """

    def __init__(
        self, socket: str | os.PathLike[str] | None = None, wait: float | None = None, token: Token = None
    ) -> None:
        self._given = socket
        self._wait = wait
        self._token = token
        self._deadline: float | None = None
        self._limit: float | None = None
        self._until: float | None = None
        self._persistent = False
        self._bears_refusal = False
        self._answered = False
        self._session: requests.Session | None = None
        self._opening = threading.Lock()
        self.socket = ""

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def get_json(self, path: str, endpoint: Endpoint, kind: type[list[Any]] | type[dict[str, Any]]) -> Any:
        """The JSON document at `path`, which must be of `kind`, list or dict.

        Raises `NotSupported` when the host gave its list of versions instead: LXD 6.9 answers so, with status
        200, to every path that it does not know.
        """
        return self.ask_json(Question("GET", path, endpoint), kind)

    def ask_json(self, question: Question, kind: type[list[Any]] | type[dict[str, Any]]) -> Any:
        """As `get_json`, for any question."""
        path = question.path
        document = self.parse(self.ask(question), path)
        if path != "/" and document == ["/1.0"]:
            advice = hint(self.socket, question.endpoint, 404)
            raise NotSupported(path, "this host does not offer it", hint=advice, http_status=200)
        if not isinstance(document, kind):
            name = "a list" if kind is list else "an object"
            raise UnexpectedAnswer(path, f"the answer should be {name} in JSON, and is not", http_status=200)
        return document

    def parse(self, answer: Answer, what: str) -> Any:
        """The JSON in `answer`. Raises `UnexpectedAnswer` for anything else."""
        if answer.media_type != "application/json":
            kind = answer.media_type or "of no type"
            raise UnexpectedAnswer(what, f"the answer is {kind}, not JSON", http_status=answer.status)
        try:
            return strict_json(answer.body)
        except (ValueError, RecursionError) as error:
            raise UnexpectedAnswer(what, "the answer is not valid JSON", http_status=answer.status) from error

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

    def locate(self) -> str:
        """The path of the socket as things are now. Raises `InvalidRequest` for one that cannot be."""
        self.socket = socket_path(self._given)
        return self.socket

    def authorization(self) -> dict[str, str]:
        """The header that carries the bearer token, if there is one."""
        token = usable_token(self._token)
        return {"Authorization": f"Bearer {token}"} if token else {}

    def refusal(self, answer: Answer, question: Question) -> DevLXDError:
        """The error that an answer with an unexpected status stands for."""
        from devlxdctl.failures import refusal

        error = refusal(answer, question, self.socket)
        if answer.status == 403 and self._token is not None:
            # A token that the host knows, but that has expired or was revoked, is refused everywhere.
            error.hint = hint(self.socket, question.endpoint, "token", key=question.key)
        return error

    def ask(self, question: Question) -> Answer:
        """Asks the host, again while it restarts, and returns its whole answer.

        Raises the error that the failure or the status stands for.
        """
        return self.repeat(self._whole, question)

    def open(self, question: Question) -> Stream:
        """As `ask`, but returns when the answer begins: a connection lost after that is the caller's."""
        stream = self.repeat(self._begin, question)
        # What was left of the time to wait was for the answer to begin, not for all of its pauses.
        stream.limit_silence(question.silence)
        return stream

    def repeat(self, attempt: Callable[[Question], _T], question: Question) -> _T:
        """What `attempt` returns: made again while the host restarts, as the session bears it."""
        # Not urllib3's Retry: it counts attempts and not time, and ends at the headers, where the answer of a
        # dying host only begins.
        first_failure: float | None = None
        told = warned = False
        for number in range(2**31):
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
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _bears(self, error: DevLXDError, question: Question) -> bool:
        waits = self._persistent or self._wait is not None
        if isinstance(error, NoHost):
            return (waits or question.continues) and error.may_come
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

    def _whole(self, question: Question) -> Answer:
        start = time.monotonic()
        with self._begin(question) as stream:
            body = stream.read()
        log.debug(
            "%s %s: %d %s, %d bytes, %.1f ms",
            question.method,
            question.path,
            stream.status,
            stream.media_type,
            len(body),
            (time.monotonic() - start) * 1000,
        )
        return Answer(stream.status, stream.media_type, body)

    def _begin(self, question: Question) -> Stream:
        from urllib.parse import quote

        self.locate()
        session = self._connections()
        headers = {**question.headers, **self.authorization()}
        limit = question.silence
        end = self._end(math.inf, question)
        if limit is not None and end < math.inf:
            limit = min(limit, max(end - time.monotonic(), _LAST_SILENCE))
        from devlxdctl.failures import no_answer

        try:
            response = session.request(
                question.method,
                f"http+unix://{quote(os.fsencode(self.socket), safe='')}{question.path}",
                data=question.body,
                headers=headers,
                timeout=limit,
                allow_redirects=False,
                stream=True,
            )
        except Exception as error:
            raise no_answer(error, self.socket, question.endpoint, limit) from error
        stream = Stream(response, question, self.socket, limit)
        if stream.headers.get("Content-Encoding", "identity") != "identity":
            stream.close()
            raise UnexpectedAnswer(question.what, "the answer is compressed, which was not asked for")
        if stream.status not in question.expected:
            with stream:
                answer = Answer(stream.status, stream.media_type, stream.read())
            log.debug("%s %s: %d %s", question.method, question.path, *answer[:2])
            raise self.refusal(answer, question)
        return stream

    def _connections(self) -> requests.Session:
        with self._opening:
            if self._session is None:
                from devlxdctl.transport import new_session

                self._session = new_session(f"devlxdctl/{__version__}", CONNECTIONS)
            return self._session
