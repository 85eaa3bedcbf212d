"""Requests to the storage API."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from devlxdctl.errors import DevLXDError, HostUnavailable, NotFound, UnexpectedResponse
from devlxdctl.http import endpoints
from devlxdctl.http.endpoints import Endpoint
from devlxdctl.http.messages import Request, Response
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session
from devlxdctl.volumes.names import check_name
from devlxdctl.volumes.operation import Operation

_T = TypeVar("_T")
_log: Final = logging.getLogger(__name__)

LOOKUP_SECONDS: Final = 10.0
"""Seconds in which the effect of a change must show whose response was lost."""
_LOOKUP_PAUSE: Final = 0.2
_OPERATION_ID: Final = re.compile(r"[0-9A-Za-z-]+")


class Storage:
    """The requests of one call of the library. `names` are the parameters of an endpoint's path.

    `target` is the cluster member that has a local volume, "" for none.
    """

    def __init__(self, session: Session, retry: RetryPolicy, target: str = "") -> None:
        self.session = session
        self.retry = retry
        self._target = target
        self._is_started = False

    def read(
        self, endpoint: Endpoint, kind: type[list[Any]] | type[dict[str, Any]], **names: str
    ) -> tuple[Any, str]:
        """Return the JSON document of `endpoint`, and its ETag. Raises `NotFound` for what does not exist."""
        request = self._request("GET", endpoint, names)
        try:
            response = self.session.send(request, self.retry)
        except NotFound:
            self._find_missing(endpoint, names)
            raise
        return self.session.parse_json(response, request, kind), response.etag

    def find(self, endpoint: Endpoint, **names: str) -> dict[str, Any] | None:
        """Return the JSON object of `endpoint`, None if it does not exist, although all above it does."""
        request = self._request("GET", endpoint, names)
        try:
            response = self.session.send(request, self.retry)
        except NotFound:
            self._find_missing(endpoint, names)
            return None
        document: dict[str, Any] = self.session.parse_json(response, request, dict)
        return document

    def change(
        self,
        method: str,
        endpoint: Endpoint,
        body: Mapping[str, object] | None,
        etag: str = "",
        subject: str = "",
        **names: str,
    ) -> tuple[Request, Response]:
        """Send a change, once: it is not sent again when it may have reached the host."""
        request = self._request(method, endpoint, names)
        headers = {"If-Match": etag} if etag else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = request._replace(
            body=None if body is None else json.dumps(body).encode(),
            headers=headers,
            object=subject or request.object,
            idempotent=False,
        )
        try:
            return request, self.session.send(request, self.retry)
        except NotFound:
            self._find_missing(endpoint, names)
            raise

    def start(
        self,
        method: str,
        endpoint: Endpoint,
        body: Mapping[str, object] | None,
        *,
        subject: str,
        effect: Callable[[], bool],
        result: Callable[[], _T],
        is_lost: Callable[[], bool] = lambda: False,
        etag: str = "",
        **names: str,
    ) -> Operation[_T]:
        """Send a change that starts an operation, and return the operation. For arguments see `Operation`.

        Where the response is lost, the operation is over, and the effect is visible; otherwise raises
        `HostUnavailable`.
        """
        operation_id = ""
        try:
            request, response = self.change(method, endpoint, body, etag, subject, **names)
        except HostUnavailable as error:
            self.look_up(error, effect)
        else:
            operation_id = self.session.parse_json(response, request, dict).get("id")
            if not isinstance(operation_id, str) or not _OPERATION_ID.fullmatch(operation_id):
                problem = "response has no valid ID of an operation"
                raise UnexpectedResponse(subject, problem, http_status=200)
        self._is_started = True
        return Operation(
            *(self.session, self.retry, operation_id, subject),
            effect=effect,
            result=result,
            is_lost=is_lost,
        )

    def finished(self, subject: str, result: Callable[[], _T]) -> Operation[_T]:
        """Return the operation of a change that is already made."""
        return Operation(self.session, self.retry, "", subject, effect=lambda: True, result=result)

    def look_up(self, error: HostUnavailable, effect: Callable[[], bool]) -> None:
        """Return when the change is visible whose response was lost with `error`. Otherwise raise `error`."""
        if error.http_status is not None or not _was_sent(error):
            raise error
        self._is_started = True
        self.await_effect(
            effect,
            HostUnavailable(
                error.subject,
                f"{error.problem}; the change is not visible after {LOOKUP_SECONDS:g} s",
                hint=error.hint,
            ),
        )
        _log.warning("%s; the response was lost, the change was made", error)

    def await_effect(self, effect: Callable[[], bool], error: DevLXDError) -> None:
        """Return when `effect` is true. Raise `error` after `LOOKUP_SECONDS`."""
        end = time.monotonic() + LOOKUP_SECONDS
        while not effect():
            if time.monotonic() >= end:
                raise error
            time.sleep(_LOOKUP_PAUSE)

    def _request(self, method: str, endpoint: Endpoint, names: Mapping[str, str]) -> Request:
        for kind, name in names.items():
            check_name(kind, name)
        path = endpoint.path.format(**{kind: quote(name, safe="") for kind, name in names.items()})
        is_list = endpoint in (endpoints.VOLUMES, endpoints.SNAPSHOTS)
        query = {"recursion": "1"} if is_list else {}
        subject = list(names.values())[-1]
        if self._target and "pool" in names and endpoint != endpoints.POOL:
            query["target"] = self._target
            subject = self._target if endpoint == endpoints.VOLUMES else subject
        if query:
            path += "?" + urlencode(query)
        return Request(method, path, endpoint, object=subject, resumes=self._is_started)

    def _find_missing(self, endpoint: Endpoint, names: Mapping[str, str]) -> None:
        """Raise the error of the first object that is missing above the one that was not found."""
        above: list[tuple[Endpoint, tuple[str, ...]]] = []
        if endpoint != endpoints.POOL and "pool" in names:
            above.append((endpoints.POOL, ("pool",)))
            if self._target and endpoint != endpoints.VOLUMES:
                above.append((endpoints.VOLUMES, ("pool",)))
        if "snapshot" in names:
            above.append((endpoints.VOLUME, ("pool", "volume")))
        for each, kinds in above:
            self.session.send(self._request("GET", each, {kind: names[kind] for kind in kinds}), self.retry)


def _was_sent(error: DevLXDError) -> bool:
    """Whether the request of `error` can have reached the host."""
    from devlxdctl.http.error_mapping import was_sent

    while isinstance(error.__cause__, DevLXDError):  # the error after the last retry
        error = error.__cause__
    return was_sent(error)
