"""`config run`: a command with config keys in its environment."""

from __future__ import annotations

import errno
import os
import signal
from functools import partial
from typing import Any

import click

from devlxdctl import BadData, environment_variables
from devlxdctl.cli.arguments import (
    RunningCommand,
    dangerous_names_option,
    given_command,
    optional_option,
    patterns_argument,
    prefix_option,
)
from devlxdctl.cli.environment import inherited_environment
from devlxdctl.cli.hooks import NOT_EXECUTABLE, NOT_FOUND
from devlxdctl.cli.options import Options, Seconds
from devlxdctl.cli.output.stdio import print_error

_KILL_AFTER = 10.0  # seconds


class _RunCommand(RunningCommand):
    needs_command = True


class _Signal(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of Click only
    """A signal, by name or number."""

    name = "signal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        names = {each.name: each for each in signal.Signals}
        found = names.get(f"SIG{value.upper().removeprefix('SIG')}")
        if found is None and value.isascii() and value.isdigit() and int(value) in signal.valid_signals():
            return int(value)
        if found is None:
            self.fail(f"{value!r} is not a signal, such as HUP", param, ctx)
        return int(found)


@click.command(cls=_RunCommand)
@patterns_argument
@prefix_option
@dangerous_names_option
@optional_option
@click.option("--watch", is_flag=True, help="Keep running, and restart CMD when its keys change.")
@click.option(
    "--signal",
    "change_signal",
    type=_Signal(),
    metavar="SIG",
    help="With --watch, send CMD this signal instead of restarting it.",
)
@click.option(
    "--kill-after",
    type=Seconds(),
    metavar="SECONDS",
    help="With --watch, send KILL if CMD still runs SECONDS after TERM.  [default: 10]",
)
@click.pass_context
def run(
    ctx: click.Context,
    patterns: tuple[str, ...],
    prefix: str | None,
    allow_dangerous_names: bool,
    optional: bool,
    watch: bool,
    change_signal: int | None,
    kill_after: float | None,
) -> None:
    """Run a command with config keys in its environment.

    CMD replaces this program, and does not get the bearer token. A variable that changes how programs run,
    such as PATH, is an error. Exits with status 127 if there is no such command, and with 126 if it cannot be
    run.

    With --watch, this program keeps running as the parent of CMD. When a key has changed, it sends TERM to
    CMD and its process group, and starts CMD again with the new values. It passes signals on. When CMD ends
    by itself, this program exits with the status of CMD. It can be process 1 of a container.

    \b
    Examples:
      devlxdctl config run 'user.*' --prefix APP_ -- env
      devlxdctl config run 'user.app.*' --watch -- /usr/local/bin/app
    """
    for option, value in (("--signal", change_signal), ("--kill-after", kill_after)):
        if value is not None and not watch:
            raise click.UsageError(f"{option} needs --watch.")
    if change_signal is not None and kill_after is not None:
        raise click.UsageError("--kill-after cannot be combined with --signal.")
    command = given_command(ctx)
    client = ctx.ensure_object(Options).client()
    make_variables = partial(
        environment_variables, prefix=prefix, allow_dangerous_names=allow_dangerous_names
    )
    try:
        if watch:
            from devlxdctl.cli.memory import collect_garbage_often
            from devlxdctl.cli.supervisor import Supervisor

            collect_garbage_often()
            bursts = client.watch_bursts(*patterns, optional=optional)
            seconds = _KILL_AFTER if kill_after is None else kill_after
            ctx.exit(Supervisor(command, make_variables, change_signal, seconds).run(bursts))
        variables = make_variables(client.config(*patterns, optional=optional))
        _replace_this_program(command, inherited_environment() | variables)
    except OSError as error:
        if error.errno == errno.E2BIG:
            raise BadData(command[0], "the values do not fit into an environment") from error
        print_error(f"devlxdctl: {command[0]}: {(error.strerror or 'cannot be run').lower()}")
        ctx.exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)


def _replace_this_program(command: list[str], environment: dict[str, str]) -> None:
    # Python ignores these two signals, and the command would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    os.execvpe(command[0], command, environment)
