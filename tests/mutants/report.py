"""What became of the changes, and the scores that are kept in the repository."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

SCORES = Path(__file__).with_name("scores.json")
MAX_UNEXPLAINED = 0.05
"""The share of changes without an explanation that may survive."""

Outcome = Literal["killed", "timeout", "survived"]


class Result(NamedTuple):
    """A change that was tried. `change` is what it removes and adds."""

    module: str
    line: int
    function: str
    change: str
    outcome: Outcome

    @property
    def key(self) -> tuple[str, str, str]:
        """What stays the same when other lines of the module change."""
        return self.module, self.function, self.change


def load(path: Path) -> dict[str, Any]:
    """The scores as they are kept."""
    scores: dict[str, Any] = json.loads(path.read_text())
    return scores


def explanations(scores: Mapping[str, Any]) -> dict[tuple[str, str, str], str]:
    """Why changes survive, as far as somebody wrote it into the scores."""
    return {
        (each["module"], each["function"], each["change"]): each["explanation"]
        for each in scores["survivors"]
        if each["explanation"]
    }


def unexplained(results: Iterable[Result], explained: Mapping[tuple[str, str, str], str]) -> list[Result]:
    return [each for each in results if each.outcome == "survived" and each.key not in explained]


def updated(
    scores: Mapping[str, Any], results: Sequence[Result], conditions: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the scores with `results` in place of former ones of the same modules."""
    explained = explanations(scores)
    tried = sorted({each.module for each in results})
    modules = dict(scores["modules"])
    for module in tried:
        own = [each for each in results if each.module == module]
        count = {
            kind: sum(each.outcome == kind for each in own) for kind in ("killed", "timeout", "survived")
        }
        modules[module] = {"tried": len(own), **count, **conditions}
    kept = [each for each in scores["survivors"] if each["module"] not in tried]
    survivors = [
        {
            **{"module": each.module, "function": each.function, "line": each.line, "change": each.change},
            "explanation": explained.get(each.key, ""),
        }
        for each in results
        if each.outcome == "survived"
    ]
    ordered = sorted([*kept, *survivors], key=lambda each: (each["module"], each["line"], each["change"]))
    return {"modules": dict(sorted(modules.items())), "survivors": ordered}


def updated_survivors(
    scores: Mapping[str, Any], results: Sequence[Result], conditions: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the scores without the former survivors that tests find now."""
    modules = {name: dict(module) for name, module in scores["modules"].items()}
    found = {each.key for each in results if each.outcome != "survived"}
    for each in results:
        if each.key in found:
            modules[each.module]["survived"] -= 1
            modules[each.module][each.outcome] += 1
            modules[each.module]["date"] = conditions["date"]
    survivors = [
        each
        for each in scores["survivors"]
        if (each["module"], each["function"], each["change"]) not in found
    ]
    return {"modules": modules, "survivors": survivors}


def write(path: Path, scores: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(scores, indent=2, ensure_ascii=False) + "\n")
