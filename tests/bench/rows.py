"""The rows of the table: each task, the programs it is compared with, and the goal."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.hosts import HostError
from tests.support.program import PROGRAM, Result

from .location import Location
from .measure import HERE, Command, Measure, Quartiles, run_in_turn

KEYS = 300
IMAGE = 1_500_000_000
HASH_ONLY = "SHA-256 of as many bytes in memory"
MIB = 1 << 20


@dataclass(frozen=True)
class Row:
    """One row: what devlxdctl costs for a task, and what a baseline costs for the same.

    * `goal`: the ratio to reach; without a baseline, the cost to reach. None for information only.
    * `peak`: bytes of memory that devlxdctl used at most, in any run.
    * `skipped`: why there are no figures.
    """

    task: str
    baseline: str = ""
    measure: Measure = "wall"
    ours: Quartiles | None = None
    theirs: Quartiles | None = None
    ratio: Quartiles | None = None
    goal: float | None = None
    peak: float | None = None
    runs: int = 0
    skipped: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the goal; None without a goal or without figures."""
        figure = self.ratio or self.ours
        return None if figure is None or self.goal is None else figure.median <= self.goal


Goals = Mapping[str, tuple[Measure, float | None]]
"""The measure and the goal of each baseline."""


@dataclass(frozen=True)
class Comparison:
    """Commands that run in turn, devlxdctl first. Each of the others is a baseline, with a row of its own."""

    task: str
    commands: Mapping[str, Command]
    goals: Goals
    runs: int

    def rows(self, location: Location) -> Iterator[Row]:
        costs = run_in_turn(location.host, self.commands, self.runs)
        ours = next(iter(costs.values()))
        for name, (measure, goal) in self.goals.items():
            theirs = costs[name]
            yield Row(
                self.task,
                name,
                measure,
                Quartiles.of(ours.figures(measure)),
                Quartiles.of(theirs.figures(measure)),
                ours.ratio(theirs, measure),
                goal,
                max(ours.peak),
                len(ours.wall),
            )


def startup(location: Location) -> Iterator[Row]:
    """Short commands, whose cost is that of the start."""
    url = "http://lxd/1.0"
    curl = ["curl", "-sf", "--unix-socket", location.host.socket, url]
    state = {
        "ours": Command([PROGRAM, "-f", "json", "state"]),
        "a script with the same libraries": Command(
            [sys.executable, str(HERE / "bare.py"), location.host.socket]
        ),
        "curl": Command(curl),
        "curl | jq": Command(["sh", "-c", f"{shlex.join(curl)} | jq -c ."]),
    }
    goals: Goals = {
        "a script with the same libraries": ("cpu", 0.75),
        "curl": ("wall", None),
        "curl | jq": ("wall", None),
    }
    yield from Comparison("-f json state", state, goals, location.runs(40)).rows(location)
    click_import = Command([sys.executable, "-c", "import click"])
    tab = {"_DEVLXDCTL_COMPLETE": "bash_complete", "COMP_WORDS": "devlxdctl config g", "COMP_CWORD": "2"}
    for task, command in {
        "--version": Command([PROGRAM, "--version"]),
        "--help": Command([PROGRAM, "--help"]),
        "completion": Command([PROGRAM], tab),
    }.items():
        commands = {"ours": command, "import click": click_import}
        goals = {"import click": ("cpu", 1.25)}
        yield from Comparison(task, commands, goals, location.runs(40)).rows(location)


def keys(location: Location) -> Iterator[Row]:
    """Many keys with one command."""
    values = {f"user.key{number:03}": f"value {number}" for number in range(KEYS)}
    location.host.set(values)
    task = f"config ls -l of {KEYS} keys"
    curl = ["curl", "-sf", "--unix-socket", location.host.socket, "-w", "\\n"]
    ours = Command([PROGRAM, "config", "ls", "-l"])
    urls = [f"http://lxd/1.0/config/{key}" for key in values]
    commands = {"ours": ours, "one curl with a URL per key": Command([*curl, *urls])}
    _check_same_values(location, commands)
    goals: Goals = {"one curl with a URL per key": ("wall", 0.90)}
    yield from Comparison(task, commands, goals, location.runs(30)).rows(location)
    loop = f"for key in {' '.join(values)}; do {shlex.join(curl)} http://lxd/1.0/config/$key; done"
    commands = {"ours": ours, "a shell loop with curl": Command(["sh", "-c", loop])}
    _check_same_values(location, commands)
    goals = {"a shell loop with curl": ("wall", 0.33)}
    yield from Comparison(task, commands, goals, location.runs(5)).rows(location)
    yield from _cloud_init(location, task, ours)
    location.host.set(dict.fromkeys(values))


def _check_same_values(location: Location, commands: Mapping[str, Command]) -> None:
    """Raise RuntimeError if the two commands do not print the same values."""
    ours, theirs = (run_checked(location, command).stdout.splitlines() for command in commands.values())
    if [line.partition(b"\t")[2] for line in ours] != theirs:
        raise RuntimeError(f"not the same values: {ours[:2]}…, {theirs[:2]}…")


def run_checked(location: Location, command: Command) -> Result:
    result = location.host.run(*command.argv)
    if result.status != 0:
        raise RuntimeError(f"{command.argv}: status {result.status}: {result.stderr.decode()}")
    return result


def _cloud_init(location: Location, task: str, ours: Command) -> Iterator[Row]:
    """cloud-init's LXD data source, in the distribution's Python, reads everything that the host has."""
    name = "cloud-init's LXD data source"
    reader = Command(["/usr/bin/python3", "-m", "cloudinit.sources.DataSourceLXD"])
    if location.host.socket != "/dev/lxd/sock":
        yield Row(task, name, skipped="it only supports /dev/lxd/sock")
    elif location.host.run("/usr/bin/python3", "-c", "import cloudinit.sources.DataSourceLXD").status != 0:
        yield Row(task, name, skipped="cloud-init is not installed")
    else:
        commands = {"ours": ours, name: reader}
        try:
            yield from Comparison(task, commands, {name: ("wall", None)}, location.runs(5)).rows(location)
        except HostError as error:
            yield Row(task, name, skipped=f"it fails: {str(error).splitlines()[-2]}")


def image(location: Location) -> Iterator[Row]:
    """A large image in both forms, verified, beside programs that do not verify it."""
    yield from _image(location, "unified")
    yield from _image(location, "split")


def _image(location: Location, form: str) -> Iterator[Row]:
    task = f"image export of {IMAGE / 1e9:g} GB, {form}"
    goals: Goals = {
        "curl -o FILE": ("wall", 1.10),
        "curl -o FILE && sha256sum FILE": ("wall", 0.65),
        HASH_ONLY: ("wall", None),
    }
    if (reason := location.no_images_reason()) is not None:
        for name in goals:
            yield Row(task, name, skipped=reason)
        yield Row(f"memory of {task}", skipped=reason)
        return
    with location.image(IMAGE, form == "split") as fingerprint:
        commands = export_commands(location, fingerprint, form)
        rows = list(Comparison(task, commands, goals, location.runs(5)).rows(location))
    yield from rows
    peak, runs = rows[0].peak, rows[0].runs
    assert peak is not None
    memory = Quartiles.of([peak])
    yield Row(f"memory of {task}", measure="peak", ours=memory, goal=48.0 * MIB, peak=peak, runs=runs)


def export_commands(location: Location, fingerprint: str, form: str = "unified") -> dict[str, Command]:
    """Return the commands that write an image to files, devlxdctl first.

    curl writes both parts of a split image to one file, as received.
    """
    file = f"{location.directory}/image"
    export = [PROGRAM, "image", "export", fingerprint, "-q", "-o"]
    ours = Command([*export, file], remove=[file])
    if form == "split":
        written = [f"{location.directory}/{name}.tar" for name in (f"meta-{fingerprint}", fingerprint)]
        ours = Command([*export, location.directory], remove=written)
    url = f"http://lxd/1.0/images/{fingerprint}/export"
    curl = ["curl", "-sf", "--unix-socket", location.host.socket, "-o", file, url]
    both = f"{shlex.join(curl)} && sha256sum {shlex.quote(file)}"
    hash_only = (
        "import hashlib\n"
        "data, digest = bytes(1 << 20), hashlib.sha256()\n"
        f"for _ in range({IMAGE >> 20}): digest.update(data)"
    )
    return {
        "ours": ours,
        "curl -o FILE": Command(curl, remove=[file]),
        "curl -o FILE && sha256sum FILE": Command(["sh", "-c", both], remove=[file]),
        HASH_ONLY: Command([sys.executable, "-ISc", hash_only]),
    }
