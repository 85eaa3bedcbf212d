"""`query`: what is given arrives, to the byte, and so does what is answered."""

from __future__ import annotations

import os
import pty
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl import Client, InvalidRequest, RawRequest, __version__
from devlxdctl.simulator import Simulator
from tests.support.program import PROGRAM, Result, run
from tests.support.raw_host import RawHost, response

OK = response(b'{"a": 1}', extra="X-One: 1\r\nX-Two: a: b \xfc\r\nX-One: 2\r\n")
OURS = f"Host: localhost\r\nUser-Agent: devlxdctl/{__version__}\r\nAccept: */*\r\n"
JSON = "Content-Type: application/json\r\n"


EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def host(short: Path) -> Iterator[RawHost]:
    with RawHost(short / "sock", OK) as host:
        yield host


PATHS = [
    "/",
    "//1.0",
    "/1.0/config/a/../b",
    "/1.0/./x//y/",
    "/1.0/config/%2e%2E/%7euser%2f%zz%",
    "/1.0?a=b&c=%20#frag?x",
    "/1.0/config/user.é☃",
    "/\\'\"<>{}|^`[]@:;,!$*()+~=",
    "/http://other/1.0",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_arrives_as_it_was_given(path: str, host: RawHost) -> None:
    with Client(host.path) as client, client.query(RawRequest("GET", path)) as reply:
        assert b"".join(reply.chunks()) == b'{"a": 1}'
    assert host.requests == [f"GET {path} HTTP/1.1\r\n{OURS}\r\n".encode()]


@pytest.mark.parametrize("path", ["//1.0", "/1.0/config/a/../b"])
def test_a_path_on_the_command_line_does_too(path: str, host: RawHost) -> None:
    assert run("query", path, socket=host.path) == Result(0, b'{"a": 1}', b"")
    assert host.requests == [f"GET {path} HTTP/1.1\r\n{OURS}\r\n".encode()]


def test_a_path_of_any_bytes_in_the_c_locale(host: RawHost) -> None:
    result = run("query", b"/\xff\xfe", socket=host.path, env={"LC_ALL": "C"})
    assert result == Result(0, b'{"a": 1}', b"")
    assert host.requests[0].startswith(b"GET /\xff\xfe HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("argv", "line", "headers", "body"),
    [
        (["-X", "PATCH", "-d", '{"s": "ü"}'], "PATCH", f"{OURS}{JSON}Content-Length: 11\r\n", '{"s": "ü"}'),
        (["-d", "x"], "POST", f"{OURS}{JSON}Content-Length: 1\r\n", "x"),
        (["-d", ""], "POST", f"{OURS}{JSON}Content-Length: 0\r\n", ""),
        (["-X", "POST"], "POST", f"{OURS}Content-Length: 0\r\n", ""),
        (["-X", "DELETE"], "DELETE", OURS, ""),
        (["-X", "GET", "-d", "x"], "GET", f"{OURS}{JSON}Content-Length: 1\r\n", "x"),
        (["-X", "m-SEARCH!"], "m-SEARCH!", OURS, ""),
        (
            ["-H", "X-A:1", "-H", "x-a:  b: c ", "-H", "X-E:"],
            "GET",
            f"{OURS}X-A: 1\r\nx-a: b: c\r\nX-E: \r\n",
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
            f"{OURS}Content-Length: 1\r\ncontent-type: text/plain\r\n",
            "x",
        ),
        (["-H", "X-A: ü\t☃"], "GET", f"{OURS}X-A: ü\t☃\r\n", ""),
    ],
)
def test_the_whole_request(argv: list[str], line: str, headers: str, body: str, host: RawHost) -> None:
    result = run("query", *argv, "/1.0", socket=host.path)
    assert (result.status, result.stderr) == (0, b"")
    assert host.requests == [f"{line} /1.0 HTTP/1.1\r\n{headers}\r\n{body}".encode()]


def test_a_token_is_sent_and_a_header_goes_before_it(host: RawHost) -> None:
    env = {"DEVLXD_BEARER_TOKEN": "tok"}
    run("query", "/", socket=host.path, env=env)
    run("query", "-H", "authorization: Basic x", "/", socket=host.path, env=env)
    assert host.requests == [
        f"GET / HTTP/1.1\r\n{OURS}Authorization: Bearer tok\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\n{OURS}authorization: Basic x\r\n\r\n".encode(),
    ]


BAD = [
    ("GET", "1.0", "path '1.0': a path begins with /"),
    ("GET", "", "path '': a path begins with /"),
    ("GET", "http://x/1.0", "path 'http://x/1.0': a path begins with /"),
    ("GET", "/a b", "path '/a b': blanks and control characters are written as %XX"),
    ("GET", "/a\r\nX: y", r"path '/a\r\nX: y': blanks and control characters are written as %XX"),
    ("", "/", "method '': no method has this name"),
    ("GET /x HTTP/1.1\r\nX:", "/", r"method 'GET /x HTTP/1.1\r\nX:': no method has this name"),
]


@pytest.mark.parametrize(("method", "path", "line"), BAD)
def test_what_is_no_request_is_refused(method: str, path: str, line: str, host: RawHost) -> None:
    with Client(host.path) as client, pytest.raises(InvalidRequest) as caught:
        client.query(RawRequest(method, path))
    assert str(caught.value) == line
    assert host.connections == 0


REFUSED = [
    (["1.0"], "path '1.0': a path begins with /"),
    (["-X", "", "/"], "method '': no method has this name"),
    (["-H", "X-A: b\r\nX-B: c", "/"], "header X-A: its value holds a control character"),
    (["-H", "content-length: 5", "/"], "header content-length: the body decides it"),
]


@pytest.mark.parametrize(("argv", "line"), REFUSED)
def test_what_would_arrive_as_something_else_is_refused(argv: list[str], line: str, host: RawHost) -> None:
    assert run("query", *argv, socket=host.path) == Result(2, b"", f"devlxdctl: {line}\n".encode())
    assert host.connections == 0


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("X-A", "b\nX-B: c", "header X-A: its value holds a control character"),
        ("X-A", "b\0", "header X-A: its value holds a control character"),
        ("X A", "b", "header: it begins with a name that no header has"),
        ("", "b", "header: it begins with a name that no header has"),
        ("X\r\nY", "b", "header: it begins with a name that no header has"),
        ("Ü", "b", "header: it begins with a name that no header has"),
        ("Transfer-Encoding", "chunked", "header Transfer-Encoding: the body decides it"),
    ],
)
def test_a_header_that_is_none_is_refused(name: str, value: str, line: str, host: RawHost) -> None:
    with Client(host.path) as client, pytest.raises(InvalidRequest) as caught:
        client.query(RawRequest("GET", "/", [(name, value)]))
    assert str(caught.value) == line
    assert host.connections == 0


def test_a_header_without_a_colon_is_a_usage_error_that_does_not_show_it(host: RawHost) -> None:
    result = run("query", "-H", "secret", "/", socket=host.path)
    assert (result.status, result.stdout) == (2, b"")
    assert result.stderr.endswith(b"\nError: Invalid value for '-H' / '--header': it is NAME: VALUE\n")
    assert b"secret" not in result.stderr


def test_the_head_with_i(host: RawHost) -> None:
    assert run("query", "-i", "/1.0", socket=host.path) == Result(0, OK, b"")


STATUSES = [
    ("200 OK", 0),
    ("307 Temporary Redirect", 1),
    ("400 Bad Request", 1),
    ("401 Unauthorized", 4),
    ("403 Forbidden", 4),
    ("404 Not Found", 6),
    ("405 Method Not Allowed", 3),
    ("501 Not Implemented", 3),
    ("505 HTTP Version Not Supported", 7),
]
HINTS = {
    401: "only root may use it: sudo devlxdctl …",
    403: "it may take a bearer token that the host trusts: devlxdctl query --token-file FILE …. Or the "
    "devLXD API is switched off; on the host: lxc config set INSTANCE security.devlxd=true",
}


@pytest.mark.parametrize(("line", "status"), STATUSES)
def test_each_status_of_the_host_has_its_own(line: str, status: int, short: Path) -> None:
    given = response(b"\xffthe body", "text/plain", line, "Location: /2.0\r\n")
    number = int(line[:3])
    with RawHost(short / "sock", given) as host, Client(host.path) as client:
        with client.query(RawRequest("GET", "/1.0/x")) as reply:
            assert b"".join(reply.chunks()) == b"\xffthe body"
            error = reply.refused()
    if status == 0:
        assert error is None
        return
    assert error is not None
    assert (error.exit_status, error.http_status) == (status, number)
    assert str(error) == f"/1.0/x: the host answered with status {number}"
    assert error.hint == HINTS.get(number)
    # A redirect is an answer like any other.
    assert len(host.requests) == 1


def test_the_body_of_an_error_goes_to_stderr_unless_all_is_asked_for(short: Path) -> None:
    given = response(b"\xffthe body", "text/plain", "403 Forbidden")
    error = f"devlxdctl: /1.0/x: the host answered with status 403\nhint: {HINTS[403]}\n".encode()
    with RawHost(short / "sock", given) as host:
        result = run("query", "/1.0/x", socket=host.path)
        assert result == Result(4, b"", b"\xffthe body\n" + error)
        assert run("query", "-i", "/1.0/x", socket=host.path) == Result(4, given, error)


@pytest.mark.parametrize("method", ["POST", "DELETE", "get"])
def test_only_a_get_is_asked_again(method: str, short: Path) -> None:
    failing = response(b"starting", "text/plain", "500 Internal Server Error")
    with RawHost(short / "sock", failing) as host:
        result = run("query", "-X", method, "/1.0", socket=host.path)
    assert (result.status, result.stdout, len(host.requests)) == (7, b"", 1)
    assert result.stderr.startswith(b"starting\ndevlxdctl: /1.0: the host answered with status 500\nhint: ")


def test_a_get_is_asked_again_while_the_host_restarts(short: Path) -> None:
    answers = iter([None, response(b"no", "text/plain", "503 Service Unavailable"), OK])
    with RawHost(short / "sock", lambda request: next(answers)) as host:
        assert run("query", "-d", "x", "-X", "GET", "/", socket=host.path) == Result(0, b'{"a": 1}', b"")
    assert len(host.requests) == 3


def test_a_get_whose_body_is_a_file_is_not(short: Path) -> None:
    (short / "body").write_text("x")
    with RawHost(short / "sock", None) as host:
        result = run("query", "-X", "GET", "-d", f"@{short}/body", "/", socket=host.path)
    assert (result.status, len(host.requests)) == (7, 1)


def test_past_wait_a_get_ends_with_124(short: Path) -> None:
    with RawHost(short / "sock", response(b"no", "text/plain", "500 Internal Server Error")) as host:
        result = run("query", "--wait", "0.3", "/", socket=host.path)
    line = b"devlxdctl: /: the host answered with status 500; waited 0.3 s\n"
    assert (result.status, result.stdout, result.stderr[: len(line)]) == (124, b"", line)


def test_any_request_is_sent_once_the_socket_is_there(short: Path) -> None:
    host = RawHost(short / "sock", OK)
    timer = threading.Timer(0.3, host.__enter__)
    timer.start()
    try:
        result = run("query", "--wait", "20", "-d", "@-", "/", socket=short / "sock", stdin=b"x")
        assert result == Result(0, b'{"a": 1}', b"")
        assert len(host.requests) == 1
    finally:
        timer.join()
        host.__exit__(None, None, None)


class TestTheBody:
    def test_of_a_file_has_a_length(self, host: RawHost, short: Path) -> None:
        data = bytes(range(256)) * 4096
        (short / "@body").write_bytes(data)
        run("query", "-d", f"@{short}/@body", "/", socket=host.path)
        head, _, body = host.requests[0].partition(b"\r\n\r\n")
        assert head == f"POST / HTTP/1.1\r\n{OURS}{JSON}Content-Length: 1048576".encode()
        assert body == data

    def test_of_stdin_that_is_a_file_is_sent_from_where_it_stands(self, host: RawHost, short: Path) -> None:
        (short / "body").write_bytes(b"line\nrest")
        script = f'exec <{short}/body; read line; "$0" query -d @- / >/dev/null'
        subprocess.run(["sh", "-c", script, PROGRAM], env={"DEVLXD_SOCKET": str(host.path)}, check=True)
        assert host.requests[0].endswith(b"Content-Length: 4\r\n\r\nrest")

    def test_of_a_pipe_is_sent_as_it_comes(self, short: Path) -> None:
        """In chunks, each before the next is written: nothing is gathered first."""
        path, received = short / "sock", b""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            listener.settimeout(20)
            program = subprocess.Popen(
                [PROGRAM, "query", "-d", "@-", "/x", "--socket", path],
                env={},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert program.stdin is not None
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(20)
                for piece, arrived in (
                    (b"one", b"3\r\none\r\n"),
                    (b"two!", b"4\r\ntwo!\r\n"),
                    (b"", b"0\r\n\r\n"),
                ):
                    program.stdin.write(piece)
                    program.stdin.flush()
                    if not piece:
                        program.stdin.close()
                    while not received.endswith(arrived):
                        received += connection.recv(65536)
                connection.sendall(response(b"done"))
                assert program.stdout is not None
                assert program.stdout.read() == b"done"
                assert program.wait(20) == 0
                program.stdout.close()
        assert received.startswith(
            f"POST /x HTTP/1.1\r\n{OURS}{JSON}Transfer-Encoding: chunked\r\n\r\n".encode()
        )

    def test_that_the_host_does_not_want_to_the_end(self, short: Path) -> None:
        """It says why and closes: its answer is shown, and not that the rest could not be sent."""
        (short / "body").write_bytes(b"x" * 10_000_000)
        given = response(b"too large\n", "text/plain", "400 Bad Request")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(short / "sock"))
            listener.listen()

            def refuse() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(given)

            thread = threading.Thread(target=refuse)
            thread.start()
            result = run("query", "-d", f"@{short}/body", "/", socket=short / "sock")
            thread.join(20)
        expected = b"too large\ndevlxdctl: /: the host answered with status 400\n"
        assert result == Result(1, b"", expected)

    @pytest.mark.parametrize(
        ("name", "why"), [("nowhere", "no such file or directory"), ("", "is a directory")]
    )
    def test_of_a_file_that_cannot_be_read(self, name: str, why: str, host: RawHost, short: Path) -> None:
        result = run("query", "-d", f"@{short}/{name}", "/", socket=host.path)
        assert result == Result(8, b"", f"devlxdctl: {short}/{name}: {why}\n".encode())
        assert host.requests == []

    def test_of_stdin_that_is_closed(self, host: RawHost) -> None:
        script = '"$0" query -d @- / <&-'
        done = subprocess.run(
            ["sh", "-c", script, PROGRAM],
            env={"DEVLXD_SOCKET": str(host.path)},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (8, b"", b"devlxdctl: stdin: it is closed\n")


class TestTheAnswer:
    def test_is_shown_as_it_comes(self, short: Path) -> None:
        """A stream without an end, with a head of bare line feeds, as events are without a websocket."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(short / "sock"))
            listener.listen()
            listener.settimeout(20)
            program = subprocess.Popen(
                [PROGRAM, "query", "/1.0/events", "--socket", short / "sock"],
                env={},
                stdout=subprocess.PIPE,
                bufsize=0,
            )
            connection, _ = listener.accept()
            assert program.stdout is not None
            with connection:
                connection.recv(1000)
                connection.sendall(
                    b"HTTP/1.1 200 OK\nConnection: keep-alive\nContent-Type: application/json\n\n"
                )
                for line in (b'{"a":1}\n', b'{"b":'):
                    connection.sendall(line)
                    assert program.stdout.read(100) == line
            assert program.stdout.read(100) == b""
            assert program.wait(20) == 0
            program.stdout.close()

    @pytest.mark.parametrize("size", [0, 3_000_000])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_of_any_size_is_whole(self, size: int, chunked: bool, short: Path) -> None:
        data = os.urandom(size)
        given = response(data, "application/octet-stream")
        if chunked:
            pieces = [data[start : start + 9999] for start in range(0, size, 9999)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
            given = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
        with RawHost(short / "sock", given) as host:
            assert run("query", "/", socket=host.path) == Result(0, data, b"")

    @pytest.mark.parametrize(
        "given",
        [
            response(b"half", length=9),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
        ],
    )
    def test_that_is_cut_short(self, given: bytes, short: Path) -> None:
        with RawHost(short / "sock", given) as host:
            result = run("query", "/", socket=host.path)
        line = f"devlxdctl: {host.path}: the answer was cut short\n".encode()
        assert (result.status, result.stdout, result.stderr[: len(line)]) == (7, b"half", line)
        assert len(host.requests) == 1

    def test_that_is_compressed_stays_so(self, short: Path) -> None:
        given = response(b"\x1f\x8bxyz", extra="Content-Encoding: gzip\r\n")
        with RawHost(short / "sock", given) as host:
            argv = ["query", "-H", "Accept-Encoding: gzip", "/"]
            assert run(*argv, socket=host.path) == Result(0, b"\x1f\x8bxyz", b"")

    def test_of_a_head(self, short: Path) -> None:
        given = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
        with RawHost(short / "sock", given) as host:
            assert run("query", "-X", "HEAD", "-i", "/", socket=host.path) == Result(0, given, b"")

    def test_that_is_no_http(self, short: Path) -> None:
        with RawHost(short / "sock", b"hello\r\n\r\n") as host:
            result = run("query", "/", socket=host.path)
        assert result == Result(
            1, b"", f"devlxdctl: {host.path}: what answers there does not speak HTTP\n".encode()
        )

    def test_is_the_same_in_every_format(self, host: RawHost) -> None:
        assert run("query", "/", "-f", "json", socket=host.path) == Result(0, b'{"a": 1}', b"")

    def test_to_a_reader_that_went_away(self, short: Path) -> None:
        with RawHost(short / "sock", response(b"line\n" * 1_000_000)) as host:
            script = f"{PROGRAM} query / --socket {host.path} | head -1; echo ${{PIPESTATUS[0]}}"
            done = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
        assert (done.stdout, done.stderr) == (b"line\n141\n", b"")

    @pytest.mark.parametrize("include", [False, True])
    def test_on_a_terminal_it_is_harmless_and_ends_its_line(self, include: bool, short: Path) -> None:
        given = response(b"red \x1b[31m \xc3\xbc \xff\r\nend", "text/plain")
        with RawHost(short / "sock", given) as host:
            ours, theirs = pty.openpty()
            argv = [PROGRAM, "query", "/", "--socket", str(host.path), *(["-i"] if include else [])]
            subprocess.run(argv, env={}, stdout=theirs, check=True)
            os.close(theirs)
            shown = os.read(ours, 10_000)
            os.close(ours)
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 19\r\n\r\n" if include else b""
        )
        assert shown == head + b"red \\x1b[31m \xc3\xbc \\xff\r\nend\r\n"


def test_a_silent_host_is_waited_for(short: Path) -> None:
    """Longer than any other command would within its time to wait, which counts until an answer only."""
    slow = threading.Event()

    def script(request: bytes) -> bytes:
        slow.wait(1.2)
        return OK

    with RawHost(short / "sock", script) as host:
        started = time.monotonic()
        assert run("query", "--wait", "0", "/", socket=host.path) == Result(0, b'{"a": 1}', b"")
        assert time.monotonic() - started > 1.2


def test_verbose_tells_neither_headers_nor_bodies(host: RawHost) -> None:
    result = run("query", "-v", "-H", "X-A: secret", "-d", "secret", "/1.0", socket=host.path)
    assert result == Result(0, b'{"a": 1}', b"devlxdctl: POST /1.0: 200\n")


def test_on_the_simulator(short: Path) -> None:
    with Simulator(short / "sock") as host:
        body = '{"state":"Ready"}'
        assert run("query", "-X", "PATCH", "-d", body, "/1.0", socket=host.path) == Result(0, b"", b"")
        assert host.ready is True
        assert run("query", "/1.0/config/user.role", socket=host.path) == Result(0, b"web", b"")
        result = run("query", "//1.0", socket=host.path)
    assert (result.status, result.stdout) == (1, b"")
    assert result.stderr == (
        b'<a href="/1.0">Temporary Redirect</a>.\n\ndevlxdctl: //1.0: the host answered with status 307\n'
    )


def test_the_recipe_makes_attaches_and_deletes_a_volume(short: Path) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    path = f"{Path(PROGRAM).parent}:{os.defpath}"
    with Simulator(short / "sock", EXAMPLES / "guest.yaml") as host:

        def recipe(token: str) -> Result:
            env = {"PATH": path, "DEVLXD_SOCKET": str(host.path), "DEVLXD_BEARER_TOKEN": token}
            done = subprocess.run([EXAMPLES / "volume.sh"], env=env, capture_output=True, check=False)
            return Result(done.returncode, done.stdout, done.stderr)

        device = b"data\tdisk\t\tpath=/srv/data\tpool=default\tsource=data\n"
        assert recipe("devlxd-token-of-web1") == Result(0, device, b"")
        assert "data" not in host.show()["devices"]
        assert recipe("last-years-token").status == 4
