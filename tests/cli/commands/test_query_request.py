"""`query` and `Client.request`: which bytes are sent, how often, and which requests are rejected."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl import Client, InvalidRequest, __version__
from tests.support.program import OBEY_FILE_MODES, PROGRAM, Result, failure, run
from tests.support.raw_host import RawHost, response

BODY = b'{"a": 1}'
OK = response(BODY)
DEFAULTS = f"Host: localhost\r\nUser-Agent: devlxdctl/{__version__}\r\nAccept: */*\r\n"
JSON = "Content-Type: application/json\r\n"
UNAVAILABLE = response(b"starting", "text/plain", "503 Service Unavailable")


@pytest.fixture
def raw_host(socket_directory: Path) -> Iterator[RawHost]:
    """A host that responds to every request with a JSON object."""
    with RawHost(socket_directory / "sock", OK) as raw_host:
        yield raw_host


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//1.0",
        "/1.0/config/a/../b",
        "/1.0/./x//y/",
        "/1.0/config/%2e%2E/%7euser%2f%zz%",
        "/1.0?a=b&c=%20#frag?x",
        "/1.0/config/user.é☃",
        "/\\'\"<>{}|^`[]@:;,!$*()+~=",
        "/http://other/1.0",
    ],
)
def test_path_is_sent_unchanged(path: str, raw_host: RawHost) -> None:
    with Client(raw_host.path) as client, client.request("GET", path) as reply:
        assert reply.read() == BODY
    assert raw_host.requests == [f"GET {path} HTTP/1.1\r\n{DEFAULTS}\r\n".encode()]


@pytest.mark.parametrize("path", ["//1.0", "/1.0/config/a/../b"])
def test_path_on_the_command_line_is_sent_unchanged(path: str, raw_host: RawHost) -> None:
    assert run("query", path, socket=raw_host.path) == Result(0, BODY, b"")
    assert raw_host.requests == [f"GET {path} HTTP/1.1\r\n{DEFAULTS}\r\n".encode()]


def test_path_that_is_not_utf8_is_sent_unchanged_in_the_c_locale(raw_host: RawHost) -> None:
    result = run("query", b"/\xff\xfe", socket=raw_host.path, env={"LC_ALL": "C"})
    assert result == Result(0, BODY, b"")
    assert raw_host.requests[0].startswith(b"GET /\xff\xfe HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("argv", "method", "headers", "body"),
    [
        (
            ["-X", "PATCH", "-d", '{"s": "ü"}'],
            "PATCH",
            f"{DEFAULTS}{JSON}Content-Length: 11\r\n",
            '{"s": "ü"}',
        ),
        (["-d", "x"], "POST", f"{DEFAULTS}{JSON}Content-Length: 1\r\n", "x"),
        (["-d", ""], "POST", f"{DEFAULTS}{JSON}Content-Length: 0\r\n", ""),
        (["-X", "POST"], "POST", f"{DEFAULTS}Content-Length: 0\r\n", ""),
        (["-X", "DELETE"], "DELETE", DEFAULTS, ""),
        (["-X", "GET", "-d", "x"], "GET", f"{DEFAULTS}{JSON}Content-Length: 1\r\n", "x"),
        (["-X", "m-SEARCH!"], "m-SEARCH!", DEFAULTS, ""),
        (
            ["-H", "X-A:1", "-H", "x-a:  b: c ", "-H", "X-E:"],
            "GET",
            f"{DEFAULTS}X-A: 1\r\nx-a: b: c\r\nX-E: \r\n",
            "",
        ),
        (
            ["-H", "host: h", "-H", "Accept: text/x", "-H", "user-agent: me"],
            "GET",
            "host: h\r\nAccept: text/x\r\nuser-agent: me\r\n",
            "",
        ),
        (
            ["-d", "x", "-H", "content-type: text/plain"],
            "POST",
            f"{DEFAULTS}Content-Length: 1\r\ncontent-type: text/plain\r\n",
            "x",
        ),
        (["-H", "X-A: ü\t☃"], "GET", f"{DEFAULTS}X-A: ü\t☃\r\n", ""),
    ],
)
def test_options_of_query_decide_the_whole_request(
    argv: list[str], method: str, headers: str, body: str, raw_host: RawHost
) -> None:
    assert run("query", *argv, "/1.0", socket=raw_host.path) == Result(0, BODY, b"")
    assert raw_host.requests == [f"{method} /1.0 HTTP/1.1\r\n{headers}\r\n{body}".encode()]


def test_authorization_header_replaces_the_bearer_token(raw_host: RawHost) -> None:
    env = {"DEVLXD_BEARER_TOKEN": "tok"}
    run("query", "/", socket=raw_host.path, env=env)
    run("query", "-H", "authorization: Basic x", "/", socket=raw_host.path, env=env)
    assert raw_host.requests == [
        f"GET / HTTP/1.1\r\n{DEFAULTS}Authorization: Bearer tok\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\n{DEFAULTS}authorization: Basic x\r\n\r\n".encode(),
    ]


INVALID: list[tuple[str, str, tuple[str, str] | None, str]] = [
    ("GET", "1.0", None, "path '1.0': must begin with /"),
    ("GET", "", None, "path '': must begin with /"),
    ("GET", "http://x/1.0", None, "path 'http://x/1.0': must begin with /"),
    ("GET", "/a b", None, "path '/a b': spaces and control characters must be percent-encoded"),
    (
        "GET",
        "/a\r\nX: y",
        None,
        r"path '/a\r\nX: y': spaces and control characters must be percent-encoded",
    ),
    ("", "/", None, "method '': not a valid HTTP method"),
    ("GET /x HTTP/1.1\r\nX:", "/", None, r"method 'GET /x HTTP/1.1\r\nX:': not a valid HTTP method"),
    ("GET", "/", ("X-A", "b\nX-B: c"), "header X-A: value contains a control character"),
    ("GET", "/", ("X-A", "b\0"), "header X-A: value contains a control character"),
    ("GET", "/", ("X A", "b"), "header: invalid header name"),
    ("GET", "/", ("", "b"), "header: invalid header name"),
    ("GET", "/", ("X\r\nY", "b"), "header: invalid header name"),
    ("GET", "/", ("Ü", "b"), "header: invalid header name"),
    ("GET", "/", ("Transfer-Encoding", "chunked"), "header Transfer-Encoding: is set from the body"),
]


@pytest.mark.parametrize(("method", "path", "header", "error"), INVALID)
def test_request_that_is_not_valid_http_is_rejected_before_it_connects(
    method: str, path: str, header: tuple[str, str] | None, error: str, raw_host: RawHost
) -> None:
    with Client(raw_host.path) as client, pytest.raises(InvalidRequest) as caught:
        client.request(method, path, headers=[header] if header else [])
    assert str(caught.value) == error
    assert raw_host.connections == 0


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["1.0"], "path '1.0': must begin with /"),
        (["-X", "", "/"], "method '': not a valid HTTP method"),
        (["-H", "X-A: b\r\nX-B: c", "/"], "header X-A: value contains a control character"),
        (["-H", "content-length: 5", "/"], "header content-length: is set from the body"),
    ],
)
def test_query_exits_2_for_a_request_that_is_not_valid_http(
    argv: list[str], error: str, raw_host: RawHost
) -> None:
    assert run("query", *argv, socket=raw_host.path) == failure(2, error)
    assert raw_host.connections == 0


def test_header_without_colon_is_a_usage_error_that_does_not_print_it(raw_host: RawHost) -> None:
    result = run("query", "-H", "secret", "/", socket=raw_host.path)
    error = "query: invalid value for '-H' / '--header': expected NAME: VALUE"
    assert result == failure(2, error, "see the help: devlxdctl query --help")


@pytest.mark.parametrize("method", ["POST", "DELETE", "get"])
def test_only_a_get_is_sent_again(method: str, socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", UNAVAILABLE) as raw_host:
        result = run("query", "-X", method, "/1.0", socket=raw_host.path)
    assert (result.status, result.stdout, len(raw_host.requests)) == (7, b"", 1)
    assert result.stderr.startswith(b"starting\ndevlxdctl: /1.0: HTTP status 503\nhint: ")


def test_get_is_sent_again_while_the_host_is_unavailable(socket_directory: Path) -> None:
    responses = iter([None, UNAVAILABLE, OK])
    with RawHost(socket_directory / "sock", lambda request: next(responses)) as raw_host:
        result = run("query", "-d", "x", "-X", "GET", "/", socket=raw_host.path)
    assert result == Result(0, BODY, b"")
    assert len(raw_host.requests) == 3


@pytest.mark.parametrize(
    "argv",
    [
        ["/1.0/operations/1/wait"],
        ["/1.0/operations/1/wait?timeout=1"],
        ["-X", "GET", "-d", "@{directory}/body", "/"],
    ],
)
def test_get_of_a_wait_or_with_a_file_as_body_is_sent_once(argv: list[str], socket_directory: Path) -> None:
    (socket_directory / "body").write_text("x")
    words = [word.format(directory=socket_directory) for word in argv]
    with RawHost(socket_directory / "sock", None) as raw_host:
        result = run("query", *words, socket=raw_host.path)
    assert (result.status, len(raw_host.requests)) == (7, 1)


def test_get_exits_124_if_the_host_is_unavailable_until_the_end_of_wait(socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", UNAVAILABLE) as raw_host:
        result = run("query", "--wait", "0.3", "/", socket=raw_host.path)
    error = b"devlxdctl: /: HTTP status 503; waited 0.3 s\nhint: "
    assert (result.status, result.stdout, result.stderr[: len(error)]) == (124, b"", error)


def test_request_with_wait_is_sent_once_the_socket_exists(socket_directory: Path) -> None:
    raw_host = RawHost(socket_directory / "sock", OK)
    argv = [PROGRAM, "-v", "query", "--wait", "60", "-d", "@-", "/", "--socket", str(raw_host.path)]
    with subprocess.Popen(
        argv, env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdin is not None and program.stderr is not None
        program.stdin.write(b"x")
        program.stdin.close()
        program.stdin = None
        assert b": no such socket; retry in " in program.stderr.readline()
        with raw_host:
            stdout, _ = program.communicate(timeout=60)
    assert (program.returncode, stdout) == (0, BODY)
    assert [request.partition(b"\r\n\r\n")[2] for request in raw_host.requests] == [b"x"]


def test_body_of_a_file_is_sent_with_its_length(raw_host: RawHost, socket_directory: Path) -> None:
    data = bytes(range(256)) * 4096
    (socket_directory / "@body").write_bytes(data)
    run("query", "-d", f"@{socket_directory}/@body", "/", socket=raw_host.path)
    head, _, body = raw_host.requests[0].partition(b"\r\n\r\n")
    assert head == f"POST / HTTP/1.1\r\n{DEFAULTS}{JSON}Content-Length: 1048576".encode()
    assert body == data


def test_body_of_stdin_that_is_a_file_begins_at_its_current_position(
    raw_host: RawHost, socket_directory: Path
) -> None:
    (socket_directory / "body").write_bytes(b"line\nrest")
    script = f'exec <{socket_directory}/body; read line; "$0" query -d @- / >/dev/null'
    env = {"DEVLXD_SOCKET": str(raw_host.path)}
    subprocess.run(["sh", "-c", script, PROGRAM], env=env, check=True)
    assert raw_host.requests[0].endswith(b"Content-Length: 4\r\n\r\nrest")


def test_body_of_a_pipe_is_read_completely_before_query_connects(socket_directory: Path) -> None:
    """LXD 6.9 closes a connection whose body does not arrive within three seconds."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_directory / "sock"))
        listener.listen()
        listener.settimeout(0)
        with subprocess.Popen(
            [PROGRAM, "query", "-d", "@-", "/x", "--socket", socket_directory / "sock"],
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as program:
            assert program.stdin is not None and program.stdout is not None
            # More than a pipe holds: what is written has been read.
            program.stdin.write(b"x" * 1_000_000)
            program.stdin.flush()
            with pytest.raises(BlockingIOError):
                listener.accept()
            program.stdin.close()
            listener.settimeout(60)
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                connection.settimeout(60)
                head = b"".join(iter(stream.readline, b"\r\n"))
                assert stream.read(1_000_000) == b"x" * 1_000_000
                connection.sendall(response(b"done"))
                assert program.stdout.read() == b"done"
            assert program.wait(60) == 0
    assert head == f"POST /x HTTP/1.1\r\n{DEFAULTS}{JSON}Content-Length: 1000000\r\n".encode()


def test_response_to_a_body_that_the_host_rejects_early_is_printed(socket_directory: Path) -> None:
    (socket_directory / "body").write_bytes(b"x" * 10_000_000)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_directory / "sock"))
        listener.listen()

        def reject() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(response(b"too large\n", "text/plain", "400 Bad Request"))

        thread = threading.Thread(target=reject)
        thread.start()
        result = run("query", "-d", f"@{socket_directory}/body", "/", socket=socket_directory / "sock")
        thread.join(20)
    assert result == Result(1, b"", b"too large\ndevlxdctl: /: HTTP status 400\n")


@pytest.mark.parametrize(
    ("name", "status", "problem"),
    [
        ("none", 8, "no such file or directory"),
        ("", 8, "is a directory"),
        ("secret", 4, "permission denied"),
    ],
)
def test_body_of_a_file_that_cannot_be_read_is_an_error(
    name: str, status: int, problem: str, raw_host: RawHost, socket_directory: Path
) -> None:
    (socket_directory / "secret").touch(mode=0o000)
    argv = ["query", "-d", f"@{socket_directory}/{name}", "/"]
    result = run(*argv, socket=raw_host.path, prefix=OBEY_FILE_MODES)
    assert result == failure(status, f"{socket_directory}/{name}: {problem}")
    assert raw_host.requests == []


def test_body_of_closed_stdin_is_an_error(raw_host: RawHost) -> None:
    script = '"$0" query -d @- / <&-'
    env = {"DEVLXD_SOCKET": str(raw_host.path)}
    done = subprocess.run(["sh", "-c", script, PROGRAM], env=env, capture_output=True, check=False)
    assert Result(done.returncode, done.stdout, done.stderr) == failure(8, "stdin: is closed")


def test_verbose_prints_neither_headers_nor_bodies(raw_host: RawHost) -> None:
    result = run("query", "-v", "-H", "X-A: secret", "-d", "secret", "/1.0", socket=raw_host.path)
    assert result == Result(0, BODY, b"devlxdctl: POST /1.0: 200\n")
