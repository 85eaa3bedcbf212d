"""Checks from the guest to the first response of the host."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from dataclasses import dataclass
from typing import Any, Final

from devlxdctl.doctor.report import Report
from devlxdctl.errors import (
    DevLXDError,
    HostUnavailable,
    PermissionDenied,
    UnexpectedResponse,
    os_reason,
)
from devlxdctl.guest import SOCKETS, find_socket, guest_signs
from devlxdctl.http.endpoints import STATE, VERSIONS, Cause, hint
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session
from devlxdctl.http.tokens import Token, resolve_token

_SLOW: Final = 1.0  # seconds


@dataclass(frozen=True)
class Connection:
    """A session with a host that responds. `token_error` is why the bearer token is not used."""

    session: Session
    path: str
    wait: float | None
    versions: list[Any]
    has_token: bool
    token_error: DevLXDError | None

    def retry(self) -> RetryPolicy:
        return RetryPolicy(self.wait)


def check_connection(
    report: Report, socket: str | os.PathLike[str] | None, timeout: float, wait: float | None, token: Token
) -> Connection:
    """Check the guest, the files, the user and the connection. Raises `Stop` after an essential failure."""
    return _ConnectionChecks(report, socket, timeout, wait, token).run()


class _ConnectionChecks:
    def __init__(
        self,
        report: Report,
        given: str | os.PathLike[str] | None,
        timeout: float,
        wait: float | None,
        token: Token,
    ) -> None:
        self._report = report
        self._given = given
        self._timeout = timeout
        self._wait = wait
        self._path = ""
        self._signs = guest_signs()
        self._token: str | None = None
        self._token_error: DevLXDError | None = None
        try:
            self._token = resolve_token(token)
        except DevLXDError as error:
            self._token_error = error

    def _retry(self) -> RetryPolicy:
        return RetryPolicy(self._wait)

    def run(self) -> Connection:
        start = time.monotonic()
        retry = self._retry()
        error = self._get_versions(retry)
        elapsed = time.monotonic() - start
        self._check_guest(error)
        if error is not None and not self._path:
            self._report.stop("socket", error.problem, error)
        self._check_files(error)
        self._check_user(error)
        if error is not None and error.http_status is None and not isinstance(error, UnexpectedResponse):
            from devlxdctl.http.error_mapping import is_timeout

            origin = error.__cause__ if isinstance(error.__cause__, DevLXDError) else error
            self._report.stop(
                "connection", error.problem, error, None if is_timeout(origin) else self._lost_socket()
            )
        self._report.ok("connection", "accepted")
        if error is not None:
            self._report.stop("answer", error.problem, error)
        is_late = retry.retries > 0 and elapsed > _SLOW
        delay = f" after {elapsed:.0f} s: its daemon was restarting" if is_late else ""
        self._report.ok("answer", f"the host responds{delay}")
        has_token = self._token is not None
        return Connection(self._session, self._path, self._wait, self._versions, has_token, self._token_error)

    def _get_versions(self, retry: RetryPolicy) -> DevLXDError | None:
        """Get the versions, with retries while the daemon restarts. A rejected token is set aside."""
        try:
            self._path = find_socket(self._given)
            self._session = Session(self._given, self._timeout, self._token)
            try:
                self._versions = self._session.get_json(VERSIONS, list, retry)
            except PermissionDenied as error:
                if self._token is None or error.http_status != 403:
                    raise
                self._session = Session(self._given, self._timeout, None)
                self._versions = self._session.get_json(VERSIONS, list, retry)
                self._token, self._token_error = None, error
        except DevLXDError as error:
            return error
        finally:
            with contextlib.suppress(DevLXDError):
                self._path = find_socket(self._given)
        return None

    def _check_guest(self, error: DevLXDError | None) -> None:
        if self._signs:
            self._report.ok("guest", ", ".join(map(str, self._signs)))
        elif error is None or self._path not in SOCKETS or os.path.exists(self._path):
            self._report.skip("guest", "no sign of a guest of LXD or Incus, but there is a socket")
        else:
            problem = "no sign of a guest of LXD or Incus: no virtio port, no DMI board, no container"
            self._report.stop("guest", problem, error, self._hint("not-a-guest"))

    def _check_files(self, error: DevLXDError | None) -> None:
        """Check the directory and the socket. `error` has the exit status, after any wait for a socket."""
        directory = os.path.dirname(self._path) or "."
        if error is not None and not os.path.isdir(directory):
            fix = self._hint("api-off")
            if isinstance(error, HostUnavailable):  # a virtual machine, whose agent creates it
                fix = error.hint or fix
            elif self._path not in SOCKETS:
                fix = self._hint("wrong-socket")
            self._report.stop("directory", f"{directory} does not exist", error, fix)
        self._report.ok("directory", directory)
        try:
            status = os.stat(self._path)
        except OSError as failure:
            if error is None:  # removed just now
                return
            is_missing = isinstance(failure, FileNotFoundError)
            problem = error.problem if is_missing else os_reason(failure)
            self._report.stop("socket", f"{self._path}: {problem}", error, self._lost_socket())
        if not stat.S_ISSOCK(status.st_mode) and error is not None:
            self._report.stop("socket", f"{self._path} is not a socket", error)
        self._report.ok(
            "socket", f"{self._path}, mode {stat.S_IMODE(status.st_mode):04o}, uid {status.st_uid}"
        )
        if os.access(self._path, os.R_OK | os.W_OK, effective_ids=True):
            self._report.ok("permission", "this user can read and write the socket")
        elif error is not None:
            self._report.stop("permission", "this user cannot read and write the socket", error)

    def _check_user(self, error: DevLXDError | None) -> None:
        uid = os.geteuid()
        if error is not None and error.http_status == 401:
            self._report.fail("user", f"uid {uid}: the host accepts root only", error.hint, error.exit_status)
        elif uid == 0:
            self._report.ok("user", "root")
        elif error is None:
            self._report.ok("user", f"uid {uid}, which this host accepts")
        else:
            self._report.skip("user", f"uid {uid}; most hosts accept root only")

    def _hint(self, cause: Cause) -> str | None:
        return hint(self._path, STATE, cause)

    def _lost_socket(self) -> str | None:
        """What to do about a socket that is missing or dead, None where the host cannot have lost it."""
        if self._path not in SOCKETS or any(sign.kind == "virtual machine" for sign in self._signs):
            return None
        return self._hint("lost-socket")
