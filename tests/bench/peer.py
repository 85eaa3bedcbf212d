"""Beside another client of the API: LXD's own in Go, whose arguments these are."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from tests.support.program import PROGRAM

from .location import Location
from .measure import Command
from .rows import IMAGE, KEYS, Comparison, Goals, Row, export_commands


def peer(location: Location) -> Iterator[Row]:
    """The state, many keys and an image, with both clients. Nothing without `--peer`."""
    if location.peer is None:
        return
    if (reason := location.no_peer_reason()) is not None:
        yield Row("all tasks", location.peer, skipped=reason)
        return
    name = location.peer
    state = {"ours": Command([PROGRAM, "-f", "json", "state"]), name: Command([name, "get-state"])}
    both: tuple[Goals, ...] = ({name: ("cpu", None)}, {name: ("wall", None)})
    for goals in both:
        yield from Comparison("-f json state", state, goals, location.runs(20)).rows(location)
    yield from _keys(location, name)
    if location.no_images_reason() is None:
        with location.image(IMAGE) as fingerprint:
            ours = export_commands(location, fingerprint)["ours"]
            # It discards what it receives, unverified.
            commands = {"ours": ours, name: Command([name, "image-export", fingerprint])}
            task = f"image export of {IMAGE / 1e9:g} GB"
            rows = list(Comparison(task, commands, {name: ("wall", None)}, location.runs(5)).rows(location))
        yield from rows


def _keys(location: Location, name: str) -> Iterator[Row]:
    """It reads one key at a time."""
    values = {f"user.key{number:03}": f"value {number}" for number in range(KEYS)}
    location.host.set(values)
    loop = f"for key in {' '.join(values)}; do {shlex.quote(name)} $key; done"
    commands = {
        "ours": Command([PROGRAM, "config", "ls", "-l"]),
        name: Command(["sh", "-c", loop]),
    }
    goals: Goals = {name: ("wall", None)}
    yield from Comparison(f"config ls -l of {KEYS} keys", commands, goals, location.runs(5)).rows(location)
    location.host.set(dict.fromkeys(values))
