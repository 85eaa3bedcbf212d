"""The one HTTP session: questions and answers, over a few connections.

Everything that devlxdctl asks of a host goes through `HostSession`. Requests and urllib3 are imported when
the first request is made.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from devlxdctl import __version__
from devlxdctl.errors import (
    DevLXDError,
    NotSupported,
    UnexpectedAnswer,
)
from devlxdctl.exchange import Answer, Question, strict_json
from devlxdctl.hints import Endpoint, hint
from devlxdctl.log import log
from devlxdctl.patience import Patience
from devlxdctl.sockets import socket_path
from devlxdctl.stream import Stream
from devlxdctl.tokens import Token, usable_token

if TYPE_CHECKING:
    import requests

CONNECTIONS: Final = 6
"""How many connections of the session may be open at a time."""


class HostSession:
    """The session with one host. Connects when asked something; safe to use from several threads.

    `wait` is as for `Patience`. `token` is a bearer token, or a function that returns it, called for each
    request.
    """

    def __init__(
        self, socket: str | os.PathLike[str] | None = None, wait: float | None = None, token: Token = None
    ) -> None:
        self._given = socket
        self.patience = Patience(wait)
        self._token = token
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
        return self.patience.repeat(self._whole, question)

    def open(self, question: Question) -> Stream:
        """As `ask`, but returns when the answer begins: a connection lost after that is the caller's."""
        stream = self.patience.repeat(self._begin, question)
        # What was left of the time to wait was for the answer to begin, not for all of its pauses.
        stream.limit_silence(question.silence)
        return stream

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
        limit = self.patience.silence(question)
        from devlxdctl.failures import no_answer

        try:
            response = session.request(
                question.method,
                f"http+unix://{quote(os.fsencode(self.socket), safe='')}{question.path}",
                data=question.body,
                headers=headers,
                timeout=limit,
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
