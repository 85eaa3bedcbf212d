"""What went wrong: from the operating system's, the libraries' or the host's words to our errors.

Decided by errno, HTTP status and content type, never by the host's text: that differs between versions.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected
from typing import Final

import requests
import urllib3.exceptions as lower

from devlxdctl.errors import (
    DevLXDError,
    NoHost,
    NotFound,
    NotPermitted,
    NotSupported,
    UnexpectedAnswer,
    Unreachable,
)
from devlxdctl.exchange import Answer, Question
from devlxdctl.hints import Cause, Endpoint, hint
from devlxdctl.sockets import SOCKETS

_VIRTIO_PORTS: Final = (
    "/dev/virtio-ports/com.canonical.lxd",
    "/dev/virtio-ports/org.linuxcontainers.lxd",
    "/dev/virtio-ports/org.linuxcontainers.incus",
)
_OR_PRIVATE: Final = "or it is private: both look the same from here"
RESTARTING: Final = frozenset({500, 502, 503, 504})
"""The statuses of a host whose daemon stops or starts."""


def no_answer(error: Exception, socket: str, endpoint: Endpoint, limit: float | None) -> DevLXDError:
    """The error for a request that `socket` gave no answer to within `limit` seconds of silence.

    `error` is what the HTTP library raised. One that is no matter of the connection is a bug: raised again.
    """

    def unreachable(why: str, cause: Cause, *, sent: bool = True, passing: bool = True) -> Unreachable:
        return Unreachable(socket, why, hint=hint(socket, endpoint, cause), sent=sent, passing=passing)

    match _origin(error):
        case FileNotFoundError() | NotADirectoryError():
            return _absent(socket, endpoint)
        case PermissionError():
            return NotPermitted(socket, "permission denied", hint=hint(socket, endpoint, "denied"))
        case ConnectionRefusedError():
            kind = _kind_of_file(socket)
            if kind is not None:
                return NoHost(socket, f"is {kind}, not a socket", may_come=False)
            return unreachable("connection refused", "refused", sent=False)
        case OSError(errno=errno.EAGAIN):
            return unreachable("too busy to accept connections", "silent", sent=False)
        case RemoteDisconnected():
            return unreachable("the host closed the connection without an answer", "refused")
        case ConnectionError():
            return unreachable("the host dropped the connection", "refused")
        case TimeoutError() | lower.TimeoutError():
            return unreachable(f"no answer within {limit or 0:.3g} s", "silent", passing=False)
        case IncompleteRead() | lower.ProtocolError():
            return unreachable("the answer was cut short", "refused")
        case HTTPException() | lower.HTTPError() | OSError(errno=errno.EMSGSIZE):
            return UnexpectedAnswer(socket, "what answers there does not speak HTTP")
        case OSError(errno=errno.ELOOP | errno.ENAMETOOLONG | errno.ESOCKTNOSUPPORT, strerror=str(reason)):
            return NoHost(socket, reason.lower(), hint=hint(socket, endpoint, "absent"))
        case OSError(strerror=str(reason)):
            return DevLXDError(socket, reason.lower())
    raise error


def refusal(answer: Answer, question: Question, socket: str) -> DevLXDError:
    """The error that an answer with a status other than 200 stands for.

    Where the question is about a config key, a 404 says that it is not set. About an image, it says so in
    JSON, the form of the main API. Any other says that the endpoint is absent.
    """
    status, what = answer.status, question.what
    advice = hint(socket, question.endpoint, status, key=question.key)
    if status == 404 and question.endpoint == "key":
        return NotFound(what, "not set on this instance", hint=advice, http_status=status)
    if status == 404 and question.endpoint == "image" and answer.media_type == "application/json":
        advice = hint(socket, "image", "private", key=question.key)
        return NotFound(what, f"no such image, {_OR_PRIVATE}", hint=advice, http_status=status)
    said = host_says(answer)
    said = f": {said}" if said else ""
    if status in (401, 403):
        return NotPermitted(what, f"not permitted{said}", hint=advice, http_status=status)
    if status in (404, 405, 501):
        or_private = f", {_OR_PRIVATE}" if status == 404 and question.endpoint == "image" else ""
        why = f"this host does not offer it{or_private}{said}"
        return NotSupported(what, why, hint=advice, http_status=status)
    why = f"the host answered with status {status}{said}"
    if status >= 500:
        passing = status in RESTARTING
        return Unreachable(what, why, hint=advice, http_status=status, passing=passing)
    return UnexpectedAnswer(what, why, hint=advice, http_status=status)


def host_says(answer: Answer) -> str:
    """The first line of the host's own explanation in the body of an error, "" where there is none.

    Two forms are understood everywhere, since which one comes depends on the host's version: plain text, and
    the main API's JSON with the text in `error`.
    """
    text: object = ""
    if answer.media_type == "text/plain":
        text = answer.body.decode("utf-8", "replace")
    elif answer.media_type == "application/json":
        try:
            text = json.loads(answer.body)["error"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return ""
    return text.strip().partition("\n")[0][:200] if isinstance(text, str) else ""


def _absent(socket: str, endpoint: Endpoint) -> DevLXDError:
    """A socket that is not there: not here at all, or only not now?

    The directory of a container's socket vanishes when the API is switched off, but stays while the daemon is
    down. A virtual machine has the host's virtio port before its agent makes the socket.
    """
    cause: Cause | None = None
    if socket in SOCKETS:
        if any(map(os.path.exists, _VIRTIO_PORTS)):
            cause = "agent"
        elif os.path.isdir(os.path.dirname(socket)):
            cause = "refused"
    if cause is None:
        return NoHost(socket, "no such socket", hint=hint(socket, endpoint, "absent"))
    return Unreachable(socket, "no such socket now", hint=hint(socket, endpoint, cause), sent=False)


def _kind_of_file(path: str) -> str | None:
    """What `path` is where it is no socket, in words; None for a socket, or for nothing at all."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return None
    if stat.S_ISSOCK(mode):
        return None
    return "a directory" if stat.S_ISDIR(mode) else "a file"


def _origin(error: BaseException) -> BaseException:
    """The error within the wrappings of requests and urllib3, which say where it happened and not what."""
    while isinstance(error, (requests.RequestException, lower.ProtocolError, lower.MaxRetryError)):
        within = next((part for part in error.args[::-1] if isinstance(part, BaseException)), None)
        if within is None:
            break
        error = within
    if type(error) is BadStatusLine and not str(error.args[0]).endswith("\n"):
        return IncompleteRead(b"")  # the end came within the line
    return error
