"""The lists of tests for mutation testing: a renamed test must not drop out of them without a sign."""

from __future__ import annotations

import ast

import pytest

from tests.mutants.modules import TESTS
from tests.support.program import REPOSITORY


@pytest.mark.parametrize("name", sorted({test for tests in TESTS.values() for test in tests}))
def test_listed_test_exists(name: str) -> None:
    path, _, test = name.partition("::")
    if not test:
        assert (REPOSITORY / path).exists()
        return
    defined = {
        node.name
        for node in ast.walk(ast.parse((REPOSITORY / path).read_text()))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    assert test.partition("[")[0] in defined


@pytest.mark.parametrize("module", TESTS)
def test_listed_module_exists(module: str) -> None:
    assert (REPOSITORY / module).exists()
