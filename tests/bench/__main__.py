"""`python -m tests.bench`: measures, shows a table, and keeps the figures."""

from __future__ import annotations

import argparse
import compileall
import sys
from pathlib import Path

import devlxdctl
from tests.hosts import HostError

from . import burst, report, rows
from .place import open_place

PARTS = {"startup": rows.startup, "keys": rows.keys, "events": burst.events, "image": rows.image}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--host", choices=["lxd", "incus", "simulator"], help="where; a real one by default")
    parser.add_argument("--effort", type=float, default=1.0, help="so many times the usual number of runs")
    parser.add_argument("--growth", action="store_true", help="how cost grows, too: a table and a plot")
    parser.add_argument(
        "--largest", type=float, default=1.0, metavar="GB", help="the last image of the growth"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("build/bench"), metavar="DIR")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"{', '.join(unknown)}: no such part")
    # As pip leaves it. A guest cannot: to it, all of this is read-only.
    compileall.compile_dir(Path(devlxdctl.__file__).parent, quiet=1)
    try:
        with open_place(options.host, options.effort) as place:
            found = report.Report(place.title)
            for name in options.parts or PARTS:
                for row in PARTS[name](place):
                    found.add(row)
            found.show()
            if options.growth:
                from . import growth

                found.curves = growth.measure(place, round(options.largest * 1e9))
                found.show_growth()
    except HostError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    found.keep(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
