"""The values that are completed: keys, devices and fields from the host, and fixed words.

How they get to the shells is in `shells`. A completion waits at most `TIMEOUT` seconds for the host, and
reports no problem: nothing is completed then.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from devlxdctl import DUMP_PARTS, EVENT_TYPES, DevLXDError
from devlxdctl.cli.options import Options
from devlxdctl.cli.signals import raise_again

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from devlxdctl import Client

TIMEOUT: Final = 0.25
"""Seconds for the host to respond. A person who presses TAB notices half a second in total."""

_DEVICE_TYPES: Final = (
    *("disk", "gpu", "infiniband", "nic", "none", "pci", "proxy", "tpm"),
    *("unix-block", "unix-char", "unix-hotplug", "usb"),
)


class _TimedOut(BaseException):
    """The time is up. Not an `Exception`, so that no code in between handles it as a failure of the host."""


def keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The config keys of the instance that are not on the command line yet."""
    given = ctx.params.get(param.name or "") or ()
    return _starting_with(incomplete, (key for key in _read(ctx, _keys) if key not in given))


def key(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The config keys of the instance."""
    return _starting_with(incomplete, _read(ctx, _keys))


def devices(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of the instance's devices, with their types."""
    from click.shell_completion import CompletionItem

    found = _read(ctx, _devices)
    return [CompletionItem(name, help=_type(found[name])) for name in _starting_with(incomplete, found)]


def device_types(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The types of devices that LXD and Incus have, and those of the instance."""
    present = {_type(device) for device in _read(ctx, _devices).values()}
    return _starting_with(incomplete, sorted({*_DEVICE_TYPES, *present} - {""}))


def event_types(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The types of events that are not in the list yet."""
    return _next_in_list(incomplete, EVENT_TYPES)


def dump_parts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The parts of a dump that are not in the list yet."""
    return _next_in_list(incomplete, DUMP_PARTS)


def fields(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The fields of the instance's state."""
    return _starting_with(incomplete, _read(ctx, _state))


def pools(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The pools of the instance's disks: hosts do not list their pools."""
    devices = _read(ctx, _devices).values()
    return _starting_with(
        incomplete, sorted({str(device["pool"]) for device in devices if device.get("pool")})
    )


def disks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The instance's disks that are volumes."""
    found = _read(ctx, _devices)
    volumes = [name for name, device in found.items() if device.get("pool") and device.get("source")]
    return _starting_with(incomplete, volumes)


def volumes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The volumes in the pool on the command line."""
    pool = ctx.params.get("pool") or ""
    found = _read(ctx, lambda client: {volume["name"]: volume for volume in client.volumes(pool)})
    return _starting_with(incomplete, found)


def snapshots(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The snapshots of the volume on the command line."""
    pool, volume = ctx.params.get("pool") or "", ctx.params.get("volume") or ""
    found = _read(ctx, lambda client: {each["name"]: each for each in client.volume_snapshots(pool, volume)})
    return _starting_with(incomplete, [name.partition("/")[2] for name in found])


def device_fields(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The options of the device on the command line."""
    device = _read(ctx, _devices).get(ctx.params.get("name") or "") or {}
    return _starting_with(incomplete, device)


def _keys(client: Client) -> dict[str, Any]:
    return dict.fromkeys(client.config_keys())


def _devices(client: Client) -> Mapping[str, Any]:
    return client.devices()


def _state(client: Client) -> Mapping[str, Any]:
    return client.state()


def _type(device: Mapping[str, Any]) -> str:
    kind = device.get("type")
    return kind if isinstance(kind, str) else ""


def _next_in_list(incomplete: str, words: Iterable[str]) -> list[str]:
    """The `words` that can end `incomplete`, a list separated by commas."""
    before, comma, word = incomplete.rpartition(",")
    given = before.split(",")
    return [before + comma + each for each in _starting_with(word, words) if each not in given]


def _starting_with(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _read(ctx: click.Context, read: Callable[[Client], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what `read` returns within `TIMEOUT`, otherwise nothing."""
    from devlxdctl import Client

    options = ctx.find_root().ensure_object(Options)

    def time_out(number: int, frame: object) -> NoReturn:
        raise _TimedOut

    # A read timeout alone is no limit: a host that sends a byte now and then never times out.
    handler = signal.signal(signal.SIGALRM, time_out)
    try:
        # The alarm starts after the imports of `with`, which do not depend on the host.
        with (
            Client(options.socket, wait=0, token=options.token()) as client,
            raise_again(_TimedOut, time_out),
        ):
            signal.setitimer(signal.ITIMER_REAL, TIMEOUT)
            return read(client)
    except (DevLXDError, _TimedOut):
        return {}
    finally:
        signal.signal(signal.SIGALRM, handler)
