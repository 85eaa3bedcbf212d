"""`config run`: a command with config keys in its environment."""

from __future__ import annotations

import errno
import os
import signal

import click

from devlxdctl import BadData, environment_variables
from devlxdctl.cli.arguments import (
    RunningCommand,
    given_command,
    optional_option,
    patterns_argument,
    prefix_option,
)
from devlxdctl.cli.environment import inherited_environment
from devlxdctl.cli.options import Options
from devlxdctl.cli.output.stdio import print_error


class _RunCommand(RunningCommand):
    needs_command = True


@click.command(cls=_RunCommand)
@patterns_argument
@prefix_option
@optional_option
@click.pass_context
def run(ctx: click.Context, patterns: tuple[str, ...], prefix: str | None, optional: bool) -> None:
    """Run a command with config keys in its environment.

    The command replaces this program, and does not get the bearer token. Exits with status 127 if there is no
    such command, and with 126 if it cannot be run.

    \b
    Example:
      devlxdctl config run 'user.*' --prefix APP_ -- env
    """
    command = given_command(ctx)
    found = ctx.ensure_object(Options).client().config(*patterns, optional=optional)
    environment = inherited_environment() | environment_variables(found, prefix)
    # Python ignores these two signals, and the command would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        if error.errno == errno.E2BIG:
            raise BadData(command[0], "the values do not fit into an environment") from error
        print_error(f"devlxdctl: {command[0]}: {(error.strerror or 'cannot be run').lower()}")
        ctx.exit(127 if isinstance(error, FileNotFoundError) else 126)
