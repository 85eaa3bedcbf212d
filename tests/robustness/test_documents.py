"""JSON of any shape at every endpoint: an answer or an error, one line, and never what is no JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devlxdctl import Client, DevLXDError
from devlxdctl.cli.commands.events import _event_line
from devlxdctl.cli.output.render import Document, Line, compact_json, format_output
from devlxdctl.events.stream import Event, Gap
from devlxdctl.events.watch import Everything, PendingKeys, Source
from tests.hostile.hosts import Once
from tests.support.program import run
from tests.support.raw_host import response

COMMANDS = {
    "versions": ("/", ["versions"]),
    "state": ("/1.0", ["state"]),
    "keys": ("/1.0/config", ["config", "ls"]),
    "devices": ("/1.0/devices", ["devices"]),
    "pro": ("/1.0/ubuntu-pro", ["pro", "status"]),
    "ready": ("/1.0", ["ready", "--check"]),
}
DOCUMENTS = {
    "null": b"null",
    "a number": b"5",
    "a string": b'"x"',
    "lists in a list": b"[[]]",
    "null in a list": b"[null]",
    "a deep list": b"[" * 900 + b"]" * 900,
    "a deep object": b'{"a":' * 900 + b"1" + b"}" * 900,
    "a number of many digits": b'{"a":%s}' % (b"9" * 5000),
    "a number without end": b'{"a":1e999}',
    "NaN": b'{"a":NaN}',
    "half a pair": rb'{"a":"\ud800"}',
    "half a pair in a key": rb'["/1.0/config/user.\ud800"]',
    "a NUL": rb'{"state":"\u0000"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":"b"}'.encode("utf-16"),
    "odd types": b'{"state":5,"location":[],"auth":{},"type":null,"config":3}',
    "more than one": b"{}{}",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_answer_is_one_line(command: str, short: Path) -> None:
    """In one line, with a status that the program has; what is shown as JSON can be read as such."""
    _, argv = COMMANDS[command]
    documents = iter(DOCUMENTS.items())
    name = ""

    def script(request: bytes) -> bytes:
        return response(DOCUMENTS[name])

    with Once(short / "sock", script) as host:
        for name, _ in documents:
            result = run("--wait", "0", "-f", "json", *argv, socket=host.path)
            assert result.status in (0, 1, 3, 6), (name, result)
            lines = result.stderr.decode().splitlines()
            assert all(line.startswith(("devlxdctl: ", "hint: ")) for line in lines), (name, result)
            if result.status == 0 and command != "ready":
                json.loads(result.stdout, parse_constant=pytest.fail)
            else:
                assert result.stdout == b"", (name, result)


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees)
def test_any_document_is_an_answer_or_an_error(tree: Any, short: Path) -> None:
    """For each method of the client; the document is refused where it is no JSON."""
    path = short / "sock"
    path.unlink(missing_ok=True)
    with Once(path, response(json.dumps(tree).encode())), Client(path, wait=0) as client:
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
                shown = compact_json(method()).encode("utf-8")
            except DevLXDError as error:
                assert error.exit_status != 0
            else:
                json.loads(shown, parse_constant=pytest.fail)


texts = (
    st.builds(json.dumps, trees)
    | st.text()
    | st.sampled_from([d.decode("latin-1") for d in DOCUMENTS.values()])
)
events = texts | st.builds(
    lambda kind, metadata: json.dumps({"type": kind, "metadata": metadata, "timestamp": kind}), trees, trees
)


@settings(deadline=None)
@given(events)
def test_any_event_is_a_line(text: str) -> None:
    line = _event_line(Event(text))
    assert isinstance(line, Line) and all(isinstance(cell, str) for cell in line.cells)
    assert "\n" not in line.json


@settings(deadline=None)
@given(st.lists(events.map(Event) | st.just(Gap(1.0)), max_size=5))
def test_any_event_is_a_hint_or_a_reason_to_read_everything(items: list[Event | Gap]) -> None:
    hints: PendingKeys[str] = PendingKeys(Source("config", "key", lambda key: True, lambda wanted: {}))
    for item in items:
        hints.put(item)
    while (found := hints.take()) is not None:
        assert isinstance(found, Everything) or all(isinstance(key, str) for key in found)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("depth", [1, 100, 500, 2_000, 50_000])
def test_a_deep_document_is_shown_or_refused(depth: int, terminal: bool) -> None:
    """Indented it takes more of the stack than it took to read: how much differs between Pythons."""
    tree: object = 1
    for _ in range(depth):
        tree = {"a": tree}
    try:
        shown = format_output(Document(tree), as_json=True, terminal=terminal)
    except DevLXDError as error:
        assert depth > 500
        assert str(error) == "JSON: the host's answer is nested too deeply to be shown"
    else:
        assert b"".join(shown.split()) == b'{"a":' * depth + b"1" + b"}" * depth
