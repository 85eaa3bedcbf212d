"""The command line: the root group, and the one place where errors become messages and exit statuses."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from devlxdctl import DevLXDError, ExitStatus
from devlxdctl.cli.lazy import LazyCommands
from devlxdctl.cli.options import Group, MissingCommand, Options, usage_message
from devlxdctl.cli.output.render import Help, render
from devlxdctl.cli.output.stdio import OutputClosed, print_error
from devlxdctl.cli.signals import Interrupted, die_by_signal

COMPLETE_VARIABLE = "_DEVLXDCTL_COMPLETE"
"""The variable that a shell sets to ask for completions."""


SECTIONS = {
    "Instance": ("state", "ready", "devices", "metadata"),
    "Configuration": ("config",),
    "Events and waiting": ("events", "wait"),
    "Storage": ("volume", "pool"),
    "Images and Ubuntu Pro": ("image", "pro"),
    "Diagnosis": ("doctor", "dump", "query", "versions"),
    "Help": ("help", "completion"),
}
"""The commands in the sections of the help."""

_PATHS = {name: f"{name}.{name}" for names in SECTIONS.values() for name in names} | {"help": "help.help_"}


class Root(Group):
    """The group `devlxdctl`: prints what its commands return, and exits with the documented statuses."""

    def command_sections(self, ctx: click.Context) -> Mapping[str, Sequence[str]]:
        return SECTIONS

    def invoke(self, ctx: click.Context) -> Any:
        options = ctx.ensure_object(Options)
        return render(super().invoke(ctx), as_json=options.format == "json")

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run the command line and exit. Only a bug passes this boundary, with its traceback."""
        extra.setdefault("prog_name", "devlxdctl")  # under any file name, and with `python -m`
        extra.setdefault("complete_var", COMPLETE_VARIABLE)
        if COMPLETE_VARIABLE in os.environ:
            from devlxdctl.cli.completion import shells  # noqa: F401  # registers them with Click
        try:
            # Not in standalone mode, which exits with other statuses.
            status = super().main(*args, **{**extra, "standalone_mode": False})
        except MissingCommand as error:
            render(Help(error.help_text(), is_error=True), as_json=False)
            status = ExitStatus.USAGE
        except click.UsageError as error:
            message, hint = usage_message(error)
            print_error(f"devlxdctl: {message}")
            print_error(f"hint: {hint}")
            status = ExitStatus.USAGE
        except DevLXDError as error:
            print_error(f"devlxdctl: {error}")
            if error.hint:
                print_error(f"hint: {error.hint}")
            status = error.exit_status
        except OSError as error:
            # Modules are imported when they are needed, and each import needs a descriptor and memory.
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise
            print_error(f"devlxdctl: {os.strerror(error.errno).lower()}")
            status = ExitStatus.UNEXPECTED
        except OutputClosed:
            die_by_signal(signal.SIGPIPE)
        except Interrupted as interrupted:
            die_by_signal(interrupted.number)
        sys.exit(int(status or ExitStatus.OK))


@click.group(cls=Root, name="devlxdctl", commands=LazyCommands(_PATHS))
def devlxdctl() -> None:
    """Talk to the LXD or Incus host from inside a guest.

    \b
    Examples:
      devlxdctl state
      devlxdctl config get user.role
      devlxdctl -f json devices | jq 'keys'
    """
