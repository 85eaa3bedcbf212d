"""Fixtures for all tests, and the settings that make every test run independent of its environment."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.hosts.fixtures import incus_host, lxd_host, real_host

__all__ = ["incus_host", "lxd_host", "real_host"]

REQUIRED = "DEVLXDCTL_REQUIRE_HOSTS"
"""If this variable is 1, as in CI, a skipped test counts as failed."""


def pytest_configure() -> None:
    # A test run in the background or under nohup has ignored signals, which programs would inherit.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get(REQUIRED) == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped, and {REQUIRED}=1: {report.longrepr}"
    return report


@pytest.fixture
def socket_directory() -> Iterator[Path]:
    """An empty directory with a path short enough for sockets, which have at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="dx", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def short(socket_directory: Path) -> Path:
    """The former name of `socket_directory`."""
    return socket_directory


@pytest.fixture(autouse=True)
def _unset_devlxd_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DEVLXD_")]:
        monkeypatch.delenv(name)
