"""`events`: the host's stream as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from devlxdctl.cli import completion
from devlxdctl.cli.options import Command, Options, Seconds
from devlxdctl.cli.render import Line, Lines, as_text, compact
from devlxdctl.cli.streams import say, stdout_descriptor
from devlxdctl.errors import TimedOut

_TYPES = completion.EVENT_TYPES


class _Types(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of Click only
    """Types of events, separated by commas. A host would take any other, and be silent for ever."""

    name = "types"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        types = value.split(",") if isinstance(value, str) else list(value)
        for each in types:
            if each not in _TYPES:
                self.fail(f"{each!r} is no type of event: {', '.join(_TYPES)}", param, ctx)
        return types


@click.command(cls=Command)
@click.option(
    "--type",
    "types",
    type=_Types(),
    default=",".join(_TYPES),
    show_default=True,
    shell_complete=completion.event_types,
    help="Only these.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many.")
@click.option("--for", "seconds", type=Seconds(), help="End after so long; with 124 if before --count.")
@click.pass_obj
def events(options: Options, types: list[str], count: int | None, seconds: float | None) -> Lines:
    """Show the host's events as they come: changes of user.* keys and of devices.

    A line has the time, the type, the action, the key or device, and its value and old value or its options.
    Hosts keep no history, and send no event for cloud-init.* keys. A restart of the host leaves a gap, which
    is told on stderr; `config watch` has none.

    \b
    Example:
      devlxdctl events
      devlxdctl events --type device -f json | jq -c .metadata
    """
    from devlxdctl.events import Events, Queue

    stream = Events(options.client().session, types, Queue(), stdout_descriptor())
    return Lines(_lines(stream, count, seconds))


def _lines(events: Any, count: int | None, seconds: float | None) -> Iterator[Line]:
    from devlxdctl.events import Event, Gap

    deadline = None if seconds is None else time.monotonic() + seconds
    seen = 0
    while count is None or seen < count:
        rest = None if deadline is None else deadline - time.monotonic()
        item = events.get(rest) if rest is None or rest > 0 else None
        if item is None:
            if count is not None:
                raise TimedOut("events", f"{seen} of {count} within {seconds:g} s")
            return
        if isinstance(item, Event):
            seen += 1
            yield _line(item)
        elif isinstance(item, Gap):
            say(f"devlxdctl: events: the host was away for {item.seconds:.1f} s, and its events are lost")
        else:
            say(f"devlxdctl: events: the reader is too slow: {item.events} events are lost")


def _line(event: Any) -> Line:
    try:
        document = event.parse()
    except ValueError:
        return Line(compact(event.text), ("", "", "", "", event.text))
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if "key" in metadata:
        old, new = (as_text(metadata.get(field, "")) for field in ("old_value", "value"))
        action = "changed" if old and new else "added" if new else "removed"
        what = [action, as_text(metadata["key"]), new, old]
    elif "name" in metadata:
        config = metadata.get("config")
        pairs = config.items() if isinstance(config, dict) else ()
        options = [f"{key}={as_text(value)}" for key, value in pairs]
        what = [as_text(metadata.get("action", "")), as_text(metadata["name"]), *options]
    else:
        what = ["", "", as_text(document.get("metadata"))]
    text = event.text if "\n" not in event.text else compact(document)
    return Line(text, (as_text(document.get("timestamp", "")), as_text(document.get("type", "")), *what))
