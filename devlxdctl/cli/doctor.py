"""`doctor`: why it does not work in this guest, and what to do."""

from __future__ import annotations

import click

from devlxdctl.cli.options import Command, Options
from devlxdctl.cli.render import Table
from devlxdctl.errors import ExitStatus


@click.command(cls=Command)
@click.pass_obj
def doctor(options: Options) -> Table:
    """Find out what does not work here.

    Looks at all that has to hold for this program to work, from the machine to the token, and says what to do
    about what does not. Changes nothing. Ends with 0 when what is essential holds, else with the status of
    the first that fails. What the host does not offer is skipped, and no failure.

    \b
    Example:
      devlxdctl doctor
      devlxdctl -f json doctor | jq -r '.[] | select(.status == "fail") | .fix'
    """
    from devlxdctl.cli.log import show_log
    from devlxdctl.doctor import examine

    show_log(options.verbose)
    checks = examine(options.socket, options.wait, options.token())
    data = [{"check": c.check, "status": c.status, "detail": c.detail, "fix": c.fix} for c in checks]
    rows = [(c.status, c.check, c.detail, c.fix or "") for c in checks]
    status = next((c.exit_status for c in checks if c.exit_status), ExitStatus.OK)
    return Table(data, ("STATUS", "CHECK", "DETAIL, AND WHAT TO DO"), rows, wrap=True, status=status)
