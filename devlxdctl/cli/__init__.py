"""The command line: the root group, and the one place where errors become messages and statuses."""

from __future__ import annotations

import errno
import signal
import sys
from typing import Any, NoReturn

import click

from devlxdctl.cli import config, devices, doctor, dump, events, image, pro, query, state, wait
from devlxdctl.cli.options import Group, Options, show_version
from devlxdctl.cli.render import ReaderGone, render, say
from devlxdctl.cli.signals import Interrupted, die_by
from devlxdctl.errors import DevLXDError, ExitStatus


class Root(Group):
    """The group `devlxdctl`: prints what its commands return, and ends as the contract for statuses says."""

    def invoke(self, ctx: click.Context) -> Any:
        options = ctx.ensure_object(Options)
        return render(super().invoke(ctx), as_json=options.format == "json")

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Runs the command line, and exits. Only a bug passes this boundary, as the exception that it is."""
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
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version)
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
):
    devlxdctl.add_command(command)
