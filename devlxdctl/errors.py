"""The errors of the library, each with the exit status of the command line.

DevLXDError
├── UnexpectedResponse   1  a response that no host should send, or a 3xx or 4xx status not listed below
├── OperationFailed      1  the host started an operation, and it failed
├── InvalidRequest       2  cannot be sent: an empty key, a socket path longer than the kernel accepts
├── NotSupported         3  this host does not offer it
├── PermissionDenied     4  EACCES on the socket, or HTTP status 401 or 403
├── NoDevLXD             5  no devLXD socket here, and no sign that one is coming
├── NotFound             6  the host says that the key, device, image or field does not exist
├── HostUnavailable      7  no socket now, connection refused, reset or timed out, HTTP status 5xx
├── BadData              8  the data is bad, or could not be written
│   └── Conflict         8  HTTP status 409 or 412: it exists already, or changed meanwhile
└── TimedOut           124  the time that the caller set ran out
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "BadData",
    "Conflict",
    "DevLXDError",
    "ExitStatus",
    "HostUnavailable",
    "InvalidRequest",
    "NoDevLXD",
    "NotFound",
    "NotSupported",
    "OperationFailed",
    "PermissionDenied",
    "TimedOut",
    "UnexpectedResponse",
]


class ExitStatus(IntEnum):
    """The exit statuses of `devlxdctl`. 0 to 7 have the meaning that systemd and LSB give to them."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_SUPPORTED = 3
    PERMISSION_DENIED = 4
    NO_DEVLXD = 5
    NOT_FOUND = 6
    HOST_UNAVAILABLE = 7
    BAD_DATA = 8
    TIMED_OUT = 124


class DevLXDError(Exception):
    """Base class of all errors that this package raises.

    * `subject`: what the error is about, such as a config key or the path of the socket.
    * `problem`: what is wrong with it.
    * `hint`: an instruction for people, with the command to run, or None.
    * `http_status`: the status of the host's response, or None without a response.
    * `exit_status`: the exit status of the command line, an `ExitStatus`.

    The texts can contain text of the host, and so any character. Errors can be copied and pickled.
    """

    exit_status: ClassVar[ExitStatus] = ExitStatus.UNEXPECTED

    def __init__(
        self, subject: str, problem: str, *, hint: str | None = None, http_status: int | None = None
    ) -> None:
        super().__init__(subject, problem)
        self.subject = subject
        self.problem = problem
        self.hint = hint
        self.http_status = http_status

    @classmethod
    def from_os_error(cls, subject: str, error: OSError, default: str = "unknown error") -> Self:
        """Return the error for `error`, with the text of the operating system as its problem.

        `default` is the problem where there is no such text.
        """
        return cls(subject, os_reason(error, default))

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.subject, self.problem), self.__dict__


class UnexpectedResponse(DevLXDError):
    """The response is not one that devLXD sends: invalid JSON, HTML, a redirect, an unknown status."""


class OperationFailed(DevLXDError):
    """The host started an operation, and it failed. The problem is the text of the host."""


class InvalidRequest(DevLXDError):
    """The request cannot be sent to any host."""

    exit_status = ExitStatus.USAGE


class NotSupported(DevLXDError):
    """The host does not offer this: the endpoint does not exist, or the host ignores Ready."""

    exit_status = ExitStatus.NOT_SUPPORTED


class PermissionDenied(DevLXDError):
    """The mode of the socket or the host forbids it."""

    exit_status = ExitStatus.PERMISSION_DENIED


class NoDevLXD(DevLXDError):
    """There is no devLXD socket here, and no sign that one is coming."""

    exit_status = ExitStatus.NO_DEVLXD


class NotFound(DevLXDError):
    """The host says that the object does not exist."""

    exit_status = ExitStatus.NOT_FOUND


class HostUnavailable(DevLXDError):
    """There is a host, but it does not respond: no socket now, refused, reset, timed out, status 5xx."""

    exit_status = ExitStatus.HOST_UNAVAILABLE


class BadData(DevLXDError):
    """The data is bad or could not be written: a checksum mismatch, names that collide, a full disk."""

    exit_status = ExitStatus.BAD_DATA


class Conflict(BadData):
    """The object exists already (HTTP status 409), or it changed since it was read (412)."""


class TimedOut(DevLXDError):
    """The time that the caller set ran out."""

    exit_status = ExitStatus.TIMED_OUT


def os_reason(error: OSError, default: str = "unknown error") -> str:
    """Return the text of the operating system for `error`, in lower case."""
    return (error.strerror or default).lower()
