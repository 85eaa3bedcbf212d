"""The one HTTP session: requests and responses over a few connections.

All requests but raw ones go through `Session`. requests and urllib3 are imported with the first request.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from devlxdctl._version import __version__
from devlxdctl.errors import DevLXDError, NotSupported, UnexpectedResponse
from devlxdctl.guest import find_socket
from devlxdctl.http.endpoints import STATE, Cause, Endpoint, hint
from devlxdctl.http.messages import Request, Response, parse_strict_json
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.streaming import StreamedResponse
from devlxdctl.http.tokens import Token, resolve_token

if TYPE_CHECKING:
    from devlxdctl.http.transport import Transport

_log: Final = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 6
"""Connections of the session that can be open at a time, where a program calls it from several threads. A
call itself uses two at most: see `parallel`."""


class Session:
    """The session with one host. Connects at the first request; safe to use from several threads.

    * `socket`: its path, or None to look for it at each request.
    * `timeout`: seconds to wait for bytes of a response.
    * `token`: a bearer token, or a function that returns it, called for each request.

    Keeps no state of retries: each call brings its own `RetryPolicy`.
    """

    def __init__(self, socket: str | os.PathLike[str] | None, timeout: float, token: Token) -> None:
        self._given_socket = socket
        self._timeout = timeout
        self._token = token
        self._transport: Transport | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections. The next request opens new ones."""
        if self._transport is not None:
            self._transport.close()

    def socket(self) -> str:
        """The path of the socket as of now. Raises `InvalidRequest` for a path that no socket can have."""
        return find_socket(self._given_socket)

    def authorization(self) -> dict[str, str]:
        """The header with the bearer token; empty without one."""
        token = resolve_token(self._token)
        return {"Authorization": f"Bearer {token}"} if token else {}

    def hint(self, endpoint: Endpoint, cause: Cause | int, *, object: str = "") -> str | None:
        """What to do about `cause` at `endpoint`, in the words of the product of this host."""
        return hint(self.socket(), endpoint, cause, object=object)

    def get_json(
        self, endpoint: Endpoint, kind: type[list[Any]] | type[dict[str, Any]], retry: RetryPolicy
    ) -> Any:
        """GET the JSON document of `endpoint`, which must be of type `kind`."""
        return self.send_json(Request("GET", endpoint.path, endpoint), kind, retry)

    def send_json(
        self, request: Request, kind: type[list[Any]] | type[dict[str, Any]], retry: RetryPolicy
    ) -> Any:
        """Send `request` and return the JSON document of its response, which must be of type `kind`.

        Raises `NotSupported` for the list of versions: LXD 6 answers every unknown path with it, and with
        status 200.
        """
        return self.parse_json(self.send(request, retry), request, kind)

    def parse_json(
        self, response: Response, request: Request, kind: type[list[Any]] | type[dict[str, Any]]
    ) -> Any:
        """Return the JSON document in the `response` to `request`, as `send_json` does."""
        path = request.path
        document = self.parse(response, path)
        if path != "/" and is_version_list(document):
            raise self.not_supported(request)
        if not isinstance(document, kind):
            name = "list" if kind is list else "object"
            raise UnexpectedResponse(path, f"response is not a JSON {name}", http_status=200)
        return document

    def parse(self, response: Response, subject: str) -> Any:
        """Return the JSON document in `response`. Raises `UnexpectedResponse` for anything else."""
        status = response.status
        if response.media_type != "application/json":
            problem = f"unexpected content type {response.media_type or 'none'}"
            raise UnexpectedResponse(subject, problem, http_status=status)
        try:
            return parse_strict_json(response.body)
        except (ValueError, RecursionError) as error:
            raise UnexpectedResponse(subject, "response is not valid JSON", http_status=status) from error

    def not_supported(self, request: Request) -> NotSupported:
        """The error for an endpoint that this host does not have, although it answered with status 200."""
        advice = self.hint(request.endpoint, 404)
        return NotSupported(request.subject, "not supported by this host", hint=advice, http_status=200)

    def send(self, request: Request, retry: RetryPolicy) -> Response:
        """Send `request` and return its complete response.

        Raises a `DevLXDError` for a failure, and for a status that is not expected.
        """
        return retry.run(lambda each: self._read(each, retry), request, self.socket)

    def open(self, request: Request, retry: RetryPolicy) -> StreamedResponse:
        """As `send`, but return when the body begins: losing the connection later is up to the caller."""
        response = retry.run(lambda each: self._begin(each, retry), request, self.socket)
        # The time left to wait was for the response to begin, not for each piece of it.
        timeout = self._timeout if request.read_timeout is None else request.read_timeout
        response.set_read_timeout(timeout)
        return response

    def error_from_status(self, response: Response, request: Request) -> DevLXDError:
        """The error for a response whose status is not expected.

        Reads the state of the instance where the status alone does not say what is wrong.
        """
        from devlxdctl.http.error_mapping import error_from_status

        cause: Cause | None = None
        endpoint = request.endpoint
        if response.status == 403:
            cause = self._cause_of_403(endpoint)
        elif response.status == 500:
            from devlxdctl.guest import is_nested_container

            cause = "nested-container" if is_nested_container(self.socket()) else None
        elif response.status == 404 and not self._has_endpoint(endpoint):
            request = request._replace(endpoint=endpoint._replace(not_found="endpoint"))
        return error_from_status(response, request, self.socket(), cause)

    def _has_endpoint(self, endpoint: Endpoint) -> bool:
        """Whether this host has `endpoint`, as far as a field of the state says it."""
        if endpoint.not_found in ("endpoint", "object", "json"):
            return True
        return endpoint.not_found in (self._state() or {})

    def _cause_of_403(self, endpoint: Endpoint) -> Cause | None:
        """Why a request was forbidden, as far as the host shows it."""
        if not self.authorization():
            return "no-token" if endpoint.needs_token else None
        state = self._state()
        if state is None:
            # A token that has expired or was revoked is rejected at every endpoint.
            return "token-rejected"
        if state.get("auth") != "trusted":
            return "untrusted-token" if endpoint.needs_token else None
        if endpoint.switch_probe:
            return "no-entitlement" if self._is_switched_on(endpoint.switch_probe) else "volumes-off"
        return "entitlement" if endpoint.object == "path" else None

    def _is_switched_on(self, path: str) -> bool:
        """Whether the host allows a GET of `path`, which needs a switch, but no entitlement."""
        try:
            request = Request("GET", path, STATE, expected=range(600))
            return self._read(request, RetryPolicy()).status != 403
        except DevLXDError:
            return True

    def _state(self) -> dict[str, Any] | None:
        """The state of the instance for a diagnosis, None where it cannot be read."""
        try:
            response = self._read(Request("GET", STATE.path, STATE, expected=range(600)), RetryPolicy())
            state = self.parse(response, STATE.path) if response.status == 200 else None
        except DevLXDError:
            return None
        return state if isinstance(state, dict) else None

    def _read(self, request: Request, retry: RetryPolicy) -> Response:
        start = time.monotonic()
        with self._begin(request, retry) as response:
            body = response.read()
        _log.debug(
            "%s %s: %d %s, %d bytes, %.1f ms",
            request.method,
            request.path,
            response.status,
            response.media_type,
            len(body),
            (time.monotonic() - start) * 1000,
        )
        return Response(response.status, response.media_type, body, response.headers.get("ETag", ""))

    def _begin(self, request: Request, retry: RetryPolicy) -> StreamedResponse:
        socket, timeout = self.socket(), retry.read_timeout(request, self._timeout)
        headers = {**request.headers, **self.authorization()}
        try:
            raw = self.transport().send(
                socket, request.method, request.path, headers=headers, body=request.body, timeout=timeout
            )
        except Exception as error:
            from devlxdctl.http.error_mapping import error_from_exception

            raise error_from_exception(error, socket, request.endpoint, timeout) from error
        response = StreamedResponse(raw, request, socket, timeout)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            response.close()
            raise UnexpectedResponse(request.subject, "unexpected Content-Encoding")
        if response.status not in request.expected:
            with response:
                complete = Response(response.status, response.media_type, response.read())
            _log.debug("%s %s: %d %s", request.method, request.path, *complete[:2])
            raise self.error_from_status(complete, request)
        return response

    def transport(self) -> Transport:
        """The transport, made at the first call: this imports requests and urllib3."""
        with self._lock:
            if self._transport is None:
                from devlxdctl.http.transport import Transport

                self._transport = Transport(f"devlxdctl/{__version__}", MAX_CONNECTIONS)
            return self._transport


def is_version_list(document: Any) -> bool:
    """Whether this is the response of LXD 6 for a path that it does not have."""
    return bool(document == ["/1.0"])
