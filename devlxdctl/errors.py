"""What can go wrong, and the exit status that says so.

DevLXDError
├── UnexpectedAnswer   1  an answer that makes no sense, a 3xx or a 4xx that nothing below names
├── InvalidRequest     2  it cannot be asked: an empty key, a socket path longer than the kernel takes
├── NotSupported       3  this host does not do that
├── NotPermitted       4  the socket or the host refuses: EACCES, 401, 403
├── NoHost             5  no devLXD here: no socket, and nothing says that one is coming
├── NotFound           6  a definite no: the key, device, field is not there
├── Unreachable        7  a host is there, but does not answer: refused, dropped, silent, 5xx
├── BadData            8  the data is bad, or could not be written
└── TimedOut         124  the time that the user set ran out
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitStatus(IntEnum):
    """The statuses that `devlxdctl` ends with. 2 to 7 mean what systemd and LSB mean by them."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_SUPPORTED = 3
    NOT_PERMITTED = 4
    NO_HOST = 5
    NOT_FOUND = 6
    UNREACHABLE = 7
    BAD_DATA = 8
    TIMED_OUT = 124


class DevLXDError(Exception):
    """The base of all errors of this package: `what` it is about, `why` it failed, what to do about it.

    `hint` is a sentence for people with the command to run, or None. `http_status` is the status that the
    host answered with, or None where it did not come to that. All three may hold the host's own words, and
    with them any character.
    """

    exit_status: ClassVar[ExitStatus] = ExitStatus.UNEXPECTED

    def __init__(
        self, what: str, why: str, *, hint: str | None = None, http_status: int | None = None
    ) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.hint = hint
        self.http_status = http_status


class UnexpectedAnswer(DevLXDError):
    """The host's answer makes no sense: no JSON, HTML, a redirect, an odd status."""


class InvalidRequest(DevLXDError):
    """This cannot be asked of any host."""

    exit_status = ExitStatus.USAGE


class NotSupported(DevLXDError):
    """This host does not do that: the endpoint is absent, or Ready was ignored."""

    exit_status = ExitStatus.NOT_SUPPORTED


class NotPermitted(DevLXDError):
    """The socket's mode or the host forbids it."""

    exit_status = ExitStatus.NOT_PERMITTED


class NoHost(DevLXDError):
    """No devLXD socket here, and nothing says that one is coming.

    `may_come` is False where something else is in its place, so that waiting does not help.
    """

    exit_status = ExitStatus.NO_HOST

    def __init__(self, what: str, why: str, *, hint: str | None = None, may_come: bool = True) -> None:
        super().__init__(what, why, hint=hint)
        self.may_come = may_come


class NotFound(DevLXDError):
    """The host says that it does not exist."""

    exit_status = ExitStatus.NOT_FOUND


class Unreachable(DevLXDError):
    """A host is there, but does not answer.

    `sent` is False only where the request surely did not reach the host, so that it may be sent again
    whatever it does. `passing` is True for what a restart of the host's daemon looks like from here.
    """

    exit_status = ExitStatus.UNREACHABLE

    def __init__(
        self,
        what: str,
        why: str,
        *,
        hint: str | None = None,
        http_status: int | None = None,
        sent: bool = True,
        passing: bool = True,
    ) -> None:
        super().__init__(what, why, hint=hint, http_status=http_status)
        self.sent = sent
        self.passing = passing


class BadData(DevLXDError):
    """The data is bad or could not be written: names that collide, a value no environment can carry."""

    exit_status = ExitStatus.BAD_DATA


class TimedOut(DevLXDError):
    """The time that the caller set ran out."""

    exit_status = ExitStatus.TIMED_OUT
