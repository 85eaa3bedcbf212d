"""The library in a guest: one client that many threads share."""

from __future__ import annotations

from tests.contract.shared_client import run_shared_client
from tests.hosts import DaemonHost


def test_client_shared_by_ten_threads_has_no_errors_of_its_own_beside_restarts(real_host: DaemonHost) -> None:
    report = run_shared_client(real_host, seconds=20)
    assert report.unexplained_errors() == [], report
    assert report.restarts >= 2
    assert report.calls >= 100
