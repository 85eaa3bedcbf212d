"""The rows of the table: what is done, by whom, and how much it may cost beside the others."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.hosts import PROGRAM, HostError, Result

from .measure import HERE, Command, Measure, Spread, race
from .place import Place

KEYS = 300
IMAGE = 1_500_000_000
FLOOR = "SHA-256 alone, of as much in memory"
MIB = 1 << 20


@dataclass(frozen=True)
class Row:
    """One line of the table: what one command costs, as a ratio to what another one does.

    Without a yardstick the goal is absolute, in the measure's unit. Without a goal it is there to be known.
    `skipped` says why there are no figures.
    """

    work: str
    yardstick: str = ""
    measure: Measure = "wall"
    ours: Spread | None = None
    theirs: Spread | None = None
    ratio: Spread | None = None
    goal: float | None = None
    peak: float | None = None
    """Bytes of memory that ours had at most, in any run."""
    runs: int = 0
    skipped: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the goal; None where there is none, or no figure."""
        figure = self.ratio or self.ours
        return None if figure is None or self.goal is None else figure.median <= self.goal


@dataclass(frozen=True)
class Race:
    """Commands that are run in turn, ours first; and what each of the others is to it, with the goal."""

    work: str
    commands: Mapping[str, Command]
    goals: Mapping[str, tuple[Measure, float | None]]
    runs: int

    def run(self, place: Place) -> Iterator[Row]:
        costs = race(place.host, self.commands, self.runs)
        ours = next(iter(costs.values()))
        for name, (measure, goal) in self.goals.items():
            theirs = costs[name]
            yield Row(
                self.work,
                name,
                measure,
                Spread.of(ours.figures(measure)),
                Spread.of(theirs.figures(measure)),
                ours.ratio(theirs, measure),
                goal,
                max(ours.peak),
                len(ours.wall),
            )


def startup(place: Place) -> Iterator[Row]:
    """One short call, and what a shell and a person wait for at every start."""
    url = "http://lxd/1.0"
    curl = ["curl", "-sf", "--unix-socket", place.host.socket, url]
    state = {
        "ours": Command([PROGRAM, "-f", "json", "state"]),
        "a bare script on the same libraries": Command(
            [sys.executable, str(HERE / "bare.py"), place.host.socket]
        ),
        "curl": Command(curl),
        "curl | jq": Command(["sh", "-c", f"{shlex.join(curl)} | jq -c ."]),
    }
    goals: dict[str, tuple[Measure, float | None]] = {
        "a bare script on the same libraries": ("cpu", 0.85),
        "curl": ("wall", None),
        "curl | jq": ("wall", None),
    }
    yield from Race("-f json state", state, goals, place.runs(40)).run(place)
    imports = Command([sys.executable, "-c", "import click"])
    tab = {"_DEVLXDCTL_COMPLETE": "bash_complete", "COMP_WORDS": "devlxdctl config g", "COMP_CWORD": "2"}
    for work, command in {
        "--version": Command([PROGRAM, "--version"]),
        "--help": Command([PROGRAM, "--help"]),
        "a TAB": Command([PROGRAM], tab),
    }.items():
        pair = {"ours": command, "import click": imports}
        yield from Race(work, pair, {"import click": ("wall", 1.35)}, place.runs(40)).run(place)


def keys(place: Place) -> Iterator[Row]:
    """Many keys in one call."""
    values = {f"user.key{number:03}": f"value {number}" for number in range(KEYS)}
    place.host.set(values)
    urls = [f"http://lxd/1.0/config/{key}" for key in values]
    each = f"curl -sf --unix-socket {shlex.quote(place.host.socket)} -w '\\n'"
    commands = {
        "ours": Command([PROGRAM, "config", "ls", "-l"]),
        "one curl, a URL per key": Command(
            ["curl", "-sf", "--unix-socket", place.host.socket, "-w", "\\n", *urls]
        ),
    }
    goals: dict[str, tuple[Measure, float | None]] = {"one curl, a URL per key": ("wall", 0.95)}
    work = f"config ls -l of {KEYS} keys"
    _same_values(place, commands)
    yield from Race(work, commands, goals, place.runs(30)).run(place)
    loop = f"for key in {' '.join(values)}; do {each} http://lxd/1.0/config/$key; done"
    commands = {"ours": commands["ours"], "a shell loop of curl": Command(["sh", "-c", loop])}
    _same_values(place, commands)
    yield from Race(work, commands, {"a shell loop of curl": ("wall", 0.33)}, place.runs(5)).run(place)
    yield from _cloud_init(place, work, commands["ours"])
    place.host.set(dict.fromkeys(values))


def _same_values(place: Place, commands: Mapping[str, Command]) -> None:
    """Raises if what is to be compared does not do the same."""
    ours, theirs = (checked(place, command).stdout.splitlines() for command in commands.values())
    if [line.partition(b"\t")[2] for line in ours] != theirs:
        raise RuntimeError(f"not the same values: {ours[:2]}…, {theirs[:2]}…")


def checked(place: Place, command: Command) -> Result:
    result = place.host.run(*command.argv)
    if result.status != 0:
        raise RuntimeError(f"{command.argv}: status {result.status}: {result.stderr.decode()}")
    return result


def _cloud_init(place: Place, work: str, ours: Command) -> Iterator[Row]:
    """cloud-init's own reader of all that the host has, in the distribution's Python."""
    name = "cloud-init's LXD data source"
    reader = Command(["/usr/bin/python3", "-m", "cloudinit.sources.DataSourceLXD"])
    if place.host.socket != "/dev/lxd/sock":
        yield Row(work, name, skipped="it knows no socket but /dev/lxd/sock")
    elif place.host.run("/usr/bin/python3", "-c", "import cloudinit.sources.DataSourceLXD").status != 0:
        yield Row(work, name, skipped="cloud-init is not installed")
    else:
        goals: dict[str, tuple[Measure, float | None]] = {name: ("wall", None)}
        try:
            yield from Race(work, {"ours": ours, name: reader}, goals, place.runs(5)).run(place)
        except HostError as error:
            yield Row(work, name, skipped=f"it fails: {str(error).splitlines()[-2]}")


def image(place: Place) -> Iterator[Row]:
    """A large image of each shape, verified, beside what does not look."""
    yield from _image(place, "unified")
    yield from _image(place, "split")


def _image(place: Place, shape: str) -> Iterator[Row]:
    work = f"image export of {IMAGE / 1e9:g} GB, {shape}"
    names = {"curl -o FILE": 1.15, "curl -o FILE && sha256sum FILE": 0.65, FLOOR: None}
    if (reason := place.no_images()) is not None:
        for name in names:
            yield Row(work, name, skipped=reason)
        yield Row(f"memory of {work}", skipped=reason)
        return
    with place.image(IMAGE, shape == "split") as fingerprint:
        commands = exports(place, fingerprint, shape)
        goals: dict[str, tuple[Measure, float | None]] = {
            name: ("wall", goal) for name, goal in names.items()
        }
        rows = list(Race(work, commands, goals, place.runs(5)).run(place))
    yield from rows
    peak = rows[0].peak
    assert peak is not None
    at_most = Spread.of([peak])
    yield Row(
        f"memory of {work}", measure="peak", ours=at_most, goal=48.0 * MIB, peak=peak, runs=rows[0].runs
    )


def exports(place: Place, fingerprint: str, shape: str = "unified") -> dict[str, Command]:
    """The ways to have an image in a file, or both parts of a split one in two: ours first.

    curl keeps the two parts of a split one as they come, in one file.
    """
    file = f"{place.room}/image"
    ours = Command([PROGRAM, "image", "export", fingerprint, "-q", "-o", file], remove=[file])
    if shape == "split":
        made = [f"{place.room}/{name}.tar" for name in (f"meta-{fingerprint}", fingerprint)]
        ours = Command([PROGRAM, "image", "export", fingerprint, "-q", "-o", place.room], remove=made)
    url = f"http://lxd/1.0/images/{fingerprint}/export"
    curl = ["curl", "-sf", "--unix-socket", place.host.socket, "-o", file, url]
    both = f"{shlex.join(curl)} && sha256sum {shlex.quote(file)}"
    return {
        "ours": ours,
        "curl -o FILE": Command(curl, remove=[file]),
        "curl -o FILE && sha256sum FILE": Command(["sh", "-c", both], remove=[file]),
        FLOOR: Command(
            [
                sys.executable,
                "-ISc",
                f"import hashlib as h\np, s = bytes(1 << 20), h.sha256()\n"
                f"for _ in range({IMAGE >> 20}): s.update(p)",
            ]
        ),
    }
