"""JSON of any shape in responses and events: a result or one line of error, and output that is valid JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devlxdctl import Client, DevLXDError, Event, Gap
from devlxdctl.cli.commands.events import _event_line
from devlxdctl.cli.output.render import Document, Line, compact_json, format_output
from devlxdctl.events.watch import Everything, PendingKeys, Source
from tests.support.faulty_hosts import ClosingHost
from tests.support.program import run
from tests.support.raw_host import response

COMMANDS = {
    "versions": ["versions"],
    "state": ["state"],
    "config ls": ["config", "ls"],
    "devices": ["devices"],
    "pro status": ["pro", "status"],
    "ready --check": ["ready", "--check"],
}
DOCUMENTS = {
    "null": b"null",
    "number": b"5",
    "string": b'"x"',
    "list in a list": b"[[]]",
    "null in a list": b"[null]",
    "deep list": b"[" * 900 + b"]" * 900,
    "deep object": b'{"a":' * 900 + b"1" + b"}" * 900,
    "number of 5000 digits": b'{"a":%s}' % (b"9" * 5000),
    "number that overflows": b'{"a":1e999}',
    "NaN": b'{"a":NaN}',
    "single surrogate": rb'{"a":"\ud800"}',
    "single surrogate in a key": rb'["/1.0/config/user.\ud800"]',
    "NUL": rb'{"state":"\u0000"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":"b"}'.encode("utf-16"),
    "unexpected types": b'{"state":5,"location":[],"auth":{},"type":null,"config":3}',
    "two documents": b"{}{}",
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_command_prints_valid_json_or_one_error(command: str, name: str, socket_directory: Path) -> None:
    with ClosingHost(socket_directory / "sock", response(DOCUMENTS[name])) as raw_host:
        result = run("--wait", "0", "-f", "json", *COMMANDS[command], socket=raw_host.path)
    assert result.status in (0, 1, 3, 6)
    lines = result.stderr.decode().splitlines()
    assert all(line.startswith(("devlxdctl: ", "hint: ")) for line in lines), result
    if result.status == 0 and command != "ready --check":
        json.loads(result.stdout, parse_constant=pytest.fail)
    else:
        assert result.stdout == b""


json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=json_trees)
def test_every_method_returns_valid_json_or_raises_an_error(tree: Any, socket_directory: Path) -> None:
    path = socket_directory / "sock"
    path.unlink(missing_ok=True)
    with ClosingHost(path, response(json.dumps(tree).encode())), Client(path, wait=0) as client:
        for method in (
            client.versions,
            client.state,
            client.is_ready,
            client.config_keys,
            client.devices,
            client.pro_status,
            client.pro_token,
        ):
            try:
                text = compact_json(method()).encode("utf-8")
            except DevLXDError as error:
                assert error.exit_status != 0
            else:
                json.loads(text, parse_constant=pytest.fail)


event_texts = (
    st.builds(json.dumps, json_trees)
    | st.text()
    | st.sampled_from([document.decode("latin-1") for document in DOCUMENTS.values()])
    | st.builds(
        lambda kind, metadata: json.dumps({"type": kind, "metadata": metadata, "timestamp": kind}),
        json_trees,
        json_trees,
    )
)


@settings(deadline=None)
@given(event_texts)
def test_any_event_is_printed_as_one_line(text: str) -> None:
    line = _event_line(Event(text))
    assert isinstance(line, Line) and line.cells is not None
    assert all(isinstance(cell, str) for cell in line.cells())
    assert "\n" not in line.json()
    line.json().encode("utf-8")


@settings(deadline=None)
@given(st.lists(event_texts.map(Event) | st.just(Gap(1.0)), max_size=5))
def test_any_event_names_keys_or_requires_a_full_read(items: list[Event | Gap]) -> None:
    pending = PendingKeys(Source[str]("config", "key", lambda key: True, dict, lambda wanted: ()))
    for item in items:
        pending.put(item)
    while (found := pending.take()) is not None:
        assert isinstance(found, Everything) or all(isinstance(key, str) for key in found)


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("depth", [1, 100, 500, 2_000, 50_000])
def test_deeply_nested_document_is_printed_or_an_error(depth: int, is_terminal: bool) -> None:
    """Indenting takes more of the stack than parsing: how much depends on the version of Python."""
    tree: object = 1
    for _ in range(depth):
        tree = {"a": tree}
    try:
        text = format_output(Document(tree), as_json=True, is_terminal=is_terminal)
    except DevLXDError as error:
        assert depth > 500
        assert str(error) == "JSON: nested too deeply to be printed"
    else:
        assert b"".join(text.split()) == b'{"a":' * depth + b"1" + b"}" * depth
