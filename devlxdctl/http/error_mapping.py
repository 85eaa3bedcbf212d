"""From exceptions and HTTP statuses to the errors of this package.

Decisions depend on errno, HTTP status and content type, never on the text of the host: it differs between
versions.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from typing import Final

from devlxdctl.errors import (
    Conflict,
    DevLXDError,
    HostUnavailable,
    NoDevLXD,
    NotFound,
    NotSupported,
    PermissionDenied,
    UnexpectedResponse,
    os_reason,
)
from devlxdctl.guest import SOCKETS, guest_signs, has_virtio_port, is_nested_container
from devlxdctl.http.endpoints import CAUSE_TEXTS, Cause, Endpoint, hint
from devlxdctl.http.messages import Request, Response

_MAX_HOST_TEXT: Final = 200  # characters of the host's text in an error
_SAME_AS_STATUS: Final = {"forbidden", "not authorized", "404 page not found"}  # says no more than the status
_NEVER_SENT: Final = (FileNotFoundError, NotADirectoryError, ConnectionRefusedError, BlockingIOError)


def error_from_exception(
    error: Exception, socket: str, endpoint: Endpoint, read_timeout: float | None
) -> DevLXDError:
    """The error for a request without a complete response. The caller raises it from `error`.

    `error` is what the HTTP library raised. An exception that is not about the connection is a bug, and is
    raised again.
    """

    def unavailable(problem: str, cause: Cause) -> HostUnavailable:
        return HostUnavailable(socket, problem, hint=hint(socket, endpoint, cause))

    match root_cause(error):
        case FileNotFoundError() | NotADirectoryError():
            return _missing_socket(socket, endpoint)
        case PermissionError():
            return PermissionDenied(socket, "permission denied", hint=hint(socket, endpoint, "not-root"))
        case ConnectionRefusedError():
            kind = _file_kind(socket)
            if kind is not None:
                return NoDevLXD(socket, f"is {kind}, not a socket")
            return unavailable("connection refused", "daemon-down")
        case BlockingIOError():
            return unavailable("too busy to accept connections", "timeout")
        case RemoteDisconnected():
            return unavailable("connection closed without a response", "daemon-down")
        case ConnectionError():
            return unavailable("connection reset", "daemon-down")
        case TimeoutError():
            return unavailable(f"no response within {read_timeout or 0:.3g} s", "timeout")
        case IncompleteRead():
            return unavailable("truncated response", "daemon-down")
        case HTTPException() | OSError(errno=errno.EMSGSIZE):
            return UnexpectedResponse(socket, "not an HTTP server")
        case OSError(errno=errno.ELOOP | errno.ENAMETOOLONG | errno.ESOCKTNOSUPPORT) as reason:
            return NoDevLXD(socket, os_reason(reason), hint=hint(socket, endpoint, "no-socket"))
        case OSError() as reason:
            return DevLXDError(socket, os_reason(reason))
    raise error


def error_from_status(response: Response, request: Request, socket: str, cause: Cause | None) -> DevLXDError:
    """The error for a response whose status is not an expected one.

    `cause` is what is known about it besides the status: it selects the hint.
    """
    status, subject, endpoint = response.status, request.subject, request.endpoint
    advice = hint(socket, endpoint, cause or status, object=request.object)
    text = host_text(response)
    if text.lower() in _SAME_AS_STATUS:
        text = ""
    suffix = f": {text}" if text else ""
    unknown_path = endpoint.object == "path"
    if status == 404 and endpoint.not_found == "endpoint" and response.media_type == "application/json":
        # devLXD answers in text where it has no endpoint, the main API of the host in JSON.
        problem = "not a devLXD socket, but one of the main API"
        return NotSupported(socket, problem, hint=hint(socket, endpoint, "wrong-socket"), http_status=status)
    if status == 404 and _is_missing_object(response, endpoint):
        if endpoint.object == "image":
            advice = hint(socket, endpoint, "private-image", object=request.object)
        elif "object-missing" in endpoint.hints:
            advice = hint(socket, endpoint, "object-missing", object=request.object)
        return NotFound(subject, endpoint.missing, hint=advice, http_status=status)
    if unknown_path and status in (405, 501):
        return NotSupported(subject, f"HTTP status {status}", hint=advice, http_status=status)
    if status in (404, 405, 501):
        return NotSupported(subject, f"not supported by this host{suffix}", hint=advice, http_status=status)
    if status in (401, 403):
        if cause is not None and cause in CAUSE_TEXTS:
            # The text of the host can name a device that the identity must not change.
            host = f"{suffix}; " if cause == "no-entitlement" and text else ": "
            suffix = host + CAUSE_TEXTS[cause].format(entitlement=endpoint.entitlement)
        return PermissionDenied(subject, f"permission denied{suffix}", hint=advice, http_status=status)
    problem = f"HTTP status {status}{suffix}"
    if status in (409, 412):
        return Conflict(subject, problem, http_status=status)
    if status >= 500:
        return HostUnavailable(subject, problem, hint=advice, http_status=status)
    return UnexpectedResponse(subject, problem, hint=advice, http_status=status)


def _is_missing_object(response: Response, endpoint: Endpoint) -> bool:
    if endpoint.not_found == "json":
        return response.media_type == "application/json"
    return endpoint.not_found != "endpoint"


def host_text(response: Response) -> str:
    """The first line of the host's explanation in the body of an error, "" without one.

    Which of two forms it has depends on the version of the host: plain text, or JSON with a field `error`.
    """
    text: object = ""
    if response.media_type == "text/plain":
        text = response.body.decode("utf-8", "replace")
    elif response.media_type == "application/json":
        try:
            text = json.loads(response.body)["error"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return ""
    return text.strip().partition("\n")[0][:_MAX_HOST_TEXT] if isinstance(text, str) else ""


def was_sent(error: DevLXDError) -> bool:
    """Whether the request can have reached the host."""
    cause = error.__cause__
    return cause is None or not isinstance(root_cause(cause), _NEVER_SENT)


def is_timeout(error: DevLXDError) -> bool:
    """Whether the host accepted the connection and then did not respond in time."""
    cause = error.__cause__
    return cause is not None and isinstance(root_cause(cause), TimeoutError)


def is_dropped(error: DevLXDError) -> bool:
    """Whether the peer accepted the connection, and closed it before it sent any byte."""
    cause = root_cause(error.__cause__) if error.__cause__ is not None else None
    return isinstance(cause, ConnectionError) and not isinstance(cause, ConnectionRefusedError)


def can_appear(error: NoDevLXD) -> bool:
    """Whether the missing socket can still appear: not where something else has its place."""
    cause = error.__cause__
    return cause is not None and isinstance(root_cause(cause), (FileNotFoundError, NotADirectoryError))


def is_restart(error: HostUnavailable, endpoint: Endpoint, socket: str, succeeded: bool) -> bool:
    """Whether a restart of the daemon of the host behind `socket` can look like this.

    `succeeded` says whether a request of the same call succeeded before.
    """
    if error.http_status == 500:
        return endpoint.retry_500 and (succeeded or not is_nested_container(socket))
    return error.http_status in (None, 502, 503, 504) and not is_timeout(error)


def is_new_socket(error: PermissionDenied) -> bool:
    """Whether the socket can be one that the host is still creating.

    LXD and Incus create the socket of a container, and only then change its mode from 0755 to 0666.
    """
    return error.subject in SOCKETS and os.geteuid() == 0


def is_api_off(error: PermissionDenied, endpoint: Endpoint) -> bool:
    """Whether the host forbids the request because the API is switched off, as far as its status says it."""
    return error.http_status == 403 and not endpoint.object and 403 not in endpoint.hints


def _missing_socket(socket: str, endpoint: Endpoint) -> DevLXDError:
    """The error for a socket that does not exist: not at all, or only not now.

    The directory of a container's socket vanishes when the API is switched off, but stays while the daemon is
    stopped. A virtual machine has the virtio port of the host before its agent creates the socket.
    """
    if socket in SOCKETS:
        if has_virtio_port():
            advice = hint(socket, endpoint, "agent-down")
            return HostUnavailable(socket, "no such socket now", hint=advice)
        if os.path.isdir(os.path.dirname(socket)):
            advice = hint(socket, endpoint, "daemon-down")
            return HostUnavailable(socket, "no such socket now", hint=advice)
    cause: Cause = "api-off" if socket in SOCKETS and guest_signs() else "no-socket"
    return NoDevLXD(socket, "no such socket", hint=hint(socket, endpoint, cause))


def _file_kind(path: str) -> str | None:
    """What `path` is where it is not a socket; None for a socket, and where nothing exists."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return None
    if stat.S_ISSOCK(mode):
        return None
    return "a directory" if stat.S_ISDIR(mode) else "a file"


def root_cause(error: BaseException) -> BaseException:
    """The exception inside those of urllib3, as one of the standard library."""
    import urllib3.exceptions as lower

    while isinstance(error, (lower.ProtocolError, lower.MaxRetryError)):
        inner = next((part for part in error.args[::-1] if isinstance(part, BaseException)), None)
        if inner is None:
            return IncompleteRead(b"")
        error = inner
    if isinstance(error, lower.TimeoutError):
        return TimeoutError()
    if isinstance(error, IncompleteRead):
        return error  # urllib3's own is one of the standard library, too
    if isinstance(error, lower.HTTPError):
        return HTTPException(str(error))
    if type(error) is BadStatusLine and not str(error.args[0]).endswith("\n"):
        return IncompleteRead(b"")  # the connection ended inside the status line
    return error
