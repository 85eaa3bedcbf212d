"""A diagnosis of what keeps the devLXD API from working in this guest, from the machine to the token."""

from __future__ import annotations

import os

from devlxdctl.doctor.api import check_api
from devlxdctl.doctor.connection import check_connection
from devlxdctl.doctor.report import CHECKS, Check, Report, Stop
from devlxdctl.http.tokens import Token


def diagnose(
    socket: str | os.PathLike[str] | None, *, timeout: float, wait: float | None, token: Token
) -> list[Check]:
    """See `Client.diagnose`. The arguments are those of `Client`."""
    report = Report()
    try:
        connection = check_connection(report, socket, timeout, wait, token)
        check_api(report, connection)
    except Stop:
        made = set(report.results)
        rest = ", ".join(name for name in CHECKS if name not in made)
        report.skip("remaining", f"not checked: {rest}")
    return report.in_order()
