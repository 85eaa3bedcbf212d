"""Whatever is wrong with the socket or the answer: its status, one line, its hint, and nothing on stdout."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.exports import FINGERPRINT, IMAGE, Holding, unified
from tests.support.program import PROGRAM, Result, run
from tests.support.raw_host import RawHost, Script, response

API_OFF = (
    "hint: is this a guest of LXD or Incus? If it is, on the host: "
    "lxc config set INSTANCE security.devlxd=true\n"
)
DAEMON = "hint: the daemon of the host is down or starting; on the host: lxc info\n"
HANGS = "hint: the daemon of the host hangs; on the host: lxc info\n"
ROOT = "hint: only root may use it: sudo devlxdctl …\n"
TOO_OLD = "hint: the LXD of this host does not offer it: upgrade the host\n"
NOT_KNOWN = (
    "hint: a process in a container inside this guest is not known to the host: run it in the guest itself. "
    "Otherwise look at the daemon; on the host: lxc info\n"
)
STATE = b'{"state":"Started","api_version":"1.0","instance_type":"container","location":"none"}\n'


def failed(status: int, *lines: str) -> Result:
    return Result(status, b"", "".join(lines).encode())


class TestThePathItself:
    def test_absent(self, short: Path) -> None:
        path = short / "sock"
        assert run("state", socket=path) == failed(5, f"devlxdctl: {path}: no such socket\n", API_OFF)

    def test_absent_in_the_words_of_incus(self, short: Path) -> None:
        path = short / "incus" / "sock"
        assert run("state", socket=path) == failed(
            5,
            f"devlxdctl: {path}: no such socket\n",
            API_OFF.replace("lxc", "incus").replace("security.devlxd", "security.guestapi"),
        )

    def test_under_a_file(self, short: Path) -> None:
        (short / "file").touch()
        path = short / "file" / "sock"
        assert run("state", socket=path) == failed(5, f"devlxdctl: {path}: no such socket\n", API_OFF)

    def test_a_directory(self, short: Path) -> None:
        assert run("state", socket=short) == failed(5, f"devlxdctl: {short}: is a directory, not a socket\n")

    def test_a_file(self, short: Path) -> None:
        path = short / "sock"
        path.touch()
        assert run("state", socket=path) == failed(5, f"devlxdctl: {path}: is a file, not a socket\n")

    def test_what_is_no_socket_is_not_waited_for(self, short: Path) -> None:
        path = short / "sock"
        path.touch()
        expected = failed(5, f"devlxdctl: {path}: is a file, not a socket\n")
        assert run("state", "--wait", "60", socket=path) == expected

    def test_a_dangling_link(self, short: Path) -> None:
        path = short / "sock"
        path.symlink_to(short / "nowhere")
        assert run("state", socket=path) == failed(5, f"devlxdctl: {path}: no such socket\n", API_OFF)

    def test_a_circle_of_links(self, short: Path) -> None:
        path = short / "sock"
        path.symlink_to(path)
        expected = failed(5, f"devlxdctl: {path}: too many levels of symbolic links\n", API_OFF)
        assert run("state", socket=path) == expected

    def test_a_socket_of_another_kind(self, short: Path) -> None:
        path = short / "sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(str(path))
            expected = failed(5, f"devlxdctl: {path}: it is no stream socket\n", API_OFF)
            assert run("state", socket=path) == expected

    def test_too_long(self, short: Path) -> None:
        path = short / ("x" * 100)
        length = len(str(path))
        why = f"the path of a socket has at most 107 bytes and no NUL, this one has {length}"
        assert run("state", socket=path) == failed(2, f"devlxdctl: {path}: {why}\n")

    def test_an_empty_variable_counts_as_unset(self) -> None:
        expected = failed(5, "devlxdctl: /dev/lxd/sock: no such socket\n", API_OFF)
        assert run("state", env={"DEVLXD_SOCKET": ""}) == expected

    def test_no_permission(self, short: Path) -> None:
        path = short / "sock"
        as_others = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
        with RawHost(path, response(STATE)):
            path.chmod(0o400)
            argv = [*as_others, PROGRAM, "state", "--socket", str(path)]
            done = subprocess.run(
                argv, env={"PATH": os.defpath}, capture_output=True, timeout=60, check=False
            )
        assert Result(done.returncode, done.stdout, done.stderr) == failed(
            4, f"devlxdctl: {path}: permission denied\n", ROOT
        )


NONSENSE: dict[str, tuple[Script | bytes | None, str]] = {
    "no JSON": (response(b"hello"), "{path}: the answer is not valid JSON"),
    "JSON cut short": (response(STATE[:20]), "{path}: the answer is not valid JSON"),
    "JSON that is not UTF-8": (response(b'{"state":"\xff"}'), "{path}: the answer is not valid JSON"),
    "NaN": (response(b'{"state":NaN}'), "{path}: the answer is not valid JSON"),
    "JSON nested too deeply": (response(b"[" * 100_000), "{path}: the answer is not valid JSON"),
    "nothing": (response(b""), "{path}: the answer is not valid JSON"),
    "a string": (response(b'"state"'), "{path}: the answer should be an object in JSON, and is not"),
    "another list": (response(b'["x"]'), "{path}: the answer should be an object in JSON, and is not"),
    "HTML": (response(b"<html>", "text/html; charset=utf-8"), "{path}: the answer is text/html, not JSON"),
    "no content type": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "{path}: the answer is of no type, not JSON",
    ),
    "compressed": (
        response(gzip.compress(STATE), extra="Content-Encoding: gzip\r\n"),
        "{path}: the answer is compressed, which was not asked for",
    ),
    "a redirect": (
        response(b"", "text/html", "307 Temporary Redirect", "Location: /1.0\r\n"),
        "{path}: the host answered with status 307",
    ),
    "another success": (response(STATE, status="202 Accepted"), "{path}: the host answered with status 202"),
    "a bad request": (
        response(b"400 Bad Request", "text/plain; charset=utf-8", "400 Bad Request", "Connection: close\r\n"),
        "{path}: the host answered with status 400: 400 Bad Request",
    ),
    "no HTTP": (b"220 mail.example.org ESMTP\r\n\r\n", "{socket}: what answers there does not speak HTTP"),
    "a status that is no number": (
        b"HTTP/1.1 abc OK\r\n\r\n",
        "{socket}: what answers there does not speak HTTP",
    ),
    "a header without end": (
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        "{socket}: what answers there does not speak HTTP",
    ),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_status_1(name: str, short: Path) -> None:
    script, line = NONSENSE[name]
    with RawHost(short / "sock", script) as host:
        result = run("state", socket=host.path)
    line = line.format(path="/1.0", socket=host.path)
    assert result == failed(1, f"devlxdctl: {line}\n")


REFUSALS = {
    "401": (
        4,
        response(b"Access denied for non-root user\n", "text/plain; charset=utf-8", "401 Unauthorized"),
        "/1.0: not permitted: Access denied for non-root user",
        ROOT,
    ),
    "403": (
        4,
        response(b"not authorized\n", "text/plain; charset=utf-8", "403 Forbidden"),
        "/1.0: not permitted: not authorized",
        "hint: the devLXD API is switched off; on the host: lxc config set INSTANCE security.devlxd=true\n",
    ),
    "403 in the form of the main API": (
        4,
        response(b'{"type":"error","error_code":403,"error":"Forbidden"}\n', status="403 Forbidden"),
        "/1.0: not permitted: Forbidden",
        "hint: the devLXD API is switched off; on the host: lxc config set INSTANCE security.devlxd=true\n",
    ),
    "404": (
        3,
        response(b"404 page not found\n", "text/plain; charset=utf-8", "404 Not Found"),
        "/1.0: this host does not offer it: 404 page not found",
        TOO_OLD,
    ),
    "405": (
        3,
        response(b'method "GET" not allowed\n', "text/plain; charset=utf-8", "405 Method Not Allowed"),
        '/1.0: this host does not offer it: method "GET" not allowed',
        TOO_OLD,
    ),
    "501": (
        3,
        response(b"Not Implemented\n", "text/plain; charset=utf-8", "501 Not Implemented"),
        "/1.0: this host does not offer it: Not Implemented",
        TOO_OLD,
    ),
    "the list of versions, LXD 6.9's answer to paths that it does not know": (
        3,
        response(b'["/1.0"]\n'),
        "/1.0: this host does not offer it",
        TOO_OLD,
    ),
    "an error whose JSON is odd": (
        4,
        response(b'{"error":5}', status="403 Forbidden"),
        "/1.0: not permitted",
        "hint: the devLXD API is switched off; on the host: lxc config set INSTANCE security.devlxd=true\n",
    ),
    "an error with a sequence for the terminal in its text": (
        4,
        response(b"\x1b[31mno\x07\xc2\x9b\xff", "text/plain", "401 Unauthorized"),
        r"/1.0: not permitted: \x1b[31mno\x07\xc2\x9b�",
        ROOT,
    ),
    "505, a failure that no restart explains": (
        7,
        response(b"no\n", "text/plain", "505 HTTP Version Not Supported"),
        "/1.0: the host answered with status 505: no",
        "",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_status_of_the_host_has_its_own(name: str, short: Path) -> None:
    status, given, line, advice = REFUSALS[name]
    with RawHost(short / "sock", given) as host:
        assert run("state", socket=host.path) == failed(status, f"devlxdctl: {line}\n", advice)


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """A socket whose listener has died without removing it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    yield


@contextmanager
def silent(path: Path) -> Iterator[None]:
    """A host that takes connections and never answers."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        yield


@contextmanager
def full(path: Path) -> Iterator[None]:
    """A host that hangs so long that no further connection fits into its queue."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(0)
        other = stack.enter_context(socket.socket(socket.AF_UNIX))
        other.connect(str(path))
        yield


Maker = Callable[[Path], AbstractContextManager[object]]


def raw(script: Script | bytes | None) -> Maker:
    return lambda path: RawHost(path, script)


LASTING: dict[str, tuple[Maker, str, str]] = {
    "refused": (refusing, "{socket}: connection refused", DAEMON),
    "full": (full, "{socket}: too busy to accept connections", HANGS),
    "closed unanswered": (raw(None), "{socket}: the host closed the connection without an answer", DAEMON),
    "cut short": (raw(response(STATE, length=500)), "{socket}: the answer was cut short", DAEMON),
    "a chunk cut short": (
        raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{"
        ),
        "{socket}: the answer was cut short",
        DAEMON,
    ),
    "a chunk of no size": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"),
        "{socket}: the answer was cut short",
        DAEMON,
    ),
    "500": (
        raw(response(b"sql: database is closed\n", "text/plain", "500 Internal Server Error")),
        "/1.0: the host answered with status 500: sql: database is closed",
        NOT_KNOWN,
    ),
    "503": (
        raw(response(b"", "text/plain", "503 Service Unavailable")),
        "/1.0: the host answered with status 503",
        NOT_KNOWN,
    ),
}


def test_what_looks_like_a_restart_is_borne_for_ten_seconds_and_a_silent_host_for_fifteen(
    short: Path,
) -> None:
    """All at once, since each takes its time."""
    with ExitStack() as stack:
        started = time.monotonic()
        programs = {}
        for name, (make, _, _) in {**LASTING, "silent": (silent, "", "")}.items():
            path = short / name
            stack.enter_context(make(path))
            programs[name] = subprocess.Popen(
                [PROGRAM, "state", "--socket", path], env={}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        # In the middle of a long answer it has as long, whatever is left of the time for its beginning.
        (short / "to").mkdir()
        middle = stack.enter_context(Holding(short / "middle", unified()[:-1]))
        options = ["--socket", str(middle.path), "--wait", "1", "-o", str(short / "to")]
        programs["middle"] = subprocess.Popen(
            [PROGRAM, "image", "export", *options, FINGERPRINT],
            env={},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        ends = {}
        for name, program in programs.items():
            stdout, stderr = program.communicate(timeout=40)
            ends[name] = Result(program.returncode, stdout, stderr)
        took = time.monotonic() - started
    for name, (_, line, advice) in LASTING.items():
        text = line.format(socket=short / name)
        found = ends[name]
        seconds = found.stderr.partition(b"; tried for ")[2].partition(b" s\n")[0].decode()
        assert seconds in {"9", "10", "11"}, (name, found)
        assert found == failed(7, f"devlxdctl: {text}; tried for {seconds} s\n", advice)
    assert ends["silent"] == failed(7, f"devlxdctl: {short / 'silent'}: no answer within 15 s\n", HANGS)
    why = f"the connection was lost after 0 of {len(IMAGE)} bytes: no answer within 15 s"
    assert ends["middle"] == failed(7, f"devlxdctl: {FINGERPRINT}: {why}\n", HANGS)
    assert list((short / "to").iterdir()) == []
    assert 15 <= took < 30


@pytest.mark.parametrize(
    ("make", "why", "advice"),
    [
        (refusing, "connection refused", DAEMON),
        (silent, "no answer within 1 s", HANGS),
        (raw(None), "the host closed the connection without an answer", DAEMON),
    ],
)
def test_with_wait_they_are_borne_for_that_long_and_end_with_124(
    make: Maker, why: str, advice: str, short: Path
) -> None:
    path = short / "sock"
    with make(path):
        result = run("state", "--wait", "0.3", socket=path)
    assert result == failed(124, f"devlxdctl: {path}: {why}; waited 0.3 s\n", advice)


def test_wait_0_looks_once(short: Path) -> None:
    path = short / "sock"
    with refusing(path):
        assert run("state", "--wait", "0", socket=path) == failed(
            124, f"devlxdctl: {path}: connection refused; waited 0 s\n", DAEMON
        )


def test_an_answer_that_comes_a_byte_at_a_time_is_taken(short: Path) -> None:
    class Slowly(RawHost):
        def _send(self, connection: socket.socket, given: bytes) -> None:
            for number in range(len(given)):
                connection.sendall(given[number : number + 1])

    with Slowly(short / "sock", response(STATE)) as host:
        result = run("state", "state", socket=host.path)
    assert result == Result(0, b"Started\n", b"")


def test_a_host_that_fails_at_first_is_asked_again(short: Path) -> None:
    answers = iter(
        [
            None,
            response(b"starting\n", "text/plain", "500 Internal Server Error"),
            response(STATE, length=500),
            response(STATE),
        ]
    )
    with RawHost(short / "sock", lambda request: next(answers)) as host:
        result = run("state", "state", socket=host.path)
    assert result == Result(0, b"Started\n", b"")
    assert len(host.requests) == 4
