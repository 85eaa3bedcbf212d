"""`python -m tests.mutants`: mutation testing with cosmic-ray, in copies of the checkout. See --help.

Not mutmut: it selects a change by a variable inside the process of the tests. Many tests here run the
installed program with an environment of their own, and these programs would run the unchanged code.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import importlib.metadata
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from tests.mutants.modules import GUARDED, TESTS
from tests.mutants.report import (
    MAX_UNEXPLAINED,
    SCORES,
    Outcome,
    Result,
    explanations,
    load,
    unexplained,
    updated,
    updated_survivors,
    write,
)
from tests.mutants.sites import Mutation, change_of, sample
from tests.mutants.tree import REPOSITORY, make_copy, test_command

mutating: Any = importlib.import_module("cosmic_ray.mutating")  # by name, since mypy runs without this extra

_T = TypeVar("_T")

TEST_TIMEOUT = 110.0
"""Seconds for one test. A change that makes it wait longer is found."""
BASE_TIMEOUT = 60.0
"""Seconds for the tests of a module, besides four times what they take without a change."""


def run_unchanged(copy: Path, module: str) -> float | None:
    """Run the tests of `module` without a change. Return the seconds that they took, None if one fails."""
    started = time.monotonic()
    done = subprocess.run(
        test_command(copy, TESTS[module], TEST_TIMEOUT),
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    if done.returncode != 0:
        print(
            f"{module}: its tests fail without a change:\n{done.stdout[-4000:]}{done.stderr[-4000:]}",
            flush=True,
        )
        return None
    return time.monotonic() - started


class Change(NamedTuple):
    """A change that is to be tried. `text` is what it removes and adds."""

    module: str
    mutation: Mutation
    text: str

    @property
    def function(self) -> str:
        return self.mutation.definition_name or ""

    @property
    def line(self) -> int:
        line: int = self.mutation.start_pos[0]
        return line


def try_change(copy: Path, change: Change, seconds: float) -> Result:
    """Change one place in `copy`, run the tests of its module, and change it back."""
    mutation = change.mutation
    moved = type(mutation)(
        copy / change.module,
        *(mutation.operator_name, mutation.occurrence, mutation.start_pos, mutation.end_pos),
        operator_args=mutation.operator_args,
    )
    command = shlex.join(test_command(copy, TESTS[change.module], TEST_TIMEOUT))
    result = mutating.mutate_and_test([moved], command, seconds)
    if result.test_outcome is None or result.test_outcome.value == "incompetent":
        sys.exit(f"{change.module}:{change.line}: {result.output}")
    outcome: Outcome = "timeout" if result.output == "timeout" else result.test_outcome.value
    return Result(change.module, change.line, change.function, change.text, outcome)


def run_all(changes: Sequence[Change], copies: Sequence[Path], end: float | None) -> list[Result]:
    """Try all changes, one at a time in each copy, until the monotonic time `end`.

    A module is left out if its tests fail without a change.
    """
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)
    results: list[Result] = []

    def on_copy(function: Callable[..., _T], *arguments: object) -> _T | None:
        if end is not None and time.monotonic() > end:
            return None
        copy = free.get()
        try:
            return function(copy, *arguments)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as executor:
        try:
            modules = dict.fromkeys(change.module for change in changes)
            unchanged = {module: executor.submit(on_copy, run_unchanged, module) for module in modules}
            seconds = {module: each.result() for module, each in unchanged.items()}
            attempts = [
                executor.submit(on_copy, try_change, change, BASE_TIMEOUT + 4 * usual)
                for change in changes
                if (usual := seconds[change.module]) is not None
            ]
            for attempt in as_completed(attempts):
                result = attempt.result()
                if result is not None:
                    results.append(result)
                    if result.outcome == "survived":
                        print(f"{result.module}:{result.line} {result.function}\n{result.change}", flush=True)
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise
    return results


def only_survivors(changes: Sequence[Change], scores: Mapping[str, Any]) -> list[Change]:
    survivors = {(each["module"], each["function"], each["change"]) for each in scores["survivors"]}
    return [change for change in changes if (change.module, change.function, change.text) in survivors]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help="paths of modules (default: all in the table)"
    )
    parser.add_argument(
        "--guarded", action="store_true", help="only what handles responses, files, tokens, retries"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="number of changes (default: all)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="selects the sample (1)")
    parser.add_argument(
        "--jobs", type=int, default=2, metavar="N", help="copies that are tested at a time (2)"
    )
    parser.add_argument("--seconds", type=float, metavar="SECONDS", help="begin no change after SECONDS")
    parser.add_argument(
        "--max-unexplained",
        type=float,
        default=MAX_UNEXPLAINED,
        metavar="SHARE",
        help=f"share of the changes that may survive without an explanation ({MAX_UNEXPLAINED:g})",
    )
    parser.add_argument(
        "--survivors", action="store_true", help="of the sample, only what survived according to the scores"
    )
    parser.add_argument("--record", action="store_true", help=f"write the scores into {SCORES.name}")
    options = parser.parse_args()
    # So that the copies are removed.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    modules = options.modules or list(GUARDED if options.guarded else TESTS)
    if unknown := sorted(set(modules) - set(TESTS)):
        parser.error(f"no tests are listed for {', '.join(unknown)}")
    path = SCORES if options.record else REPOSITORY / "build" / "mutants.json"
    path.parent.mkdir(exist_ok=True)
    scores = load(path if path.exists() else SCORES)
    end = None if options.seconds is None else time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory(prefix="dx-mutants-") as directory:
        copies = [make_copy(Path(directory, str(number))) for number in range(options.jobs)]
        chosen = sample(copies[0], modules, options.sample, options.seed)
        changes = [Change(module, each, change_of(each)) for module in chosen for each in chosen[module]]
        if options.survivors:
            changes = only_survivors(changes, scores)
        results = run_all(changes, copies, end)
    found = unexplained(results, {**explanations(scores), **explanations(load(SCORES))})
    survived = sum(each.outcome == "survived" for each in results)
    print(
        f"{len(results)} of {len(changes)} changes tried, {survived} survived, "
        f"{len(found)} of them without an explanation"
    )
    conditions = {
        "seed": options.seed,
        "sample": options.sample,
        "date": datetime.date.today().isoformat(),
        "tool": f"cosmic-ray {importlib.metadata.version('cosmic-ray')}",
    }
    update = updated_survivors if options.survivors else updated
    write(path, update(scores, results, conditions))
    if len(results) < len(changes) and options.seconds is None:
        sys.exit("not all changes could be tried")
    if not results and (end is None or time.monotonic() < end):
        sys.exit("no change could be tried")
    if len(found) > options.max_unexplained * len(results):
        sys.exit("too many changes without an explanation survive")


if __name__ == "__main__":
    main()
