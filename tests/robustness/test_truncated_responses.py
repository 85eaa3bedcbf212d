"""A response truncated at any byte is never taken for another, complete one."""

from __future__ import annotations

from pathlib import Path

import pytest

from devlxdctl import Client, DevLXDError, HostUnavailable, TimedOut
from tests.support.faulty_hosts import ClosingHost
from tests.support.program import Result, run
from tests.support.raw_host import OCTET_STREAM, Script, chunked_response, response

VALUE = b"0123456789"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
VALUE_RESPONSE = response(VALUE, OCTET_STREAM)
CHUNKED = chunked_response((b"6", VALUE[:6]), (b"4", VALUE[6:]))
NOT_FOUND = response(b"not found\n", "text/plain; charset=utf-8", "404 Not Found")


def truncated_at_each_byte(given: bytes) -> Script:
    """Respond with nothing, then with one more byte of `given` each time, at last with all of it.

    There are no config keys: an error about one that is not set looks for similar ones.
    """
    sizes = iter(range(len(given) + 1))

    def script(request: bytes) -> bytes:
        if request.startswith(b"GET /1.0/config HTTP"):
            return response(b"[]")
        return given[: next(sizes)]

    return script


def read_each(given: bytes, path: Path) -> list[str]:
    """Read a key from each truncated response. Returns the values, or the names of the errors."""
    found = []
    with ClosingHost(path, truncated_at_each_byte(given)):
        for _ in range(len(given) + 1):
            with Client(path, wait=0) as client:
                try:
                    found.append(client.config_get("user.a"))
                except DevLXDError as error:
                    found.append(type(error).__name__)
    return found


@pytest.mark.parametrize(
    "given",
    [
        VALUE_RESPONSE,
        HEAD + b"Content-Length: 10\r\nDate: today\r\n\r\n" + VALUE,
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Type: application/octet-stream\r\n\r\n" + VALUE,
    ],
    ids=["length last", "date last", "content type last"],
)
def test_truncated_value_is_not_returned(given: bytes, socket_directory: Path) -> None:
    """A truncated head can look like a complete one with fewer headers."""
    found = read_each(given, socket_directory / "sock")
    assert found == ["TimedOut"] * len(given) + [VALUE.decode()]


def test_truncated_chunks_are_not_returned_as_a_value(socket_directory: Path) -> None:
    """The line ends after the last chunk do not matter: without them, the value is known to be complete."""
    found = read_each(CHUNKED, socket_directory / "sock")
    last = found.index(VALUE.decode())
    assert found == ["TimedOut"] * last + [VALUE.decode()] * (len(found) - last)
    assert last >= len(CHUNKED) - len(b"\r\n\r\n")


def test_truncated_404_is_not_reported_as_not_found(socket_directory: Path) -> None:
    """The status line alone does not show that a key is not set."""
    found = read_each(NOT_FOUND, socket_directory / "sock")
    assert found == ["TimedOut"] * len(NOT_FOUND) + ["NotFound"]


@pytest.mark.parametrize(
    ("given", "body"),
    [
        (VALUE_RESPONSE, VALUE),
        (CHUNKED, VALUE),
        # As a stream of events without a websocket: it ends with the connection.
        (b"HTTP/1.1 200 OK\nContent-Type: application/json\n\n", b""),
        (response(b"", status="204 No Content"), b""),
    ],
    ids=["length", "chunked", "end of connection", "no content"],
)
def test_truncated_response_to_a_raw_request_is_an_error(
    given: bytes, body: bytes, socket_directory: Path
) -> None:
    found: list[bytes | None] = []
    with ClosingHost(socket_directory / "sock", truncated_at_each_byte(given)) as raw_host:
        for _ in range(len(given) + 1):
            with Client(raw_host.path, wait=0) as client:
                try:
                    with client.request("GET", "/") as received:
                        found.append(received.read())
                except (HostUnavailable, TimedOut):
                    found.append(None)
    last = found.index(body)
    assert found == [None] * last + [body] * (len(found) - last)
    assert last >= len(given) - (len(b"\r\n\r\n") if given is CHUNKED else 0)


def test_request_is_sent_again_after_a_truncated_head(socket_directory: Path) -> None:
    """A daemon that stops can break off its response anywhere."""
    responses = iter([HEAD, b"HTTP/1.1 404 Not Found\r\nContent-", b"HTTP/1.1 2", VALUE_RESPONSE])
    with ClosingHost(socket_directory / "sock", lambda request: next(responses)) as raw_host:
        assert run("config", "get", "user.a", socket=raw_host.path) == Result(0, VALUE + b"\n", b"")
    assert len(raw_host.requests) == 4
