"""Operations: changes that the host makes in the background."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from urllib.parse import quote

from devlxdctl.errors import Conflict, OperationFailed, TimedOut, UnexpectedResponse
from devlxdctl.http.endpoints import OPERATION_WAIT
from devlxdctl.http.messages import Request, Response

if TYPE_CHECKING:
    from devlxdctl.http.retry import RetryPolicy
    from devlxdctl.http.session import Session

__all__ = ["Operation"]

_T = TypeVar("_T")
_log: Final = logging.getLogger(__name__)

_STEP: Final = 10
"""Seconds that one request waits for an operation."""
_CONFIRM_PAUSE: Final = 0.3
"""Seconds after which a failure with status 500 is read again. A daemon that stops answers with it, too, for
at most 0.25 s. Hosts keep the result of an operation for 5 s."""


class Operation(Generic[_T]):
    """A change that the host makes in the background. It continues if this program ends.

    * `id`: its ID on the host; "" if there was nothing to wait for.
    * `subject`: the name of what it changes.
    * `done`: whether it is known to have succeeded.

    >>> operation = client.create_volume("default", "data", size="10GiB")
    >>> volume = operation.wait(timeout=600)
    """

    def __init__(
        self,
        session: Session,
        retry: RetryPolicy,
        operation_id: str,
        subject: str,
        *,
        effect: Callable[[], bool],
        result: Callable[[], _T],
        is_lost: Callable[[], bool] = lambda: False,
    ) -> None:
        """`effect` says whether the change is visible, and `is_lost` whether another change undid it.

        `result` returns what `wait` returns.
        """
        self._session = session
        self._retry = retry
        self._effect = effect
        self._result = result
        self._is_lost = is_lost
        self.id = operation_id
        self.subject = subject
        self.done = not operation_id

    @property
    def hint(self) -> str:
        """How to wait for it on the command line."""
        return f"wait for it: devlxdctl query '/1.0/operations/{self.id}/wait?timeout=60'"

    def __repr__(self) -> str:
        return f"<Operation {self.id or 'done'} of {self.subject!r}>"

    def wait(self, timeout: float | None = None) -> _T:
        """Wait for the end, and return the new state of what was changed, or None where it was deleted.

        * `timeout`: seconds after which it raises `TimedOut`, at the latest one second later; None waits for
          ever. It can be called again.

        Raises `OperationFailed` with the text of the host if the operation failed, and `Conflict` if another
        program changed the same object at the same time and this change is lost. The daemon of the host can
        restart meanwhile and lose the operation: the object itself is then looked up instead.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self.done:
            self._wait_once(end, timeout)
        if self._is_lost():
            raise Conflict(self.subject, "another program changed it at the same time")
        return self._result()

    def _wait_once(self, end: float | None, timeout: float | None) -> None:
        left = math.inf if end is None else end - time.monotonic()
        seconds = max(1, math.ceil(min(_STEP, left)))
        start = time.monotonic()
        response = self._send(seconds)
        # A response to an operation that still runs has status 500, and so can one that failed. Only the time
        # tells them apart: the host does not give up waiting before `seconds` are over.
        if response.status == 500 and time.monotonic() - start < seconds:
            time.sleep(_CONFIRM_PAUSE)
            start = time.monotonic()
            again = self._send(seconds)
            if again.status == 500 and time.monotonic() - start < seconds:
                raise self._failure(again)
            response = again
        if response.status == 200:
            self._take_result(response)
        elif response.status == 404:
            self._look_up()
        elif response.status != 500:
            raise self._failure(response)
        elif end is not None and time.monotonic() >= end:
            problem = f"operation {self.id} is still running after {timeout:g} s"
            raise TimedOut(self.subject, problem, hint=self.hint)

    def _send(self, seconds: int) -> Response:
        """Wait on the host for `seconds`, and return the response whatever its status.

        Raises `PermissionDenied` when the token has expired or the API was switched off meanwhile.
        """
        path = f"{OPERATION_WAIT.path.format(id=quote(self.id, safe=''))}?timeout={seconds}"
        request = Request(
            *("GET", path, OPERATION_WAIT),
            object=self.id,
            read_timeout=seconds + 15.0,
            expected=range(600),
            resumes=True,
        )
        response = self._session.send(request, self._retry)
        if response.status in (401, 403):
            raise self._session.error_from_status(response, request)
        return response

    def _take_result(self, response: Response) -> None:
        document = self._session.parse(response, self.subject)
        if not isinstance(document, dict):
            problem = "response is not a JSON object"
            raise UnexpectedResponse(self.subject, problem, http_status=response.status)
        code = document.get("status_code")
        if isinstance(code, int) and code >= 400:  # such as 401, cancelled
            text = document.get("err") or document.get("status")
            raise OperationFailed(self.subject, str(text), http_status=200)
        self.done = code != 103  # running

    def _look_up(self) -> None:
        """The host removed the operation: a few seconds after its end, or when its daemon restarted."""
        if not self._effect():
            problem = f"the host does not know operation {self.id} any more, and its change is not visible"
            raise OperationFailed(self.subject, problem, http_status=404)
        _log.debug("the host does not know operation %s any more; its change is visible", self.id)
        self.done = True

    def _failure(self, response: Response) -> OperationFailed:
        from devlxdctl.http.error_mapping import host_text

        text = host_text(response) or f"HTTP status {response.status}"
        return OperationFailed(self.subject, text, http_status=response.status)
