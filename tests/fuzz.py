"""``python -m tests.fuzz SECONDS``: a coverage-guided fuzzer for all that reads what a host sends.

Needs the extra `fuzz`. Where anything but a `DevLXDError` comes out it ends with an error, and writes the
input into a file here. What it finds becomes a test.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
from types import SimpleNamespace
from typing import Any

atheris: Any = importlib.import_module("atheris")  # an extra that is not always there

with atheris.instrument_imports(include=["devlxdctl", "http.client", "multipart"]):
    from http.client import HTTPResponse

    import urllib3

    from devlxdctl.atomic_files import safe_file_name
    from devlxdctl.cli.commands.events import _event_line
    from devlxdctl.cli.output.render import Table, compact_json, tab_separated
    from devlxdctl.cli.output.stdio import escape
    from devlxdctl.errors import DevLXDError
    from devlxdctl.events.stream import Event
    from devlxdctl.events.watch import PendingKeys, Source
    from devlxdctl.http.error_mapping import error_from_exception, error_from_status
    from devlxdctl.http.messages import Answer, Request, parse_strict_json
    from devlxdctl.http.streaming import Stream
    from devlxdctl.images.export import _file_name, _parts

QUESTION = Request("GET", "/1.0/config/user.a", "key", key="user.a")


def stream(data: bytes, question: Request = QUESTION) -> Stream:
    """The answer with these bytes, read as a session reads it."""
    try:
        low: Any = HTTPResponse(SimpleNamespace(makefile=lambda mode: io.BytesIO(data)))  # type: ignore[arg-type]
        low.begin()
        headers = urllib3.HTTPHeaderDict(low.msg.items())
        raw = urllib3.HTTPResponse(
            low, headers, low.status, preload_content=False, original_response=low, request_method="GET"
        )
    except Exception as error:
        raise error_from_exception(error, "/sock", question.endpoint, 15) from error
    response: Any = SimpleNamespace(status_code=low.status, headers=headers, raw=raw, close=raw.close)
    return Stream(response, question, "/sock", 15)


def an_answer(data: bytes) -> None:
    found = stream(data)
    body = found.read()
    if found.status != 200:
        raise error_from_status(Answer(found.status, found.media_type, body), QUESTION, "/sock")


def a_document(data: bytes) -> None:
    try:
        document = parse_strict_json(data)
    except (ValueError, RecursionError):  # said as what they are
        return
    assert parse_strict_json(compact_json(document).encode()) == document


def an_event(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape").rstrip("\n")
    _event_line(Event(text))
    hints: PendingKeys[str] = PendingKeys(Source("config", "key", lambda key: True, lambda wanted: {}))
    hints.put(Event(text))
    hints.take()


def an_image(data: bytes) -> None:
    for _ in _parts(stream(b"HTTP/1.1 200 OK\r\n" + data, QUESTION), "image"):
        continue


def a_name(data: bytes) -> None:
    text = data.decode("latin-1")
    name = safe_file_name(_file_name(text), "otherwise")
    assert "/" not in name and "\0" not in name and not name.startswith((".", "-")) and name


def a_value(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    environment_variables({f"user.{text}": text})
    escape(text).encode()
    tab_separated(Table(None, ("A",), [[text]])).encode()
    json.loads(compact_json({text: text}))


TARGETS = (an_answer, a_document, an_event, an_image, a_name, a_value)
SEEDS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 3\r\n\r\nabc",
    b'{"type":"config","metadata":{"key":"user.a","value":"b"}}',
    b'{"type":"config","metadata":{"key":"user.a","value":"b"}}',
    b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 99\r\n\r\n--x\r\nContent-Disposition: "
    b'form-data; name="metadata"; filename="m"\r\n\r\nabc\r\n--x--\r\n',
    b'inline;filename="a b"',
    b"a'b\\\n\x1b",
)


def one(data: bytes) -> None:
    """One input: its first byte says who reads the rest."""
    if not data:
        return
    try:
        TARGETS[data[0] % len(TARGETS)](data[1:])
    except DevLXDError:
        return


def main() -> None:
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS):
            Path(corpus, str(number)).write_bytes(bytes([number]) + seed)
        # The fuzzer ends this process itself.
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-print_final_stats=1", corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
