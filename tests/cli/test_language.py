"""The texts that users read have none of the wordings that were hard to understand.

These are the help of both programs, hints and errors, the README, the other documents and the man pages.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from devlxdctl.cli.commands.help import SIGNALS, STATUSES
from devlxdctl.http import endpoints
from devlxdctl.http.endpoints import DEFAULT_HINTS, Endpoint
from tests.cli.command_tree import ALL
from tests.support.program import REPOSITORY

UNCLEAR = (
    "after so many",
    "and no value",
    "another SHA-256",
    "as it came",
    "at hand",
    "be that ever",
    "bears",
    "borne",
    "brings nothing",
    "characters that no token has",
    "closed unanswered",
    "cut short",
    "does not speak HTTP",
    "end after so long",
    "find out what does not work",
    "for a whole one",
    "has forgotten",
    "has the answer or nothing",
    "holds characters",
    "is none",
    "is not whole",
    "is told",
    "keep trying for so long",
    "look so often",
    "nobody knows",
    "none is one",
    "reader that went away",
    "shall not",
    "show all that can be read",
    "so be it",
    "so long",
    "so often",
    "something holds",
    "stands between",
    "stands for",
    "tell it",
    "tell on stderr",
    "the word that",
    "what answers there",
    "what stands for",
    "whatever becomes",
    "which the standard library takes",
    "whose head is whole",
)
"""Phrases of version 0.1.0, without regard to case and line ends."""

ENDPOINTS = [value for value in vars(endpoints).values() if isinstance(value, Endpoint)]
DOCUMENTS = [
    path.relative_to(REPOSITORY)
    for pattern in ("*.md", "docs/**/*.md", "man/*")
    for path in sorted(REPOSITORY.glob(pattern))
]
MODULES = [path.relative_to(REPOSITORY) for path in sorted(REPOSITORY.glob("devlxdctl/**/*.py"))]


def unclear_phrases(text: str) -> list[str]:
    """Return the phrases of `UNCLEAR` that are in `text`, as whole words."""
    words = " ".join(text.split())
    return [phrase for phrase in UNCLEAR if re.search(rf"(?<!\w){phrase}(?!\w)", words, re.IGNORECASE)]


def help_texts(command: click.Command) -> Iterator[str]:
    """Yield the texts in the help of a command."""
    yield from filter(None, (command.help, command.epilog))
    for param in command.params:
        if isinstance(param, click.Option) and param.help:
            yield param.help


def texts_in_code(path: Path) -> Iterator[str]:
    """Yield the strings of a module that are not docstrings."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A restart is\n  borne for ten seconds.", ["borne"]),
        ("Nobody knows, SO BE\tIT.", ["nobody knows", "so be it"]),
        ("The airborne bear is nonexistent.", []),
    ],
)
def test_unclear_phrases_are_found_as_whole_words(text: str, found: list[str]) -> None:
    assert unclear_phrases(text) == found


@pytest.mark.parametrize("name", ALL)
def test_help_has_no_unclear_phrase(name: str) -> None:
    assert [phrase for text in help_texts(ALL[name]) for phrase in unclear_phrases(text)] == []


def test_hints_of_endpoints_have_no_unclear_phrase() -> None:
    assert len(ENDPOINTS) >= 12
    texts = [*DEFAULT_HINTS.values(), *(text for each in ENDPOINTS for text in each.hints.values())]
    texts += [endpoint.missing for endpoint in ENDPOINTS]
    assert unclear_phrases("\n".join(texts)) == []


def test_exit_statuses_have_no_unclear_phrase() -> None:
    assert unclear_phrases("\n".join([*STATUSES.values(), SIGNALS])) == []


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_texts_in_code_have_no_unclear_phrase(module: Path) -> None:
    """Errors, checks and log messages: all strings but docstrings."""
    assert [phrase for text in texts_in_code(REPOSITORY / module) for phrase in unclear_phrases(text)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_document_has_no_unclear_phrase(path: Path) -> None:
    text = (REPOSITORY / path).read_text()
    # In man pages, \- is a dash, and escapes such as \fB select a font.
    plain = re.sub(r"\\f[BIR]", "", text.replace(r"\-", "-"))
    assert unclear_phrases(plain) == []
