"""`doctor`: diagnosing problems."""

from __future__ import annotations

import click

from devlxdctl import ExitStatus
from devlxdctl.cli.options import Command, Options
from devlxdctl.cli.output.render import Table


@click.command(cls=Command)
@click.pass_obj
def doctor(options: Options) -> Table:
    """Diagnose problems with the devLXD API in this guest.

    Checks everything from the guest to the bearer token, and prints how to fix what fails. Changes nothing.
    Exits with status 0 if all essential checks pass, otherwise with the status of the first that fails. What
    the host does not support is skipped.

    \b
    Examples:
      devlxdctl doctor
      devlxdctl -f json doctor | jq -r '.[] | select(.status == "fail") | .fix'
    """
    checks = options.client().diagnose()
    data = [{"check": c.check, "status": c.status, "detail": c.detail, "fix": c.fix} for c in checks]
    rows = [(c.status, c.check, c.detail, c.fix or "") for c in checks]
    status = next((c.exit_status for c in checks if c.exit_status), ExitStatus.OK)
    return Table(data, ("STATUS", "CHECK", "DETAIL AND FIX"), rows, checks=True, status=status)
