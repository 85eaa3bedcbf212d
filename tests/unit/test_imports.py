"""The layers of the package: imports point from the command line to the library to HTTP, in no circle.

Imports are read from the source: those inside functions count, those for type checkers do not.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import devlxdctl

PACKAGE = Path(devlxdctl.__file__).parent
NAMED_TUPLE_METHODS = ("_asdict", "_fields", "_replace")
"""Documented for users, although they begin with an underscore."""


class Import(NamedTuple):
    """One imported name: `from module import name`, or `import module` with the name ""."""

    module: str
    name: str


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {
    module_name(path): ast.parse(path.read_text(encoding="utf-8"), str(path))
    for path in sorted(PACKAGE.rglob("*.py"))
}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def walk_at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below `node`, without the blocks for type checkers."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            assert isinstance(child, ast.If) and not child.orelse
            continue
        yield child
        yield from walk_at_run_time(child)


def imports_of(module: str, *, with_types: bool = False) -> set[Import]:
    """The imports of the package itself in `module`."""
    tree = TREES[module]
    found: set[Import] = set()
    for node in ast.walk(tree) if with_types else walk_at_run_time(tree):
        if isinstance(node, ast.Import):
            found |= {Import(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, f"relative import in {module}"
            found |= {Import(node.module, alias.name) for alias in node.names}
    return {each for each in found if each.module.split(".")[0] == "devlxdctl"}


def imported_modules(module: str) -> set[str]:
    """The modules of the package that `module` imports at run time, itself left out."""
    found = set()
    for imported in imports_of(module):
        if f"{imported.module}.{imported.name}" in TREES:
            found.add(f"{imported.module}.{imported.name}")
        elif imported.module == "devlxdctl" and imported.name:
            found.add(home_of(imported.name))
        else:
            found.add(imported.module)
    return found - {module}


def home_of(name: str) -> str:
    """The module whose `__all__` has the public name `name`."""
    if name == "__version__":
        return "devlxdctl._version"
    homes = [module for module in public_modules() if name in importlib.import_module(module).__all__]
    assert len(homes) == 1, (name, homes)
    return homes[0]


def public_modules() -> list[str]:
    return [f"devlxdctl.{module}" for module in devlxdctl._PUBLIC_MODULES]


def modules_in(package: str) -> list[str]:
    return [module for module in TREES if module == package or module.startswith(f"{package}.")]


def is_below(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("module", modules_in("devlxdctl.cli"))
def test_command_line_imports_public_names_of_the_library_only(module: str) -> None:
    for imported in imports_of(module, with_types=True):
        if imported.module == "devlxdctl":
            assert imported.name in dir(devlxdctl), imported
        else:
            assert is_below(imported.module, ("devlxdctl.cli",)), imported


@pytest.mark.parametrize("module", modules_in("devlxdctl.cli"))
def test_command_line_accesses_private_attributes_of_self_only(module: str) -> None:
    for node in ast.walk(TREES[module]):
        if not isinstance(node, ast.Attribute) or not node.attr.startswith("_") or node.attr.endswith("__"):
            continue
        if node.attr in NAMED_TUPLE_METHODS:
            continue
        owner = node.value
        assert isinstance(owner, ast.Name) and owner.id in ("self", "cls"), ast.unparse(node)


@pytest.mark.parametrize("module", modules_in("devlxdctl.cli.commands"))
def test_commands_do_not_import_each_other(module: str) -> None:
    for imported in imports_of(module, with_types=True):
        assert imported.module == "devlxdctl" or is_below(imported.module, ("devlxdctl.cli",)), imported
        assert not is_below(imported.module, ("devlxdctl.cli.commands",)), imported


@pytest.mark.parametrize(
    "module",
    [module for module in TREES if not is_below(module, ("devlxdctl.cli", "devlxdctl.__main__"))],
)
def test_library_and_simulator_do_not_import_the_command_line(module: str) -> None:
    found = {each for each in imported_modules(module) if is_below(each, ("devlxdctl.cli",))}
    # The simulator has a command line of its own, with completion scripts in the same form.
    allowed = {"devlxdctl.cli.completion.shells"} if is_below(module, ("devlxdctl.simulator",)) else set()
    assert found <= allowed


@pytest.mark.parametrize("module", modules_in("devlxdctl.http"))
def test_http_does_not_import_what_is_above_it(module: str) -> None:
    below = ("devlxdctl.http", "devlxdctl.errors", "devlxdctl.guest", "devlxdctl._version")
    assert {each for each in imported_modules(module) if not is_below(each, below)} == set()


def test_errors_import_nothing_of_the_package() -> None:
    assert imports_of("devlxdctl.errors", with_types=True) == set()


def test_simulator_is_imported_by_the_testing_package_only() -> None:
    importers = {
        module
        for module in TREES
        if any(
            is_below(each.module, ("devlxdctl.simulator",)) for each in imports_of(module, with_types=True)
        )
    }
    assert {
        module for module in importers if not is_below(module, ("devlxdctl.simulator", "devlxdctl.testing"))
    } == set()


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph = {module: imported_modules(module) for module in TREES}
    # `devlxdctl` itself imports its modules by name, on first use.
    assert graph["devlxdctl"] == {"devlxdctl._version"}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert order.index("devlxdctl.errors") < order.index("devlxdctl.http.session")
    assert order.index("devlxdctl.http.session") < order.index("devlxdctl.client")
    assert order.index("devlxdctl.client") < order.index("devlxdctl.cli")
