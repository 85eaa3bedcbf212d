"""Kinds of changes that cosmic-ray does not have: calls and arguments that are left out.

They find what its own operators do not: a limit, a check or a flag that no test depends on.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, ClassVar

parso: Any = importlib.import_module("parso")  # by name, since mypy runs without this extra

Position = tuple[tuple[int, int], tuple[int, int]]

_LOG_PREFIX = "_log."


class Operator:
    """The interface of cosmic-ray for a kind of change. `mutate` returns the new node."""

    @classmethod
    def arguments(cls) -> tuple[()]:
        return ()

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        raise NotImplementedError

    def mutate(self, node: Any, index: int) -> Any:
        raise NotImplementedError


class RemoveCall(Operator):
    """Replace a statement that is only a call by `None`. Calls of the log are left as they are."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type not in ("atom_expr", "power") or node.parent.type not in ("simple_stmt", "suite"):
            return
        if not node.get_code(include_prefix=False).startswith(_LOG_PREFIX):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        return parso.python.tree.Name("None", node.start_pos, node.get_first_leaf().prefix)


class RemoveArgument(Operator):
    """Leave a keyword argument out of a call."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        yield from ((each.start_pos, each.end_pos) for each in self._arguments(node))

    def mutate(self, node: Any, index: int) -> Any:
        removed = self._arguments(node)[index]
        at = node.children.index(removed)
        end = at + 2 if len(node.children) > at + 1 and node.children[at + 1].type == "operator" else at + 1
        del node.children[at:end]
        return node

    @staticmethod
    def _arguments(node: Any) -> list[Any]:
        """The keyword arguments of a call with several arguments."""
        if node.type != "arglist" or node.parent.type != "trailer":
            return []
        return [
            each
            for each in node.children
            if each.type == "argument"
            and each.children[0].type == "name"
            and each.children[1].type == "operator"
        ]


class Provider:
    """The operators by name, as cosmic-ray looks them up."""

    _OPERATORS: ClassVar = {each.__name__: each for each in (RemoveArgument, RemoveCall)}

    def __iter__(self) -> Iterator[str]:
        return iter(self._OPERATORS)

    def __getitem__(self, name: str) -> type[Operator]:
        return self._OPERATORS[name]
