"""`python -m tests.fuzz SECONDS`: a coverage-guided fuzzer for everything that parses what a host sends.

Needs the extra `fuzz`. Ends with an error on any exception other than a `DevLXDError`, and writes the input
to a file in the current directory. Each finding becomes a test.
"""

from __future__ import annotations

import importlib
import json
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

atheris: Any = importlib.import_module("atheris")  # by name, since mypy runs without this extra

with atheris.instrument_imports(include=["devlxdctl", "http.client", "multipart"]):
    from urllib3 import HTTPHeaderDict
    from urllib3 import HTTPResponse as LibraryResponse

    from devlxdctl.atomic_files import safe_file_name
    from devlxdctl.cli.commands.events import _event_line
    from devlxdctl.cli.output.render import Table, compact_json, tab_separated
    from devlxdctl.cli.output.stdio import escape
    from devlxdctl.config.environment import environment_variables, format_assignments
    from devlxdctl.errors import DevLXDError
    from devlxdctl.events.stream import Event
    from devlxdctl.events.watch import PendingKeys, Source
    from devlxdctl.http.endpoints import CONFIG_KEY
    from devlxdctl.http.error_mapping import error_from_exception, error_from_status
    from devlxdctl.http.limits import LimitedResponse, LimitedSocket
    from devlxdctl.http.messages import Request, Response, parse_strict_json
    from devlxdctl.http.streaming import StreamedResponse
    from devlxdctl.images.multipart import file_name, split_parts

REQUEST = Request("GET", "/1.0/config/user.a", CONFIG_KEY, object="user.a")
READ_TIMEOUT = 15.0


class ServedSocket:
    """A listening socket whose connections get the given bytes, then the end of the stream."""

    def __init__(self, directory: str) -> None:
        self.path = str(Path(directory) / "sock")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)

    def connect(self, data: bytes) -> LimitedSocket:
        client = LimitedSocket()
        client.connect(self.path)
        server, _ = self._listener.accept()

        def send() -> None:
            with server:
                try:
                    server.sendall(data)
                except OSError:  # the client has rejected the response
                    return

        threading.Thread(target=send).start()
        return client


SERVED = ServedSocket(tempfile.mkdtemp(prefix="devlxdctl-fuzz-"))


def streamed_response(data: bytes) -> StreamedResponse:
    """Return the response in `data`, read as a session reads it."""
    connection = SERVED.connect(data)
    try:
        low = LimitedResponse(connection, method="GET")
        low.begin()
    except Exception as error:
        connection.close()
        raise error_from_exception(error, SERVED.path, CONFIG_KEY, READ_TIMEOUT) from error
    connection.close()  # the response keeps it open until it is closed
    response = LibraryResponse(
        low,
        HTTPHeaderDict(low.msg.items()),
        low.status,
        preload_content=False,
        original_response=low,
        request_method="GET",
    )
    return StreamedResponse(response, REQUEST, SERVED.path, READ_TIMEOUT)


def fuzz_response(data: bytes) -> None:
    with streamed_response(data) as found:
        body = found.read()
        if found.status != 200:
            response = Response(found.status, found.media_type, body)
            raise error_from_status(response, REQUEST, SERVED.path, None)


def fuzz_document(data: bytes) -> None:
    try:
        document = parse_strict_json(data)
    except (ValueError, RecursionError):
        return
    assert parse_strict_json(compact_json(document).encode()) == document


def fuzz_event(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape").rstrip("\n")
    _event_line(Event(text))
    pending = PendingKeys(Source[str]("config", "key", lambda key: True, dict, lambda wanted: ()))
    pending.put(Event(text))
    pending.take()


def fuzz_image(data: bytes) -> None:
    with streamed_response(b"HTTP/1.1 200 OK\r\n" + data) as found:
        for _ in split_parts(found, "image", 4096):
            continue


def fuzz_file_name(data: bytes) -> None:
    name = safe_file_name(file_name(data.decode("latin-1")), "default")
    assert "/" not in name and "\0" not in name and not name.startswith((".", "-")) and name


def fuzz_value(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    format_assignments(environment_variables({f"user.{text}": text})).encode("utf-8", "surrogateescape")
    escape(text).encode()
    tab_separated(Table(None, ("A",), [[text]])).encode()
    json.loads(compact_json({text: text}))


TARGETS = (fuzz_response, fuzz_document, fuzz_event, fuzz_image, fuzz_file_name, fuzz_value)
SEEDS = (
    (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n"
        b'{"error":"x"}',
    ),
    (b'{"type":"config","metadata":{"key":"user.a","value":"b"}}',),
    (b'{"type":"config","metadata":{"key":"user.a","value":"b"}}',),
    (
        b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 99\r\n\r\n--x\r\n"
        b'Content-Disposition: form-data; name="metadata"; filename="m"\r\n\r\nabc\r\n--x--\r\n',
    ),
    (b'inline;filename="a b"',),
    (b"a'b\\\n\x1b",),
)
"""Valid inputs of each target."""


def fuzz_one(data: bytes) -> None:
    """Pass one input to a target. Its first byte selects the target."""
    if not data:
        return
    try:
        TARGETS[data[0] % len(TARGETS)](data[1:])
    except DevLXDError:
        return


def main() -> None:
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    with tempfile.TemporaryDirectory() as corpus:
        for number, seeds in enumerate(SEEDS):
            for index, seed in enumerate(seeds):
                Path(corpus, f"{number}-{index}").write_bytes(bytes([number]) + seed)
        # The fuzzer ends this process itself.
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-print_final_stats=1", corpus], fuzz_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
