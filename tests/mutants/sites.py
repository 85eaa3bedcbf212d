"""Where the code can be changed, and the choice of a sample of these places."""

from __future__ import annotations

import ast
import difflib
import importlib
import random
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.mutants.operators import Provider

# By name, since mypy runs without this extra.
commands: Any = importlib.import_module("cosmic_ray.commands")
plugins: Any = importlib.import_module("cosmic_ray.plugins")
mutating: Any = importlib.import_module("cosmic_ray.mutating")
work_db: Any = importlib.import_module("cosmic_ray.work_db")

plugins.OPERATOR_PROVIDERS["project"] = Provider()

Mutation = Any
"""A `MutationSpec` of cosmic-ray."""

_VARIANT = re.compile(r"_.*")


def sample(root: Path, modules: Sequence[str], size: int | None, seed: int) -> dict[str, list[Mutation]]:
    """Return the changes to try, by module: `size` in all, spread over the modules by their number of places.

    At each place, one of the changes of a kind is chosen: an addition can become ten other operations, and
    they would outweigh the rest. The same code and seed give the same sample. Without `size`, all places.
    """
    chooser = random.Random(seed)
    places = [
        (module, chooser.choice(variants)) for module in modules for variants in _variants(root, module)
    ]
    if size is not None and size < len(places):
        places = chooser.sample(places, size)
    chosen: defaultdict[str, list[Mutation]] = defaultdict(list)
    for module, mutation in places:
        chosen[module].append(mutation)
    return {module: sorted(chosen[module], key=_order) for module in modules if chosen[module]}


def change_of(mutation: Mutation) -> str:
    """What a change removes and adds, without the indentation."""
    source = mutation.module_path.read_text()
    operator = plugins.get_operator(mutation.operator_name)()
    changed = mutating.mutate_code(source, operator, mutation.occurrence) or source
    lines = difflib.unified_diff(source.splitlines(), changed.splitlines(), lineterm="", n=0)
    return "\n".join(
        f"{line[0]} {line[1:].strip()}" for line in lines if not re.match(r"---|\+\+\+|@@", line)
    )


def _order(mutation: Mutation) -> tuple[Any, ...]:
    return mutation.start_pos, mutation.end_pos, mutation.operator_name, mutation.occurrence


def _variants(root: Path, module: str) -> list[list[Mutation]]:
    """The possible changes of a module, grouped by place and kind."""
    source = (root / module).read_text()
    ignored = list(_ignored_ranges(source))
    groups: defaultdict[tuple[Any, ...], list[Mutation]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory, work_db.use_db(Path(directory, "session")) as database:
        commands.init([root / module], database, {})
        found = sorted((mutation for item in database.work_items for mutation in item.mutations), key=_order)
    for mutation in found:
        if not any(start <= mutation.start_pos < end for start, end in ignored):
            kind = _VARIANT.sub("", mutation.operator_name)
            groups[mutation.start_pos, mutation.end_pos, kind].append(mutation)
    return [groups[key] for key in sorted(groups)]


def _ignored_ranges(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where a change has no effect: in annotations, and in what is for type checkers only.

    Also the sizes and times at the top of a module, which could as well be larger by one.
    """
    for node in ast.walk(ast.parse(source)):
        annotations = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            annotations.append(node.test)
        for each in annotations:
            if isinstance(each, ast.expr):
                yield _range(each)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and _is_type(node):
            yield _range(node.value)
        if isinstance(node, ast.AnnAssign) and node.value is not None and _is_number(node):
            yield _range(node.value)


def _range(node: ast.expr) -> tuple[tuple[int, int], tuple[int, int]]:
    assert node.end_lineno is not None and node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def _is_number(node: ast.AnnAssign) -> bool:
    """Whether this defines a constant by numbers alone."""
    parts = ast.walk(node.value) if node.value is not None else ()
    numbers = (ast.BinOp, ast.operator, ast.Constant)
    return ast.unparse(node.annotation) == "Final" and all(isinstance(each, numbers) for each in parts)


def _is_type(node: ast.Assign) -> bool:
    """Whether this assigns an alias of a type: its name is in mixed case."""
    return all(
        isinstance(each, ast.Name) and not each.id.isupper() and each.id[0].isupper() for each in node.targets
    )
