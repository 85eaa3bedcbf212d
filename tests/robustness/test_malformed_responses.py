"""Responses that no host should send: each is one error, at once, and never another value."""

from __future__ import annotations

from pathlib import Path

import pytest

from devlxdctl import DevLXDError
from tests.support.faulty_hosts import ClosingHost, client_of
from tests.support.program import Result, run
from tests.support.raw_host import OCTET_STREAM, chunked_response, response

VALUE = b"0123456789"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
NOT_HTTP = "not an HTTP server"
TRUNCATED = "truncated response"
NO_LENGTH = "response without Content-Length"

MALFORMED = {
    "neither length nor chunks": (HEAD + b"\r\n" + VALUE, NO_LENGTH),
    "negative length": (HEAD + b"Content-Length: -10\r\n\r\n" + VALUE, NOT_HTTP),
    "length with underscore": (HEAD + b"Content-Length: 1_0\r\n\r\n" + VALUE, NOT_HTTP),
    "length with plus sign": (HEAD + b"Content-Length: +10\r\n\r\n" + VALUE, NOT_HTTP),
    "empty length": (HEAD + b"Content-Length:\r\n\r\n" + VALUE, NOT_HTTP),
    "length of exabytes": (HEAD + b"Content-Length: 9223372036854775807\r\n\r\n" + VALUE, NOT_HTTP),
    "length of petabytes": (HEAD + b"Content-Length: 999999999999999999\r\n\r\n" + VALUE, TRUNCATED),
    "length of 5000 digits": (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + VALUE, NOT_HTTP),
    "same length twice": (HEAD + b"Content-Length: 10\r\nContent-Length: 10\r\n\r\n" + VALUE, NO_LENGTH),
    "two lengths": (HEAD + b"Content-Length: 10\r\nContent-Length: 5\r\n\r\n" + VALUE, NOT_HTTP),
    "two lengths in one header": (HEAD + b"Content-Length: 10, 5\r\n\r\n" + VALUE, NOT_HTTP),
    "gzip transfer coding": (
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\na\r\n" + VALUE + b"\r\n0\r\n\r\n",
        NOT_HTTP,
    ),
    "identity transfer coding": (HEAD + b"Transfer-Encoding: identity\r\n\r\n" + VALUE, NOT_HTTP),
    "two transfer codings": (
        chunked_response((b"a", VALUE), extra="Transfer-Encoding: chunked\r\n"),
        NOT_HTTP,
    ),
    "negative chunk size": (chunked_response((b"-5", VALUE)), NOT_HTTP),
    "chunk size with prefix": (chunked_response((b"0xa", VALUE)), NOT_HTTP),
    "chunk size with underscore": (chunked_response((b"1_0", VALUE)), NOT_HTTP),
    "chunk size with plus sign": (chunked_response((b"+a", VALUE)), NOT_HTTP),
    "chunk size after a space": (chunked_response((b" a", VALUE)), NOT_HTTP),
    "empty chunk size": (chunked_response((b"", VALUE)), NOT_HTTP),
    "chunk of exabytes": (chunked_response((b"7fffffffffffffff", VALUE)), TRUNCATED),
    "chunk beyond 64 bits": (chunked_response((b"f" * 40, VALUE)), NOT_HTTP),
    "chunk size of 100,000 digits": (chunked_response((b"0" * 100_000 + b"a", VALUE)), NOT_HTTP),
    "chunk longer than its size": (chunked_response((b"5", VALUE)), NOT_HTTP),
    "chunk shorter than its size": (chunked_response((b"b", VALUE)), NOT_HTTP),
    "other bytes instead of the line end after a chunk": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\na\r\n" + VALUE + b"XX0\r\n\r\n",
        NOT_HTTP,
    ),
    "no line end after a chunk": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\na\r\n" + VALUE + b"0\r\n\r\n",
        NOT_HTTP,
    ),
    "201 headers": (HEAD + b"X: y\r\n" * 200 + b"Content-Length: 10\r\n\r\n" + VALUE, NOT_HTTP),
    "NUL in a header name": (HEAD + b"X\0: y\r\nContent-Length: 10\r\n\r\n" + VALUE, NOT_HTTP),
    "header without a colon": (HEAD + b"X\r\nContent-Length: 10\r\n\r\n" + VALUE, NOT_HTTP),
    "header without a name": (HEAD + b": y\r\nContent-Length: 10\r\n\r\n" + VALUE, NOT_HTTP),
    "space before the first header": (
        b"HTTP/1.1 200 OK\r\n X: y\r\nContent-Length: 10\r\n\r\n" + VALUE,
        NOT_HTTP,
    ),
    "space in a header name": (HEAD + b"X : y\r\nContent-Length: 10\r\n\r\n" + VALUE, NOT_HTTP),
    "no content type": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + VALUE,
        "unexpected content type none",
    ),
    "two content types": (
        HEAD + b"Content-Type: text/html\r\nContent-Length: 10\r\n\r\n" + VALUE,
        "unexpected content type application/octet-stream, text/html",
    ),
    "compressed": (
        chunked_response((b"a", VALUE), extra="Content-Encoding: gzip\r\n"),
        "unexpected Content-Encoding",
    ),
    "redirect": (
        response(b"", status="302 Found", extra="Location: http://127.0.0.1:9/\r\n"),
        "HTTP status 302",
    ),
    "200 NULs": (b"\0" * 200, TRUNCATED),
    "a line of text": (b"hello\r\n", NOT_HTTP),
    "HTTP/9.9": (b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n", NOT_HTTP),
    "websocket": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP status 101"),
}
"""Malformed responses to a read of a key, and the problem that is reported."""


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_response_is_an_error(name: str, socket_directory: Path) -> None:
    given, problem = MALFORMED[name]
    with client_of(socket_directory / "sock", given) as client, pytest.raises(DevLXDError) as caught:
        client.config_get("user.a")
    assert caught.value.problem.partition("; waited")[0] == problem


def test_value_longer_than_its_content_length_is_cut_at_it(socket_directory: Path) -> None:
    """What follows is no part of the response. The connection is not reused."""
    given = HEAD + b"Content-Length: 5\r\n\r\n" + VALUE
    with client_of(socket_directory / "sock", given) as client:
        assert client.config_get("user.a") == "01234"


@pytest.mark.parametrize(
    "given",
    [
        chunked_response((b"00a", VALUE)),
        chunked_response((b"a;name=value", VALUE)),
        chunked_response((b"A \t", VALUE), end=b"0\r\nTrailer: x\r\n\r\n"),
        response(VALUE, OCTET_STREAM).replace(b"\r\n", b"\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + response(VALUE, OCTET_STREAM),
        b"HTTP/1.1 200\r\n" + response(VALUE, OCTET_STREAM).partition(b"\r\n")[2],
    ],
    ids=[
        *("zeros before the size", "chunk extension", "trailer", "line feeds only"),
        *("interim responses", "no reason"),
    ],
)
def test_unusual_but_valid_response_is_read(given: bytes, socket_directory: Path) -> None:
    with client_of(socket_directory / "sock", given) as client:
        assert client.config_get("user.a") == VALUE.decode()


@pytest.mark.parametrize(
    "status", [*range(150, 600, 100), 101, 103, 201, 204, 206, 300, 304, 400, 418, 451, 500, 511, 599, 999]
)
def test_every_status_but_200_is_an_error(status: int, socket_directory: Path) -> None:
    given = response(VALUE, OCTET_STREAM, f"{status} Odd")
    with client_of(socket_directory / "sock", given) as client, pytest.raises(DevLXDError) as caught:
        client.config_get("user.a")
    assert caught.value.http_status == status


REJECTED_AT_ONCE = {
    "chunk size 0x3": chunked_response((b"0x3", b"abc"), content_type="application/json"),
    "chunk size 1_0": chunked_response((b"1_0", b"x" * 16), content_type="application/json"),
    "chunk size +3": chunked_response((b"+3", b"abc"), content_type="application/json"),
    "chunk size -3": chunked_response((b"-3", b"abc"), content_type="application/json"),
    "no line end after a chunk": JSON + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n",
    "two lengths": JSON + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "transfer coding deflate": JSON + b"Transfer-Encoding: deflate\r\n\r\n{}",
    "NUL in a header name": JSON + b"X\0Y: z\r\nContent-Length: 2\r\n\r\n{}",
}


COMMANDS = {
    "state": ["state"],
    "query": ["query", "/1.0"],
    "image export": ["image", "export", "0" * 64, "-o", "{directory}"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", REJECTED_AT_ONCE)
def test_command_rejects_ambiguous_framing_without_a_retry(
    name: str, command: str, socket_directory: Path
) -> None:
    argv = [word.format(directory=socket_directory) for word in COMMANDS[command]]
    with ClosingHost(socket_directory / "sock", REJECTED_AT_ONCE[name]) as raw_host:
        result = run(*argv, socket=raw_host.path)
    # `query` prints what it receives before the error.
    stdout = b"{}" if command == "query" and name == "no line end after a chunk" else b""
    assert result == Result(1, stdout, f"devlxdctl: {raw_host.path}: {NOT_HTTP}\n".encode())
    assert len(raw_host.requests) == 1
