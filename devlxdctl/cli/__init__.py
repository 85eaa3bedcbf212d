"""The command line: the root group, and the one place where errors become messages and statuses."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Any, NoReturn

import click

from devlxdctl.cli import config, devices, doctor, dump, events, help, image, pro, query, state, wait
from devlxdctl.cli.options import Group, Options
from devlxdctl.cli.render import render
from devlxdctl.cli.signals import Interrupted, die_by
from devlxdctl.cli.streams import ReaderGone, say
from devlxdctl.errors import DevLXDError, ExitStatus

COMPLETE = "_DEVLXDCTL_COMPLETE"
"""What a shell sets in the environment at a TAB."""


class Root(Group):
    """The group `devlxdctl`: prints what its commands return, and ends as the contract for statuses says."""

    def invoke(self, ctx: click.Context) -> Any:
        options = ctx.ensure_object(Options)
        return render(super().invoke(ctx), as_json=options.format == "json")

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Runs the command line, and exits. Only a bug passes this boundary, as the exception that it is."""
        extra.setdefault("prog_name", "devlxdctl")  # as which file ever, and whatever `python -m` makes of it
        extra.setdefault("complete_var", COMPLETE)
        if COMPLETE in os.environ:
            from devlxdctl.cli import shells  # noqa: F401  # Click knows them from now on
        try:
            # Not standalone: Click's own way to end has other statuses.
            status = super().main(*args, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            error.show()
            status = error.exit_code
        except DevLXDError as error:
            say(f"devlxdctl: {error}")
            if error.hint:
                say(f"hint: {error.hint}")
            status = error.exit_status
        except OSError as error:
            # Modules are loaded when they are needed, and each takes a descriptor for that.
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            say(f"devlxdctl: {(error.strerror or 'no file can be opened').lower()}")
            status = ExitStatus.UNEXPECTED
        except ReaderGone:
            die_by(signal.SIGPIPE)
        except Interrupted as interrupted:
            die_by(interrupted.number)
        sys.exit(int(status or ExitStatus.OK))


@click.group(cls=Root, name="devlxdctl")
def devlxdctl() -> None:
    """Talk to the LXD or Incus host from inside a guest.

    \b
    Example:
      devlxdctl state
      devlxdctl config get user.role
      devlxdctl -f json devices | jq 'keys'
    """


for command in (
    state.versions,
    state.state,
    state.ready,
    config.config,
    devices.devices,
    events.events,
    image.image,
    wait.wait,
    pro.pro,
    dump.metadata,
    dump.dump,
    query.query,
    doctor.doctor,
    help.help_,
):
    devlxdctl.add_command(command)
