"""`python -m tests.bench`: measure, print a table, and save the figures."""

from __future__ import annotations

import argparse
import compileall
import sys
from pathlib import Path

import devlxdctl
from tests.hosts import HostError

from . import burst, files, history, peer, report, rows
from .location import open_location

PARTS = {
    "startup": rows.startup,
    "keys": rows.keys,
    "events": burst.events,
    "files": files.files,
    "watch": burst.watch,
    "image": rows.image,
    "peer": peer.peer,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument(
        "--host", choices=["lxd", "incus", "simulator"], help="where to measure; a real host by default"
    )
    parser.add_argument("--effort", type=float, default=1.0, help="factor for the number of runs (1)")
    parser.add_argument(
        "--growth", action="store_true", help="measure how cost grows as well: tables and a plot"
    )
    parser.add_argument(
        "--largest", type=float, default=1.0, metavar="GB", help="largest image with --growth (1)"
    )
    parser.add_argument(
        "--peer", metavar="PROGRAM", help="another client in the guest to compare with, as devlxd-client"
    )
    parser.add_argument(
        "--record", action="store_true", help=f"add the ratios to {history.FILE.name} beside this program"
    )
    parser.add_argument(
        "--check", action="store_true", help="fail if a ratio is worse than in the last recorded run"
    )
    parser.add_argument(
        "--docs", action="store_true", help="write the figures and plots into docs/; implies --growth"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("build/bench"), metavar="DIR")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # As pip does at installation. A guest cannot write compiled modules: the checkout is read-only there.
    compileall.compile_dir(Path(devlxdctl.__file__).parent, quiet=1)
    try:
        with open_location(options.host, options.effort, options.peer) as location:
            result = report.Report(location.title, location.host.name)
            for name in options.parts or PARTS:
                for row in PARTS[name](location):
                    result.add(row)
            result.print_table()
            if options.growth or options.docs:
                from . import growth

                result.curves = growth.measure(location, round(options.largest * 1e9))
                result.print_growth()
            if options.docs:
                from . import documents

                parts = documents.startup_parts(location)
                delays = burst.run_burst(location.host, burst.CHANGES).delays
                documents.write(result, parts, delays)
    except HostError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    result.save(options.output)
    worse = history.worse(result.conditions["host"], result.rows) if options.check else []
    for line in worse:
        print(f"{parser.prog}: worse: {line}", file=sys.stderr)
    if options.record:
        history.record(result.conditions, result.rows)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
