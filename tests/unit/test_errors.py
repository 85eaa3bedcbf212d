"""Errors: their exit statuses, and that they can be copied, pickled and sent between processes."""

from __future__ import annotations

import copy
import errno
import inspect
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

import devlxdctl
from devlxdctl import (
    BadData,
    Conflict,
    DevLXDError,
    ExitStatus,
    HostUnavailable,
    InvalidRequest,
    NoDevLXD,
    NotFound,
    NotSupported,
    OperationFailed,
    PermissionDenied,
    TimedOut,
    UnexpectedResponse,
)
from devlxdctl.errors import os_reason

EXIT_STATUSES: dict[type[DevLXDError], int] = {
    DevLXDError: 1,
    UnexpectedResponse: 1,
    OperationFailed: 1,
    InvalidRequest: 2,
    NotSupported: 3,
    PermissionDenied: 4,
    NoDevLXD: 5,
    NotFound: 6,
    HostUnavailable: 7,
    BadData: 8,
    Conflict: 8,
    TimedOut: 124,
}
CLASSES = list(EXIT_STATUSES)


def make_error(cls: type[DevLXDError]) -> DevLXDError:
    return cls("user.a", "problem \udcff", hint="do something", http_status=404)


def raise_error(cls: type[DevLXDError]) -> None:
    """Called in another process."""
    raise make_error(cls)


def return_error(error: DevLXDError) -> DevLXDError:
    """Called in another process."""
    return error


def attributes(error: BaseException) -> tuple[object, ...]:
    assert isinstance(error, DevLXDError)
    public = (error.subject, error.problem, error.hint, error.http_status, error.exit_status)
    return type(error), *public, str(error), error.args


def test_every_error_class_has_its_documented_exit_status() -> None:
    public = [getattr(devlxdctl, name) for name in dir(devlxdctl)]
    classes = {each for each in public if inspect.isclass(each) and issubclass(each, DevLXDError)}
    assert {cls: cls.exit_status for cls in classes} == EXIT_STATUSES
    assert all(isinstance(cls.exit_status, ExitStatus) for cls in classes)


@pytest.mark.parametrize("cls", CLASSES)
def test_text_is_subject_and_problem(cls: type[DevLXDError]) -> None:
    assert str(cls("user.a", "not set")) == "user.a: not set"
    assert (cls("user.a", "not set").hint, cls("user.a", "not set").http_status) == (None, None)


@pytest.mark.parametrize("cls", CLASSES)
def test_copied_error_is_the_same(cls: type[DevLXDError]) -> None:
    error = make_error(cls)
    assert attributes(copy.copy(error)) == attributes(error)
    assert attributes(copy.deepcopy(error)) == attributes(error)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("cls", CLASSES)
def test_pickled_error_is_the_same(cls: type[DevLXDError], protocol: int) -> None:
    error = make_error(cls)
    assert attributes(pickle.loads(pickle.dumps(error, protocol))) == attributes(error)


def test_error_raised_in_another_process_is_the_same() -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for cls in CLASSES:
            error = make_error(cls)
            raised = pool.submit(raise_error, cls).exception(60)
            returned = pool.submit(return_error, error).result(60)
            assert raised is not None
            assert attributes(raised) == attributes(returned) == attributes(error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device"),
        (OSError("no errno"), "unknown error"),
        (OSError(), "unknown error"),
    ],
)
def test_reason_of_an_os_error_is_in_lower_case(error: OSError, reason: str) -> None:
    assert os_reason(error) == reason
