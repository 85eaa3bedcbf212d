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
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Any

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

TEST_TIMEOUT = 60.0
"""Seconds for one test. A change that makes it wait longer is found."""
BASE_TIMEOUT = 60.0
"""Seconds for the tests of a module, besides four times what they take without a change."""


def run_unchanged(copy: Path, module: str) -> float:
    """Run the tests of `module` without a change, and return the seconds that they took."""
    started = time.monotonic()
    done = subprocess.run(
        test_command(copy, TESTS[module], TEST_TIMEOUT),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode != 0:
        sys.exit(f"{module}: its tests fail without a change:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return time.monotonic() - started


def try_change(copy: Path, root: Path, module: str, mutation: Mutation, seconds: float) -> Result:
    """Change one place in `copy`, run the tests of its module, and change it back."""
    path = copy / mutation.module_path.relative_to(root)
    moved = type(mutation)(
        path,
        *(mutation.operator_name, mutation.occurrence, mutation.start_pos, mutation.end_pos),
        operator_args=mutation.operator_args,
    )
    command = shlex.join(test_command(copy, TESTS[module], TEST_TIMEOUT))
    result = mutating.mutate_and_test([moved], command, seconds)
    if result.test_outcome is None or result.test_outcome.value == "incompetent":
        sys.exit(f"{module}:{mutation.start_pos[0]}: {result.output}")
    outcome: Outcome = "timeout" if result.output == "timeout" else result.test_outcome.value
    return Result(module, mutation.start_pos[0], mutation.definition_name or "", change_of(mutation), outcome)


def run_all(
    chosen: dict[str, list[Mutation]], root: Path, copies: Sequence[Path], end: float | None
) -> tuple[list[Result], int]:
    """Try all changes, one at a time in each copy. Return the results, and how many were left."""
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)
    results: list[Result] = []
    left = 0

    def work(module: str, mutation: Mutation, seconds: float) -> Result | None:
        if end is not None and time.monotonic() > end:
            return None
        copy = free.get()
        try:
            return try_change(copy, root, module, mutation, seconds)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as executor:
        for module, mutations in chosen.items():
            if end is not None and time.monotonic() > end:
                left += len(mutations)
                continue
            seconds = BASE_TIMEOUT + 4 * run_unchanged(copies[0], module)
            for future in as_completed(executor.submit(work, module, each, seconds) for each in mutations):
                result = future.result()
                if result is None:
                    left += 1
                    continue
                results.append(result)
                if result.outcome == "survived":
                    print(f"survived: {module}:{result.line} {result.function}\n{result.change}", flush=True)
            own = [each.outcome for each in results if each.module == module]
            print(f"{module}: {len(own)} tried, {own.count('survived')} survived", flush=True)
    return results, left


def only_survivors(chosen: dict[str, list[Mutation]], scores: Mapping[str, Any]) -> dict[str, list[Mutation]]:
    survivors = {(each["module"], each["function"], each["change"]) for each in scores["survivors"]}
    return {
        module: [
            each for each in mutations if (module, each.definition_name or "", change_of(each)) in survivors
        ]
        for module, mutations in chosen.items()
        if any(survivor[0] == module for survivor in survivors)
    }


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
        "--survivors", action="store_true", help="of the sample, only what survived according to the scores"
    )
    parser.add_argument("--record", action="store_true", help=f"write the scores into {SCORES.name}")
    options = parser.parse_args()
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
        if options.survivors:
            chosen = only_survivors(chosen, scores)
        results, left = run_all(chosen, copies[0], copies, end)
    found = unexplained(results, explanations(scores))
    survived = sum(each.outcome == "survived" for each in results)
    print(
        f"{len(results)} changes tried, {survived} survived, {len(found)} without an explanation; {left} left"
    )
    conditions = {
        "seed": options.seed,
        "date": datetime.date.today().isoformat(),
        "tool": f"cosmic-ray {importlib.metadata.version('cosmic-ray')}",
    }
    update = updated_survivors if options.survivors else updated
    write(path, update(scores, results, conditions))
    if not results or len(found) > MAX_UNEXPLAINED * len(results):
        sys.exit("too many changes without an explanation survive")


if __name__ == "__main__":
    main()
