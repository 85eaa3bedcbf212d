"""An answer that is cut, lies or never ends is an error, or the value: no other value, no traceback."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from devlxdctl import Client, DevLXDError, ExitStatus, NotFound, RawRequest, TimedOut, UnexpectedResponse
from devlxdctl.http.limits import MAX_HEAD, MIN_RATE, LimitedSocket
from tests.hostile.hosts import HEAD, JSON, VALUE, Endless, Once, chunked, client, resident, value
from tests.support.program import Result, run
from tests.support.raw_host import RawHost, response

MISSING = response(b"not found\n", "text/plain; charset=utf-8", "404 Not Found")
STATE = b'{"state":"Started","location":"none"}'


def closes_after(given: bytes, path: Path) -> list[str]:
    """What a client makes of the answer, cut at each of its bytes: the value, or the name of the error."""
    cut = iter([given[:size] for size in range(len(given) + 1)])
    found = []
    with Once(path, lambda request: next(cut)):
        for _ in range(len(given) + 1):
            with Client(path, wait=0) as asking:
                try:
                    found.append(asking.config_get("user.a"))
                except DevLXDError as error:
                    found.append(type(error).__name__)
    return found


@pytest.mark.parametrize(
    "given",
    [
        value(),
        HEAD + b"Content-Length: 10\r\nDate: today\r\n\r\n" + VALUE,
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Type: application/octet-stream\r\n\r\n" + VALUE,
    ],
)
def test_a_value_cut_at_any_byte_is_no_other_value(given: bytes, short: Path) -> None:
    """Where the head is cut, what is left of it is a head too, with fewer headers."""
    assert closes_after(given, short / "sock") == ["TimedOut"] * len(given) + [VALUE.decode()]


def test_chunks_cut_at_any_byte_are_no_other_value(short: Path) -> None:
    """Whether the very last line break has come makes no difference to the value."""
    given = chunked((b"6", VALUE[:6]), (b"4", VALUE[6:]))
    found = closes_after(given, short / "sock")
    assert set(found) == {"TimedOut", VALUE.decode()}
    assert found.index(VALUE.decode()) >= len(given) - len(b"\r\n\r\n")


def test_a_no_cut_at_any_byte_is_no_other_answer(short: Path) -> None:
    """The status alone is not enough to say that a key is not set."""
    found = closes_after(MISSING, short / "sock")
    assert found == ["TimedOut"] * len(MISSING) + ["NotFound"]


@pytest.mark.parametrize(
    "given",
    [
        value(),
        chunked((b"6", VALUE[:6]), (b"4", VALUE[6:])),
        # As a stream of events without a websocket: it ends with the connection.
        b"HTTP/1.1 200 OK\nContent-Type: application/json\n\n",
        response(b"", status="204 No Content"),
    ],
    ids=["length", "chunks", "no end", "nothing"],
)
def test_what_a_query_gets_is_whole_or_there_is_an_error(given: bytes, short: Path) -> None:
    cut = iter([given[:size] for size in range(len(given) + 1)])
    found: list[bytes | None] = []
    with Once(short / "sock", lambda request: next(cut)) as host:
        for _ in range(len(given) + 1):
            with Client(host.path, wait=0) as asking:
                try:
                    with asking.query(RawRequest("GET", "/")) as reply:
                        found.append(b"".join(reply.chunks()))
                except DevLXDError as error:
                    assert error.exit_status in (ExitStatus.HOST_UNAVAILABLE, ExitStatus.TIMED_OUT)
                    found.append(None)
    # Whether the line breaks behind the last chunk have come makes no difference.
    last = found.index(found[-1])
    assert found == [None] * last + [VALUE if VALUE[:6] in given else b""] * (len(found) - last)
    assert last >= len(given) - (4 if b"chunked" in given else 0)


def test_with_the_time_of_a_restart_a_cut_head_is_asked_for_again(short: Path) -> None:
    answers = iter([HEAD, b"HTTP/1.1 404 Not Found\r\nContent-", b"HTTP/1.1 2", value()])
    with Once(short / "sock", lambda request: next(answers)) as host:
        assert run("config", "get", "user.a", socket=host.path) == Result(0, VALUE + b"\n", b"")
    assert len(host.requests) == 4


NO_HTTP = "what answers there does not speak HTTP"
LIES = {
    "no end": (HEAD + b"\r\n" + VALUE, "the answer does not say where it ends"),
    "a length below zero": (
        HEAD + b"Content-Length: -10\r\n\r\n" + VALUE,
        "the answer does not say where it ends",
    ),
    "a length that is none": (
        HEAD + b"Content-Length: 1_0\r\n\r\n" + VALUE,
        "the answer does not say where it ends",
    ),
    "a coding nobody asked for": (
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\na\r\n" + VALUE + b"\r\n0\r\n\r\n",
        "the answer does not say where it ends",
    ),
    "a length of exabytes": (
        HEAD + b"Content-Length: 9223372036854775807\r\n\r\n" + VALUE,
        "the answer was cut short",
    ),
    "a length of many digits": (
        HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + VALUE,
        "the answer does not say where it ends",
    ),
    "two lengths": (HEAD + b"Content-Length: 10\r\nContent-Length: 5\r\n\r\n" + VALUE, NO_HTTP),
    "two lengths in one": (HEAD + b"Content-Length: 10, 5\r\n\r\n" + VALUE, NO_HTTP),
    "a length too short": (HEAD + b"Content-Length: 5\r\n\r\n" + VALUE, "01234"),
    "a chunk of a size below zero": (chunked((b"-5", VALUE)), NO_HTTP),
    "a chunk of exabytes": (chunked((b"7fffffffffffffff", VALUE)), "the answer was cut short"),
    "a chunk larger than any number": (chunked((b"f" * 40, VALUE)), "the answer was cut short"),
    "a chunk whose size has no end": (chunked((b"0" * 100_000 + b"a", VALUE)), NO_HTTP),
    "a chunk shorter than it says": (chunked((b"b", VALUE)), "the answer was cut short"),
    "a header of many": (HEAD + b"X: y\r\n" * 200 + b"Content-Length: 10\r\n\r\n" + VALUE, NO_HTTP),
    "no type": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + VALUE,
        "the answer is of no type, and no value",
    ),
    "two types": (
        HEAD + b"Content-Type: text/html\r\nContent-Length: 10\r\n\r\n" + VALUE,
        "the answer is application/octet-stream, text/html, and no value",
    ),
    "compressed chunks": (
        chunked((b"a", VALUE), head=HEAD + b"Content-Encoding: gzip\r\n"),
        "the answer is compressed, which was not asked for",
    ),
    "a redirect to another host": (
        response(b"", status="302 Found", extra="Location: http://127.0.0.1:9/\r\n"),
        "the host answered with status 302",
    ),
    "a head of zeros": (b"\0" * 200, None),
    "HTTP of another kind": (b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n", NO_HTTP),
    "an upgrade": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", None),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_an_error_and_quick(name: str, short: Path) -> None:
    """What is given as the reason is checked; None where several are good."""
    given, why = LIES[name]
    started = time.monotonic()
    with client(short / "sock", given) as asking:
        try:
            found = asking.config_get("user.a")
        except DevLXDError as error:
            found = error.problem.partition("; waited")[0]
            assert "\n" not in str(error)
    assert found == why or (why is None and found != VALUE.decode()), found
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "status", [*range(150, 600, 100), 101, 201, 300, 400, 500, 103, 204, 206, 304, 418, 451, 511, 599, 999]
)
def test_any_status_but_200_is_an_error(status: int, short: Path) -> None:
    given = response(VALUE, "application/octet-stream", f"{status} Odd")
    with client(short / "sock", given) as asking, pytest.raises(DevLXDError) as caught:
        asking.config_get("user.a")
    assert caught.value.http_status == status or isinstance(caught.value, TimedOut)


def test_interim_answers_are_passed_over(short: Path) -> None:
    given = b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + value()
    with client(short / "sock", given) as asking:
        assert asking.config_get("user.a") == VALUE.decode()


@pytest.mark.parametrize(
    ("given", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 60_000 + b"\r\n"),
        (b"", b"\0" * 65536),
    ],
)
def test_a_head_without_end_ends(given: bytes, again: bytes, short: Path) -> None:
    started = time.monotonic()
    with Endless(short / "sock", given, again) as host:
        result = run("state", socket=host.path)
    assert result == Result(1, b"", f"devlxdctl: {host.path}: {NO_HTTP}\n".encode())
    assert host.sent < 4 * MAX_HEAD
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("given", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        (b"", b"\0" * 65536),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    ],
)
def test_a_head_without_end_ends_a_query_too(given: bytes, again: bytes, short: Path) -> None:
    with Endless(short / "sock", given, again) as host:
        result = run("query", "/", socket=host.path, timeout=20)
    assert result == Result(1, b"", f"devlxdctl: {host.path}: {NO_HTTP}\n".encode())
    assert host.sent < 4 * MAX_HEAD


def test_a_body_without_end_ends(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devlxdctl.http.streaming.WHOLE", 8 << 20)
    before = resident()
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    with Endless(short / "sock", head, b"10000\r\n" + b"x" * 65536 + b"\r\n") as host:
        with Client(host.path, wait=0) as asking, pytest.raises(UnexpectedResponse) as caught:
            asking.config_get("user.a")
    assert caught.value.problem == f"the answer has more than {8 << 20} bytes"
    assert resident() - before < 64 << 20


def test_a_host_that_sends_a_byte_now_and_then_is_silent_after_its_time(short: Path) -> None:
    """The time that it may be silent for is a budget, and not one that each byte refills."""

    class Trickling(RawHost):
        def _send(self, connection: socket.socket, given: bytes) -> None:
            connection.settimeout(0.02)
            for number in range(len(given)):
                connection.sendall(given[number : number + 1])
                try:
                    if not connection.recv(1):
                        return
                except TimeoutError:  # the pause
                    continue

    started = time.monotonic()
    with Trickling(short / "sock", value(b"x" * 10_000)) as host:
        result = run("config", "get", "user.a", "--wait", "0.5", socket=host.path)
    expected = f"devlxdctl: {host.path}: no answer within 1 s; waited 0.5 s\n".encode()
    assert (result.status, result.stdout, result.stderr.splitlines(True)[0]) == (124, b"", expected)
    assert time.monotonic() - started < 10


def test_who_reads_slowly_is_not_taken_for_a_host_that_sends_slowly() -> None:
    """What counts is the time spent in waiting for bytes."""
    ours, theirs = LimitedSocket(), socket.socket(socket.AF_UNIX)
    with ours, theirs, socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen(1)
        ours.connect(listener.getsockname())
        ours.settimeout(0.05)
        peer, _ = listener.accept()
        with peer:
            for _ in range(3):
                peer.sendall(b"x" * MIN_RATE)
                time.sleep(0.1)  # a reader that does something else
                assert ours.recv(MIN_RATE) == b"x" * MIN_RATE


def test_a_socket_that_was_replaced_is_the_one_that_is_asked(short: Path) -> None:
    """The connection that was kept leads to nobody any more."""
    path = short / "sock"
    with Client(path, wait=0) as asking:
        for number in range(3):
            with RawHost(path, value(b"%d" % number)):
                assert asking.config_get("user.a") == str(number)
                assert asking.config_get("user.a") == str(number)
            path.unlink()


def test_a_404_is_a_404(short: Path) -> None:
    with client(short / "sock", MISSING) as asking, pytest.raises(NotFound):
        asking.config_get("user.a")


def test_the_catalogue_of_lies_in_the_words_of_the_command(short: Path) -> None:
    """One line, no traceback, nothing on stdout."""
    lies = [chunked((b"-5", VALUE), head=JSON), JSON + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"]
    for number, given in enumerate(lies):
        with Once(short / str(number), given) as host:
            result = run("state", socket=host.path)
        assert result == Result(1, b"", f"devlxdctl: {host.path}: {NO_HTTP}\n".encode())
