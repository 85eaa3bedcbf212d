"""Running the user's command after a change."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from devlxdctl.cli.environment import fits_environment, inherited_environment
from devlxdctl.cli.output.stdio import print_error

if TYPE_CHECKING:
    from devlxdctl import Change


def run_hook(command: list[str], change: Change[str]) -> None:
    """Run `command` for one change, with the value on its standard input. A failure is printed to stderr."""
    import subprocess

    value = (change.value or "").encode("utf-8", "surrogateescape")
    environment = {**inherited_environment(), "DEVLXD_ACTION": change.action}
    if fits_environment("DEVLXD_KEY", change.key):
        environment["DEVLXD_KEY"] = change.key
    values = {"DEVLXD_VALUE": change.value, "DEVLXD_OLD_VALUE": change.old_value}
    fitting = {
        name: text for name, text in values.items() if text is not None and fits_environment(name, text)
    }
    for variables in ({**environment, **fitting}, environment):
        try:
            status = subprocess.run(command, input=value, env=variables, check=False).returncode
        except OSError as error:
            if error.errno == errno.E2BIG and variables is not environment:
                continue  # each value fits, but not both
            reason = os.strerror(error.errno).lower() if error.errno else "cannot be run"
            print_error(f"devlxdctl: {command[0]}: {reason}")
            return
        if status != 0:
            how = f"exit status {status}" if status > 0 else f"signal {-status}"
            print_error(f"devlxdctl: {change.key}: {command[0]} failed with {how}")
        return
