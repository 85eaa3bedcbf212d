"""`query` and `Client.request`: what is printed of a response, and the exit status."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl import Client
from devlxdctl.simulator import Simulator
from tests.support.program import PROGRAM, Result, failure, run
from tests.support.raw_host import RawHost, response
from tests.support.terminal import run_on_terminal

BODY = b'{"a": 1}'
OK = response(BODY, extra="X-One: 1\r\nX-Two: a: b \xfc\r\nX-One: 2\r\n")
HINTS = {
    401: "only root can use it: sudo devlxdctl …",
    403: "give a bearer token that the host trusts: devlxdctl query --token-file FILE …",
}


@pytest.fixture
def raw_host(socket_directory: Path) -> Iterator[RawHost]:
    """A host that responds to every request with a JSON object and several headers."""
    with RawHost(socket_directory / "sock", OK) as raw_host:
        yield raw_host


@pytest.mark.parametrize("form", ["text", "json"])
def test_body_is_printed_unchanged_in_every_format(form: str, raw_host: RawHost) -> None:
    assert run("query", "/", "-f", form, socket=raw_host.path) == Result(0, BODY, b"")


def test_include_prints_status_line_and_headers_unchanged(raw_host: RawHost) -> None:
    assert run("query", "-i", "/1.0", socket=raw_host.path) == Result(0, OK, b"")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("X-One", Result(0, b"1\n", b"")),
        ("x-two", Result(0, "a: b ü\n".encode(), b"")),
        ("ETag", failure(6, "ETag: no such header in the response")),
    ],
)
def test_header_out_prints_one_header_instead_of_the_body(
    name: str, expected: Result, raw_host: RawHost
) -> None:
    assert run("query", "--header-out", name, "/1.0", socket=raw_host.path) == expected


def test_list_of_versions_for_another_path_is_printed_with_a_warning(socket_directory: Path) -> None:
    """LXD 6 answers every path that it does not know with it, and with status 200."""
    with RawHost(socket_directory / "sock", response(b'["/1.0"]\n')) as raw_host:
        assert run("query", "/", socket=raw_host.path) == Result(0, b'["/1.0"]\n', b"")
        result = run("query", "/1.0/nope", socket=raw_host.path)
    warning = b"devlxdctl: /1.0/nope: LXD 6 sends this list of versions for paths that it does not have\n"
    assert result == Result(0, b'["/1.0"]\n', warning)


@pytest.mark.parametrize(
    ("status_line", "exit_status"),
    [
        ("200 OK", 0),
        ("307 Temporary Redirect", 1),
        ("400 Bad Request", 1),
        ("401 Unauthorized", 4),
        ("403 Forbidden", 4),
        ("404 Not Found", 6),
        ("405 Method Not Allowed", 3),
        ("409 Conflict", 8),
        ("412 Precondition Failed", 8),
        ("501 Not Implemented", 3),
        ("505 HTTP Version Not Supported", 7),
    ],
)
def test_http_status_decides_the_exit_status(
    status_line: str, exit_status: int, socket_directory: Path
) -> None:
    given = response(b"\xffthe body", "text/plain", status_line, "Location: /2.0\r\n")
    status = int(status_line[:3])
    with RawHost(socket_directory / "sock", given) as raw_host, Client(raw_host.path) as client:
        with client.request("GET", "/1.0/x") as reply:
            assert reply.read() == b"\xffthe body"
            error = reply.error()
    assert len(raw_host.requests) == 1  # redirects are not followed
    if exit_status == 0:
        assert error is None
        return
    assert error is not None
    assert (error.exit_status, error.http_status) == (exit_status, status)
    problem = "permission denied" if exit_status == 4 else f"HTTP status {status}"
    assert str(error) == f"/1.0/x: {problem}"
    if status in HINTS:
        assert error.hint == HINTS[status]


def test_body_of_an_error_goes_to_stderr_unless_the_head_is_included(socket_directory: Path) -> None:
    given = response(b"\xffthe body", "text/plain", "403 Forbidden")
    error = failure(4, "/1.0/x: permission denied", HINTS[403]).stderr
    with RawHost(socket_directory / "sock", given) as raw_host:
        result = run("query", "/1.0/x", socket=raw_host.path)
        assert result == Result(4, b"", b"\xffthe body\n" + error)
        assert run("query", "-i", "/1.0/x", socket=raw_host.path) == Result(4, given, error)


def test_pieces_of_a_stream_are_printed_as_they_arrive(socket_directory: Path) -> None:
    """Events without a websocket are a body without a length, after a head with bare line feeds."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_directory / "sock"))
        listener.listen()
        listener.settimeout(60)
        with subprocess.Popen(
            [PROGRAM, "query", "/1.0/events", "--socket", socket_directory / "sock"],
            env={},
            stdout=subprocess.PIPE,
            bufsize=0,
        ) as program:
            connection, _ = listener.accept()
            assert program.stdout is not None
            with connection:
                connection.recv(1000)
                connection.sendall(
                    b"HTTP/1.1 200 OK\nConnection: keep-alive\nContent-Type: application/json\n\n"
                )
                for piece in (b'{"a":1}\n', b'{"b":'):
                    connection.sendall(piece)
                    assert program.stdout.read(100) == piece
            assert program.stdout.read(100) == b""
            assert program.wait(20) == 0


@pytest.mark.parametrize("size", [0, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_body_of_any_size_is_printed_completely(size: int, chunked: bool, socket_directory: Path) -> None:
    data = os.urandom(size)
    given = response(data, "application/octet-stream")
    if chunked:
        chunks = [data[start : start + 9999] for start in range(0, size, 9999)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        given = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
    with RawHost(socket_directory / "sock", given) as raw_host:
        assert run("query", "/", socket=raw_host.path) == Result(0, data, b"")


@pytest.mark.parametrize(
    "given",
    [
        response(b"half", length=9),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    ],
)
def test_truncated_body_exits_7_after_the_bytes_that_arrived(given: bytes, socket_directory: Path) -> None:
    (socket_directory / "lxd").mkdir()
    with RawHost(socket_directory / "lxd" / "sock", given) as raw_host:
        result = run("query", "/", socket=raw_host.path)
    hint = "the daemon of the host is stopped or starting; on the host: lxc info"
    error = failure(7, f"{raw_host.path}: truncated response", hint)
    assert result == error._replace(stdout=b"half")
    assert len(raw_host.requests) == 1


def test_compressed_body_is_not_decompressed(socket_directory: Path) -> None:
    given = response(b"\x1f\x8bxyz", extra="Content-Encoding: gzip\r\n")
    with RawHost(socket_directory / "sock", given) as raw_host:
        argv = ["query", "-H", "Accept-Encoding: gzip", "/"]
        assert run(*argv, socket=raw_host.path) == Result(0, b"\x1f\x8bxyz", b"")


def test_bodies_of_several_paths_are_printed_one_after_the_other(socket_directory: Path) -> None:
    def script(request: bytes) -> bytes:
        return response(request.split()[1])

    with RawHost(socket_directory / "sock", script) as raw_host:
        result = run("query", "/b", "/a", "/b", socket=raw_host.path)
    assert result == Result(0, b"/b/a/b", b"")


def test_first_error_ends_a_query_of_several_paths(socket_directory: Path) -> None:
    def script(request: bytes) -> bytes:
        status = "403 Forbidden" if request.startswith(b"GET /b ") else "200 OK"
        return response(request.split()[1], "text/plain", status)

    with RawHost(socket_directory / "sock", script) as raw_host:
        result = run("query", "/a", "/b", "/c", socket=raw_host.path)
        error = failure(4, "/b: permission denied", HINTS[403]).stderr
        assert result == Result(4, b"/a", b"/b\n" + error)
        assert run("query", "/a", "/b", socket=raw_host.path) == result
    assert len(raw_host.requests) == 4


@pytest.mark.parametrize("option", [["-i"], ["-d", "{}"], ["--header-out", "ETag"]])
def test_option_for_one_response_is_rejected_for_several_paths(option: list[str]) -> None:
    problem = "query: -i, -d and --header-out take one PATH"
    assert run("query", *option, "/a", "/b") == failure(2, problem, "see the help: devlxdctl query --help")


def test_head_request_ends_without_waiting_for_a_body(socket_directory: Path) -> None:
    given = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    with RawHost(socket_directory / "sock", given) as raw_host:
        assert run("query", "-X", "HEAD", "-i", "/", socket=raw_host.path) == Result(0, given, b"")


def test_response_that_is_not_http_exits_1(socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", b"hello\r\n\r\n") as raw_host:
        result = run("query", "/", socket=raw_host.path)
    assert result == failure(1, f"{raw_host.path}: not an HTTP server")


def test_reader_that_closes_stdout_early_ends_query_by_sigpipe(socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", response(b"line\n" * 1_000_000)) as raw_host:
        script = f"{PROGRAM} query / --socket {raw_host.path} | head -1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (f"line\n{128 + signal.SIGPIPE}\n".encode(), b"")


@pytest.mark.parametrize("include", [False, True])
def test_body_on_a_terminal_has_its_control_characters_escaped(include: bool, socket_directory: Path) -> None:
    given = response(b"red \x1b[31m \xc3\xbc \xff\r\nend", "text/plain")
    with RawHost(socket_directory / "sock", given) as raw_host:
        screen = run_on_terminal("query", "/", *(["-i"] if include else []), socket=raw_host.path)
    head = "HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 19\n\n" if include else ""
    assert screen == (0, head + "red \\x1b[31m ü \\xff\nend\n", b"")


def test_host_without_a_response_is_waited_for_however_long_it_takes(socket_directory: Path) -> None:
    """`--wait` limits the time until there is a connection, not the time for a response."""
    never_set = threading.Event()

    def script(request: bytes) -> bytes:
        never_set.wait(1.2)
        return OK

    with RawHost(socket_directory / "sock", script) as raw_host:
        started = time.monotonic()
        assert run("query", "--wait", "0", "/", socket=raw_host.path) == Result(0, BODY, b"")
        assert time.monotonic() - started > 1.2


def test_query_on_the_simulator_reports_ready_and_prints_a_redirect(socket_directory: Path) -> None:
    with Simulator(socket_directory / "sock") as simulator:
        argv = ["query", "-X", "PATCH", "-d", '{"state":"Ready"}', "/1.0"]
        assert run(*argv, socket=simulator.path) == Result(0, b"", b"")
        assert simulator.ready is True
        assert run("query", "/1.0/config/user.role", socket=simulator.path) == Result(0, b"web", b"")
        result = run("query", "//1.0", socket=simulator.path)
    body = b'<a href="/1.0">Temporary Redirect</a>.\n\n'
    assert result == Result(1, b"", body + b"devlxdctl: //1.0: HTTP status 307\n")
