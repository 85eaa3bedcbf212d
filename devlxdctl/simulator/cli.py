"""The command line of `devlxd-simulator`.

Only the commands that start a simulator import it. The others would spend most of their time on aiohttp.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from devlxdctl import __version__
from devlxdctl.simulator.child_process import TERMINATION_SIGNALS, ChildProcess, die_by
from devlxdctl.simulator.control import CALL_TIMEOUT, ControlError, call
from devlxdctl.simulator.faults import FAULTS, FaultError, Faults, parse_faults
from devlxdctl.simulator.guest import Guest, GuestFileError, read_guest
from devlxdctl.simulator.os_errors import SocketError, os_reason
from devlxdctl.simulator.profiles import DEFAULT_PROFILE, PROFILES

_F = TypeVar("_F", bound=Callable[..., object])


class CommandError(click.ClickException):
    """An error that is printed as one line."""

    def __init__(self, message: object, status: int = 1) -> None:
        super().__init__(" ".join(str(message).split()))
        vars(self)["exit_code"] = status  # Click declares it as a class attribute

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"devlxd-simulator: {self.message}", file=file, err=file is None)


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        try:
            result: object = super().invoke(ctx)
        except (ControlError, SocketError) as error:
            raise CommandError(error) from error
        return result


def _read_guest(_: click.Context, __: click.Parameter, path: Path | None) -> Guest | None:
    try:
        return None if path is None else read_guest(path)
    except GuestFileError as error:
        raise CommandError(error, 2) from error


def _parse_faults(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> Faults:
    try:
        return parse_faults(texts)
    except FaultError as error:
        raise click.BadParameter(str(error)) from error


def _host_options(command: _F) -> _F:
    for option in (
        click.option(
            "--fault",
            "faults",
            multiple=True,
            metavar="FAULT",
            callback=_parse_faults,
            help="Fault to simulate, see below; may be repeated.",
        ),
        click.option(
            "--profile",
            type=click.Choice(list(PROFILES)),
            default=DEFAULT_PROFILE,
            show_default=True,
            help="Kind of host to simulate.",
        ),
        click.option(
            "--guest",
            type=click.Path(path_type=Path),
            metavar="FILE",
            callback=_read_guest,
            help="Guest file: the output of 'lxc config show --expanded INSTANCE'. "
            "Default: a web server with user.role, user.domain, a cloud-config and a nic.",
        ),
    ):
        command = option(command)
    return command


_FAULT_HELP = "\b\nFaults:\n" + "\n".join(f"  {name}{text}" for name, text in FAULTS.items())

_socket_option = click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    envvar="DEVLXD_SOCKET",
    show_envvar=True,
    required=True,
    help="Socket of the running simulator.",
)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="devlxd-simulator")
def cli() -> None:
    """Simulate the devLXD host of an LXD or Incus guest.

    \b
    Example:
      devlxd-simulator run --guest web1.yaml -- ./provision.sh
    """


# Options after the first word of COMMAND belong to COMMAND.
@cli.command(epilog=_FAULT_HELP, context_settings={"allow_interspersed_args": False})
@_host_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(guest: Guest | None, profile: str, faults: Faults, command: tuple[str, ...]) -> None:
    """Run COMMAND in a simulated guest.

    COMMAND finds the host's socket in DEVLXD_SOCKET. The socket is removed when COMMAND ends. The exit
    status is that of COMMAND.

    \b
    Examples:
      lxc config show --expanded web1 >web1.yaml
      devlxd-simulator run --guest web1.yaml -- devlxdctl config ls
      devlxd-simulator run --fault restart=2 -- ./provision.sh
    """
    from devlxdctl.simulator.simulator import Simulator

    with ChildProcess() as child:
        with tempfile.TemporaryDirectory(prefix="devlxd-") as top:
            # Non-root users must reach the socket too, to get the host's 401.
            Path(top).chmod(0o755)
            path = Path(top) / PROFILES[profile].directory / "sock"
            with Simulator(path, guest, profile, faults):
                try:
                    status = child.run(command, {**os.environ, "DEVLXD_SOCKET": str(path)})
                except OSError as error:
                    not_found = isinstance(error, FileNotFoundError | NotADirectoryError)
                    message = f"{command[0]}: {os_reason(error)}"
                    raise CommandError(message, 127 if not_found else 126) from error
        ended_by = child.received or max(0, -status)
    if ended_by:
        die_by(ended_by)
    # The signal does not end a process, for example CHLD. Use the number that a shell would.
    sys.exit(status if not ended_by else 128 + ended_by)


@cli.command(epilog=_FAULT_HELP)
@click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    required=True,
    help="Socket to create and listen on.",
)
@_host_options
def serve(path: Path, guest: Guest | None, profile: str, faults: Faults) -> None:
    """Simulate a host until SIGINT or SIGTERM.

    Prints "listening on PATH" when the socket accepts connections. A stale socket at PATH is replaced.

    \b
    Example:
      devlxd-simulator serve --socket /tmp/lxd/sock --profile incus &
      DEVLXD_SOCKET=/tmp/lxd/sock devlxdctl state
    """
    from devlxdctl.simulator.simulator import Simulator

    def announce() -> None:
        with contextlib.suppress(OSError):  # a closed stdout must not end the simulator
            click.echo(f"listening on {path}")

    # Threads inherit the mask: the simulator's thread blocks these signals too, only sigwait gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, TERMINATION_SIGNALS)
    with Simulator(path, guest, profile, faults, on_listening=announce):
        number = signal.sigwait(TERMINATION_SIGNALS)
    die_by(number)


@cli.command("set", context_settings={"ignore_unknown_options": True})
@_socket_option
@click.argument("pairs", nargs=-1, required=True, metavar="KEY VALUE [KEY VALUE]...")
def set_(path: Path, pairs: tuple[str, ...]) -> None:
    """Set config keys of the instance in one update.

    If VALUE is -, it is read from stdin. An empty VALUE removes KEY.

    \b
    Examples:
      devlxd-simulator set user.role db user.version 7
      devlxd-simulator set cloud-init.user-data - <user-data.yaml
    """
    if len(pairs) % 2:
        raise click.UsageError(f"{pairs[-1]}: VALUE is missing")
    changes = dict(zip(pairs[::2], pairs[1::2], strict=True))
    for key, value in changes.items():
        if value == "-":
            changes[key] = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    call(path, {"do": "set", "changes": changes})


@cli.command()
@_socket_option
@click.argument("key")
def unset(path: Path, key: str) -> None:
    """Remove a config key of the instance.

    \b
    Example:
      devlxd-simulator unset user.role
    """
    call(path, {"do": "unset", "key": key})


@cli.command()
@_socket_option
@click.option("--remove", is_flag=True, help="Remove the device.")
@click.argument("name")
@click.argument("options", nargs=-1, metavar="[KEY=VALUE]...")
def device(path: Path, name: str, remove: bool, options: tuple[str, ...]) -> None:
    """Add, replace or remove a device of the instance.

    \b
    Examples:
      devlxd-simulator device data type=disk source=/srv/data path=/data
      devlxd-simulator device data --remove
    """
    if remove == bool(options):
        raise click.UsageError("give either --remove or type=TYPE and other options")
    if remove:
        call(path, {"do": "remove-device", "name": name})
        return
    config = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not key or not equals:
            raise click.UsageError(f"{option}: not of the form KEY=VALUE")
        config[key] = value
    call(path, {"do": "device", "name": name, "config": config})


@cli.command()
@_socket_option
def show(path: Path) -> None:
    """Print the state of the instance on the host as JSON.

    The field "ready" is true, false, or null if the guest has not reported its state.

    \b
    Example:
      devlxd-simulator show | jq .ready
    """
    click.echo(json.dumps(call(path, {"do": "show"}), indent=2))


@cli.command()
@_socket_option
@click.option(
    "--for",
    "down",
    type=click.FloatRange(0),
    metavar="SECONDS",
    default=1.0,
    show_default=True,
    help="Seconds that the daemon is down.",
)
def restart(path: Path, down: float) -> None:
    """Restart the host's daemon and wait until it runs again.

    All connections are closed and the socket is recreated. Shortly after that the host loses the state Ready,
    and the command ends.

    \b
    Example:
      devlxd-simulator restart --for 3
    """
    call(path, {"do": "restart", "down": down}, timeout=CALL_TIMEOUT + down)


@cli.command()
@_socket_option
@click.argument("state", type=click.Choice(["on", "off"]))
def switch(path: Path, state: str) -> None:
    """Switch the guest API on or off.

    This sets the config key security.devlxd, with the profile incus security.guestapi.

    \b
    Example:
      devlxd-simulator switch off
    """
    call(path, {"do": "switch", "on": state == "on"})
