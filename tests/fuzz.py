"""`python -m tests.fuzz SECONDS`: a coverage-guided fuzzer for everything that parses what a host sends.

Needs the extra `fuzz`. It begins with the inputs in `tests/fuzz_corpus`. It fails at any exception other than
a `DevLXDError`, at an input that takes 20 seconds, and at more than 2 GiB of memory. It then writes the input
to a file `build/fuzz-…`. Each finding becomes a test.

With `--record`, the inputs of this run that reach more code are added to `tests/fuzz_corpus`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shlex
import socket
import subprocess
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

FUZZER = "--fuzzer"
CORPUS = Path(__file__).with_name("fuzz_corpus")
FINDINGS = Path(__file__).resolve().parents[1] / "build" / "fuzz-"
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


def write_seeds(corpus: Path) -> None:
    for number, seeds in enumerate(SEEDS):
        for index, seed in enumerate(seeds):
            (corpus / f"{number}-{index}").write_bytes(bytes([number]) + seed)


def run_fuzzer(directory: str, *arguments: str) -> int:
    """Run the fuzzer in a process of its own, which it ends itself, and return its exit status.

    `directory` is for its temporary files.
    """
    argv = [sys.executable, "-m", __spec__.name, FUZZER, *arguments]
    return subprocess.run(argv, env={**os.environ, "TMPDIR": directory}, check=False).returncode


def main() -> None:
    if sys.argv[1:2] == [FUZZER]:
        # To merge, the fuzzer starts itself by a shell command that begins with its name.
        name = shlex.join([sys.executable, "-m", __spec__.name, FUZZER])
        atheris.Setup([name, *sys.argv[2:]], fuzz_one)
        atheris.Fuzz()
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("seconds", nargs="?", type=int, default=60, help="how long to fuzz (60)")
    parser.add_argument("--seed", type=int, default=0, help="start of the random numbers; 0 for any (0)")
    parser.add_argument("--record", action="store_true", help=f"add new inputs to {CORPUS}")
    options = parser.parse_args()
    FINDINGS.parent.mkdir(exist_ok=True)
    CORPUS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dx") as directory:
        found = Path(directory, "found")
        found.mkdir()
        write_seeds(found)
        limits = (
            f"-max_total_time={options.seconds}",
            f"-seed={options.seed}",
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-max_len=4096",
        )
        output = ("-print_final_stats=1", f"-artifact_prefix={FINDINGS}")
        status = run_fuzzer(directory, *limits, *output, str(found), str(CORPUS))
        if status != 0:
            sys.exit(f"fuzz: failed with status {status}; the input is in {FINDINGS}…")
        if options.record:
            sys.exit(run_fuzzer(directory, "-merge=1", "-max_len=512", str(CORPUS), str(found)))


if __name__ == "__main__":
    main()
