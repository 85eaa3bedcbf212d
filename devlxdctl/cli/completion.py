"""What a TAB offers: keys, devices and fields from the host, and words that are known without it.

How it gets to the shells is in `shells`. A host costs a TAB at most `PATIENCE` seconds, whatever it does, and
its trouble is never told: nothing is offered then.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from devlxdctl.cli.options import Options
from devlxdctl.errors import DevLXDError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from devlxdctl.client import Client

PATIENCE: Final = 0.25
"""Seconds that the host has for its answer. A person who pressed TAB notices half a second in all."""

EVENT_TYPES: Final = ("config", "device")
"""The types of events that hosts send to guests."""

_DEVICE_TYPES: Final = (
    *("disk", "gpu", "infiniband", "nic", "none", "pci", "proxy", "tpm"),
    *("unix-block", "unix-char", "unix-hotplug", "usb"),
)


class _TooSlow(BaseException):
    """The time is up. No `Exception`, so that nothing on the way takes it for a failure of the host's."""


def keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The config keys of the instance that are not on the command line yet."""
    given = ctx.params.get(param.name or "") or ()
    return _beginning(incomplete, (key for key in _ask(ctx, _keys) if key not in given))


def key(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The config keys of the instance."""
    return _beginning(incomplete, _ask(ctx, _keys))


def devices(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of the instance's devices, with their types."""
    from click.shell_completion import CompletionItem

    found = _ask(ctx, _devices)
    return [CompletionItem(name, help=_kind(found[name])) for name in _beginning(incomplete, found)]


def device_types(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The types of devices that hosts know, and that the instance has."""
    there = {_kind(device) for device in _ask(ctx, _devices).values()}
    return _beginning(incomplete, sorted({*_DEVICE_TYPES, *there} - {""}))


def event_types(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The types of events, after those that stand before a comma."""
    before, comma, word = incomplete.rpartition(",")
    given = before.split(",")
    return [before + comma + each for each in _beginning(word, EVENT_TYPES) if each not in given]


def fields(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The fields of the instance's state."""
    return _beginning(incomplete, _ask(ctx, _state))


def _keys(client: Client) -> dict[str, Any]:
    return dict.fromkeys(client.config_keys())


def _devices(client: Client) -> Mapping[str, Any]:
    return client.devices()


def _state(client: Client) -> Mapping[str, Any]:
    return client.state()


def _kind(device: Mapping[str, Any]) -> str:
    kind = device.get("type")
    return kind if isinstance(kind, str) else ""


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _ask(ctx: click.Context, question: Callable[[Client], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What the host answers within `PATIENCE`; nothing where it does not."""
    # Silence alone is no bound: a host that sends a byte now and then is never silent. So the clock ends it,
    # which starts after the imports that a question needs: they are not the host's fault.
    import devlxdctl.failures
    import devlxdctl.transport  # noqa: F401
    from devlxdctl.client import Client

    options = ctx.find_root().ensure_object(Options)

    def give_up(number: int, frame: object) -> NoReturn:
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, give_up)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            with Client(options.socket, wait=0, token=options.token()) as client:
                return question(client)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (DevLXDError, _TooSlow):
        return {}
    finally:
        signal.signal(signal.SIGALRM, before)
