"""`events`: the stream of events."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from devlxdctl import EVENT_TYPES, TimedOut
from devlxdctl.cli.completion import values
from devlxdctl.cli.memory import collect_garbage_often
from devlxdctl.cli.options import Command, CommaSeparated, Count, Options, Seconds
from devlxdctl.cli.output.render import Line, Lines, as_text, compact_json
from devlxdctl.cli.output.stdio import print_error, stdout_descriptor

if TYPE_CHECKING:
    from devlxdctl import Dropped, Event, EventStream, Gap


_HEADER = ("TIME", "TYPE", "ACTION", "NAME", "VALUE")
"""The last one is the title of the value and old value of a key, or of the options of a device."""


@click.command(cls=Command)
@click.option(
    "--type",
    "types",
    # Hosts accept any other type, and then send no events.
    type=CommaSeparated(EVENT_TYPES, "a type of event"),
    metavar="TYPES",
    default=",".join(EVENT_TYPES),
    show_default=True,
    shell_complete=values.event_types,
    help="Types of events, separated by commas.",
)
@click.option("--count", type=Count(), metavar="N", help="Exit after N events.")
@click.option(
    "--for",
    "seconds",
    type=Seconds(),
    metavar="SECONDS",
    help="Stop after SECONDS; exit status 124 if --count was not reached.",
)
@click.pass_obj
def events(options: Options, types: list[str], count: int | None, seconds: float | None) -> Lines:
    """Print events of the host as they arrive.

    Hosts send events for changes of user.* keys and devices. They send none for keys of cloud-init.

    A line has the time, the type, the action, the key or device, and its value and old value or its options.
    Hosts keep no history: a restart of the host leaves a gap, which is reported on stderr. `config watch` has
    no gaps.

    \b
    Examples:
      devlxdctl events
      devlxdctl events --type device -f json | jq -c .metadata
    """
    collect_garbage_often()
    stream = options.client().events(types, output_fd=stdout_descriptor())
    return Lines(_lines(stream, count, seconds), _HEADER)


def _lines(
    stream: EventStream[Event | Gap | Dropped], count: int | None, seconds: float | None
) -> Iterator[Line]:
    from devlxdctl import Event, Gap

    deadline = None if seconds is None else time.monotonic() + seconds
    seen = 0
    while count is None or seen < count:
        rest = None if deadline is None else deadline - time.monotonic()
        item = stream.get(rest) if rest is None or rest > 0 else None
        if item is None:
            if count is not None:
                raise TimedOut("events", f"{seen} of {count} after {seconds:g} s")
            return
        if isinstance(item, Event):
            seen += 1
            yield _event_line(item)
        elif isinstance(item, Gap):
            print_error(f"devlxdctl: events: host unavailable for {item.seconds:.1f} s, its events are lost")
        else:
            print_error(f"devlxdctl: events: reader too slow, {item.events} events dropped")


def _event_line(event: Event) -> Line:
    try:
        document = event.parse()
    except ValueError:
        return Line(lambda: compact_json(event.text), lambda: ("", "", "", "", event.text))
    return Line(lambda: _json(event, document), lambda: _cells(document))


def _json(event: Event, document: Mapping[str, Any]) -> str:
    """JSON Lines needs one line of UTF-8, whatever the host sends."""
    is_line = "\n" not in event.text and re.search("[\ud800-\udfff]", event.text) is None
    return event.text if is_line else compact_json(document)


def _cells(document: Mapping[str, Any]) -> Sequence[str]:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if "key" in metadata:
        old, new = (as_text(metadata.get(field, "")) for field in ("old_value", "value"))
        action = "changed" if old and new else "added" if new else "removed"
        subject = [action, as_text(metadata["key"]), new, old]
    elif "name" in metadata:
        config = metadata.get("config")
        pairs = config.items() if isinstance(config, dict) else ()
        options = [f"{key}={as_text(value)}" for key, value in pairs]
        subject = [as_text(metadata.get("action", "")), as_text(metadata["name"]), *options]
    else:
        subject = ["", "", as_text(document.get("metadata"))]
    return (as_text(document.get("timestamp", "")), as_text(document.get("type", "")), *subject)
