"""The command line of the simulator."""

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
from devlxdctl.simulator.control import ANSWER_LIMIT, ControlError, call
from devlxdctl.simulator.faults import FAULTS, FaultError, Faults, parse_faults
from devlxdctl.simulator.guest import Guest, GuestFileError, read_guest
from devlxdctl.simulator.host import SocketError
from devlxdctl.simulator.profiles import DEFAULT_PROFILE, PROFILES
from devlxdctl.simulator.runner import ENDING, Runner, die_by
from devlxdctl.simulator.simulator import Simulator

_F = TypeVar("_F", bound=Callable[..., object])


class Failure(click.ClickException):
    """An error of one line."""

    def __init__(self, message: object, status: int = 1) -> None:
        super().__init__(" ".join(str(message).split()))
        vars(self)["exit_code"] = status  # Click declares it on the class

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"devlxd-simulator: {self.message}", file=file, err=file is None)


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        try:
            result: object = super().invoke(ctx)
        except (ControlError, SocketError) as error:
            raise Failure(error) from error
        return result


def _read_guest(_: click.Context, __: click.Parameter, path: Path | None) -> Guest | None:
    try:
        return None if path is None else read_guest(path)
    except GuestFileError as error:
        raise Failure(error, 2) from error


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
            help=f"Something that goes wrong; may be repeated. One of: {', '.join(FAULTS)}.",
        ),
        click.option(
            "--profile",
            type=click.Choice(list(PROFILES)),
            default=DEFAULT_PROFILE,
            show_default=True,
            help="The kind of host to simulate.",
        ),
        click.option(
            "--guest",
            type=click.Path(path_type=Path),
            callback=_read_guest,
            help="The instance to simulate: a file with the output of "
            "'lxc config show --expanded INSTANCE'. Without it there is a web server "
            "with user.role, user.domain, a seed for cloud-init and a nic.",
        ),
    ):
        command = option(command)
    return command


_FAULT_HELP = "\b\nFaults:\n" + "\n".join(f"  {name}{text}" for name, text in FAULTS.items())

_socket_option = click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    envvar="DEVLXD_SOCKET",
    show_envvar=True,
    required=True,
    help="The running simulator's socket.",
)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="devlxd-simulator")
def cli() -> None:
    """Simulate an LXD or Incus host, as a guest sees it.

    \b
    Example:
      devlxd-simulator run --guest web1.yaml -- ./provision.sh
    """


# What follows the first word of COMMAND is its own, options too.
@cli.command(epilog=_FAULT_HELP, context_settings={"allow_interspersed_args": False})
@_host_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(guest: Guest | None, profile: str, faults: Faults, command: tuple[str, ...]) -> None:
    """Run COMMAND in a simulated guest and end as it does.

    COMMAND finds the host through DEVLXD_SOCKET, a socket that lives as long as it does.

    \b
    Example:
      lxc config show --expanded web1 >web1.yaml
      devlxd-simulator run --guest web1.yaml -- devlxdctl config ls
      devlxd-simulator run --fault restart=2 -- ./provision.sh
    """
    with Runner() as runner:
        with tempfile.TemporaryDirectory(prefix="devlxd-") as top:
            # Who is not root in the guest reaches the socket too, and is told 401 there.
            Path(top).chmod(0o755)
            path = Path(top) / PROFILES[profile].directory / "sock"
            with Simulator(path, guest, profile, faults):
                try:
                    status = runner.run(command, {**os.environ, "DEVLXD_SOCKET": str(path)})
                except OSError as error:
                    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
                    raise Failure(f"{command[0]}: {error.strerror}", 127 if missing else 126) from error
        ended_by = runner.received or max(0, -status)
    if ended_by:
        die_by(ended_by)
    # Signals like CHLD do not end a process: the shell's number for them.
    sys.exit(status if not ended_by else 128 + ended_by)


@cli.command(epilog=_FAULT_HELP)
@click.option("--socket", "path", type=click.Path(path_type=Path), required=True, help="Where to listen.")
@_host_options
def serve(path: Path, guest: Guest | None, profile: str, faults: Faults) -> None:
    """Simulate a host at a socket until SIGINT or SIGTERM.

    Prints "listening on PATH" once it accepts connections. A socket that nobody listens on is replaced.

    \b
    Example:
      devlxd-simulator serve --socket /tmp/lxd/sock --profile incus &
      DEVLXD_SOCKET=/tmp/lxd/sock devlxdctl state
    """

    def announce() -> None:
        with contextlib.suppress(OSError):  # nobody reads it, which is no reason to end
            click.echo(f"listening on {path}")

    # Blocked in the simulator's thread too, so that they come to the wait below and nowhere else.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    with Simulator(path, guest, profile, faults, on_listening=announce):
        number = signal.sigwait(ENDING)
    die_by(number)


@cli.command("set", context_settings={"ignore_unknown_options": True})
@_socket_option
@click.argument("pairs", nargs=-1, required=True, metavar="KEY VALUE [KEY VALUE]...")
def set_(path: Path, pairs: tuple[str, ...]) -> None:
    """Set keys of the running instance, all in one update.

    The VALUE - is read from standard input. An empty VALUE removes its KEY.

    \b
    Example:
      devlxd-simulator set user.role db user.version 7
      devlxd-simulator set cloud-init.user-data - <seed.yaml
    """
    if len(pairs) % 2:
        raise click.UsageError(f"{pairs[-1]}: a KEY without a VALUE")
    changes = dict(zip(pairs[::2], pairs[1::2], strict=True))
    for key, value in changes.items():
        if value == "-":
            changes[key] = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    call(path, {"do": "set", "changes": changes})


@cli.command()
@_socket_option
@click.argument("key")
def unset(path: Path, key: str) -> None:
    """Remove a key of the running instance.

    \b
    Example:
      devlxd-simulator unset user.role
    """
    call(path, {"do": "unset", "key": key})


@cli.command()
@_socket_option
@click.option("--remove", is_flag=True, help="Remove the device.")
@click.argument("name")
@click.argument("settings", nargs=-1, metavar="[K=V]...")
def device(path: Path, name: str, remove: bool, settings: tuple[str, ...]) -> None:
    """Add a device to the running instance, replace or remove one.

    \b
    Example:
      devlxd-simulator device data type=disk source=/srv/data path=/data
      devlxd-simulator device data --remove
    """
    if remove == bool(settings):
        raise click.UsageError("either --remove or at least type=TYPE")
    if remove:
        call(path, {"do": "remove-device", "name": name})
        return
    config = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not key or not equals:
            raise click.UsageError(f"{setting}: not of the form K=V")
        config[key] = value
    call(path, {"do": "device", "name": name, "config": config})


@cli.command()
@_socket_option
def show(path: Path) -> None:
    """Print the instance as the host sees it, as JSON.

    Its field "ready" is true, false, or null where the guest has said nothing.

    \b
    Example:
      devlxd-simulator show | jq .ready
    """
    click.echo(json.dumps(call(path, {"do": "show"}), indent=2))


@cli.command()
@_socket_option
@click.option("--for", "down", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds down.")
def restart(path: Path, down: float) -> None:
    """Restart the host's daemon and wait until it answers again.

    Connections break, the socket goes and comes back, and shortly after that Ready is forgotten.

    \b
    Example:
      devlxd-simulator restart --for 3
    """
    call(path, {"do": "restart", "down": down}, limit=ANSWER_LIMIT + down)


@cli.command()
@_socket_option
@click.argument("state", type=click.Choice(["on", "off"]))
def switch(path: Path, state: str) -> None:
    """Switch the guest API on or off, as security.devlxd does (Incus: security.guestapi).

    \b
    Example:
      devlxd-simulator switch off
    """
    call(path, {"do": "switch", "on": state == "on"})
