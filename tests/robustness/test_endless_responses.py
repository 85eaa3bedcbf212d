"""Responses that never end, or arrive byte by byte: the client gives up after a bounded amount."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from devlxdctl import Client, UnexpectedResponse
from devlxdctl.http.limits import MAX_FRAMING, MAX_HEAD
from tests.support.exports import FINGERPRINT
from tests.support.faulty_hosts import EndlessHost, client_of, memory_size
from tests.support.program import Result, run
from tests.support.raw_host import OCTET_STREAM, RawHost, chunked_response, response

COMMANDS = {
    "config get": (OCTET_STREAM, ["config", "get", "user.a"]),
    "state": ("application/json", ["state"]),
    "query": (OCTET_STREAM, ["query", "/1.0"]),
    "image export": (OCTET_STREAM, ["image", "export", FINGERPRINT, "-o", "{directory}"]),
}
"""Commands, with the content type that they expect."""

MEBIBYTE = 1024 * 1024
BUFFERED = MEBIBYTE
"""Bytes that a host can send before it notices that the client has closed the connection, at most."""

ENDLESS_HEADS = {
    "interim responses": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "short headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
    "long headers": (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 60_000 + b"\r\n"),
    "NULs": (b"", b"\0" * 65536),
}
"""The beginning of a head, and what follows again and again."""

ENDLESS_FRAMING = {
    "trailers": (b"0\r\n", b"X: y\r\n" * 1000),
    "a trailer": (b"0\r\nX: ", b"y" * 65536),
    "a chunk extension": (b"1;", b"x" * 65536),
    "chunks with long extensions": (b"", b"1;" + b"x" * 60_000 + b"\r\nx\r\n"),
    "one-byte chunks": (b"", b"1\r\nx\r\n" * 1000),
    "zeros of a chunk size": (b"", b"0" * 65536),
}
"""The beginning of a chunked body, and what follows again and again."""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ENDLESS_HEADS)
def test_endless_head_is_rejected_after_its_limit(name: str, command: str, socket_directory: Path) -> None:
    given, repeated = ENDLESS_HEADS[name]
    argv = [word.format(directory=socket_directory) for word in COMMANDS[command][1]]
    with EndlessHost(socket_directory / "sock", given, repeated) as raw_host:
        result = run(*argv, socket=raw_host.path)
    assert result == Result(1, b"", f"devlxdctl: {raw_host.path}: not an HTTP server\n".encode())
    assert raw_host.sent <= MAX_HEAD + BUFFERED
    assert len(raw_host.requests) == 1


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ENDLESS_FRAMING)
def test_endless_chunk_framing_is_rejected_after_its_limit(
    name: str, command: str, socket_directory: Path
) -> None:
    given, repeated = ENDLESS_FRAMING[name]
    content_type, words = COMMANDS[command]
    argv = [word.format(directory=socket_directory) for word in words]
    head = chunked_response(content_type=content_type, end=given)
    with EndlessHost(socket_directory / "sock", head, repeated) as raw_host:
        result = run(*argv, socket=raw_host.path)
    assert result.status == 1
    assert result.stderr == f"devlxdctl: {raw_host.path}: not an HTTP server\n".encode()
    # `query` prints each piece as it arrives.
    assert result.stdout.strip(b"x") == b"" if command == "query" else result.stdout == b""
    assert raw_host.sent <= 2 * MAX_FRAMING + BUFFERED
    assert len(raw_host.requests) == 1
    assert [path.name for path in socket_directory.iterdir()] == ["sock"]


def test_endless_body_is_rejected_after_its_limit(
    socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devlxdctl.http.streaming.MAX_BODY", 8 * MEBIBYTE)
    before = memory_size()
    repeated = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with EndlessHost(socket_directory / "sock", chunked_response(end=b""), repeated) as raw_host:
        with Client(raw_host.path, wait=0) as client, pytest.raises(UnexpectedResponse) as caught:
            client.config_get("user.a")
    assert str(caught.value) == f"user.a: response larger than {8 * MEBIBYTE} bytes"
    assert raw_host.sent <= 16 * MEBIBYTE
    assert memory_size() - before < 64 * MEBIBYTE


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])
def test_body_may_have_as_many_bytes_as_its_limit(
    is_chunked: bool, socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devlxdctl.http.streaming.MAX_BODY", 1000)

    def body(size: int) -> bytes:
        data = b"x" * size
        return chunked_response((b"%x" % size, data)) if is_chunked else response(data, OCTET_STREAM)

    with client_of(socket_directory / "sock", body(1000)) as client:
        assert client.config_get("user.a") == "x" * 1000
    (socket_directory / "sock").unlink()
    with client_of(socket_directory / "sock", body(1001)) as client:
        with pytest.raises(UnexpectedResponse) as caught:
            client.config_get("user.a")
    assert str(caught.value) == "user.a: response larger than 1000 bytes"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_value_of_10_kib_in_small_chunks_is_read(size: int, socket_directory: Path) -> None:
    value = bytes(range(32, 112)) * 128
    chunks = [
        (b"%x" % len(value[at : at + size]), value[at : at + size]) for at in range(0, len(value), size)
    ]
    with client_of(socket_directory / "sock", chunked_response(*chunks)) as client:
        assert client.config_get("user.a") == value.decode()


class TricklingHost(RawHost):
    """Sends a byte of the response every 20 ms."""

    def _send(self, connection: socket.socket, given: bytes) -> None:
        connection.settimeout(0.02)
        for number in range(len(given)):
            connection.sendall(given[number : number + 1])
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:  # the pause
                continue


@pytest.mark.parametrize("size", [0, 10_000], ids=["head", "body"])
def test_response_that_arrives_byte_by_byte_times_out(size: int, socket_directory: Path) -> None:
    """The read timeout is not for each byte: 20 ms later there is always another one."""
    given = response(b"x" * size, OCTET_STREAM) if size else b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000
    with TricklingHost(socket_directory / "sock", given) as raw_host:
        result = run("config", "get", "user.a", "--wait", "0.5", socket=raw_host.path)
    expected = f"devlxdctl: {raw_host.path}: no response within 1 s; waited 0.5 s\n".encode()
    assert (result.status, result.stdout, result.stderr.splitlines(True)[0]) == (124, b"", expected)
