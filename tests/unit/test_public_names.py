"""The public names of the package: each in one list, exported, documented and visible to type checkers."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import typing
from collections import Counter
from pathlib import Path

import pytest

import devlxdctl

LIBRARY = sorted(
    module.name
    for module in pkgutil.walk_packages(devlxdctl.__path__, "devlxdctl.")
    if module.name.split(".")[1] not in ("__main__", "cli", "simulator", "testing")
)
NAMES_BY_MODULE: dict[str, list[str]] = {
    module: list(names)
    for module in LIBRARY
    if (names := getattr(importlib.import_module(module), "__all__", None)) is not None
}
# Python 3.10 takes aliases of types, such as `dict[str, str]`, for classes.
CLASSES = {
    name: each
    for name in dir(devlxdctl)
    if inspect.isclass(each := getattr(devlxdctl, name)) and typing.get_origin(each) is None
}
FUNCTIONS = {name: each for name in dir(devlxdctl) if inspect.isfunction(each := getattr(devlxdctl, name))}


def methods_of(cls: type) -> dict[str, object]:
    """The public methods and properties that `cls` itself defines."""
    return {
        name: each
        for name, each in vars(cls).items()
        if not name.startswith("_")
        and (inspect.isfunction(each) or isinstance(each, (property, classmethod, staticmethod)))
    }


def test_dir_lists_the_public_names_of_all_modules_and_the_version() -> None:
    names = [name for names in NAMES_BY_MODULE.values() for name in names]
    assert dir(devlxdctl) == sorted([*names, "__version__"])
    assert len(names) > 30


def test_each_public_name_is_in_one_list_only() -> None:
    counted = Counter(name for names in NAMES_BY_MODULE.values() for name in names)
    assert [name for name, number in counted.items() if number > 1] == []


def test_each_public_name_can_be_imported_and_is_that_of_its_module() -> None:
    for module, names in NAMES_BY_MODULE.items():
        for name in names:
            assert getattr(devlxdctl, name) is getattr(importlib.import_module(module), name)


def test_each_class_and_function_is_public_in_the_module_that_defines_it() -> None:
    for name, each in {**CLASSES, **FUNCTIONS}.items():
        assert name in NAMES_BY_MODULE[each.__module__]


def test_other_names_are_attribute_errors() -> None:
    for name in ("missing", "_missing", "__path_", "os"):
        with pytest.raises(AttributeError, match=f"module 'devlxdctl' has no attribute '{name}'"):
            getattr(devlxdctl, name)


@pytest.mark.parametrize("name", [*CLASSES, *FUNCTIONS])
def test_public_class_or_function_has_a_docstring(name: str) -> None:
    text = getattr(devlxdctl, name).__doc__
    assert text
    # That is the docstring that dataclasses and named tuples make of their fields.
    assert not text.startswith(f"{name}(")


@pytest.mark.parametrize("name", CLASSES)
def test_public_methods_have_docstrings(name: str) -> None:
    undocumented = [
        method for method, each in methods_of(CLASSES[name]).items() if not getattr(each, "__doc__", None)
    ]
    assert undocumented == []


def test_type_checkers_see_the_same_modules() -> None:
    tree = ast.parse(Path(devlxdctl.__file__).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    assert [ast.unparse(block.test) for block in blocks] == ["TYPE_CHECKING"]
    imported = [node for node in blocks[0].body if isinstance(node, ast.ImportFrom)]
    assert all([alias.name for alias in node.names] == ["*"] for node in imported)
    assert {node.module for node in imported} == set(NAMES_BY_MODULE)
