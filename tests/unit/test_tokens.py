"""A bearer token in a file: read anew for each request, and never seen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devlxdctl import BadData, Client, PermissionDenied, TokenFile
from tests.support.raw_host import RawHost, response


def test_it_is_read_again_for_each_request(short: Path) -> None:
    file = short / "token"
    file.write_text("one\n")
    with RawHost(short / "sock", response(b'["/1.0"]')) as host:
        with Client(host.path, token=TokenFile(file)) as client:
            client.versions()
            file.write_text("  two \r\n")
            client.versions()
    assert [b"Bearer one\r\n" in host.requests[0], b"Bearer two\r\n" in host.requests[1]] == [True, True]


@pytest.mark.parametrize("while_replaced", ["", " \n", "half a tok", None])
def test_while_it_is_being_replaced_the_last_one_holds(while_replaced: str | None, short: Path) -> None:
    file = short / "token"
    file.write_text("one")
    token = TokenFile(file)
    assert token() == "one"
    if while_replaced is None:
        file.unlink()
    else:
        file.write_text(while_replaced)
    assert token() == "one"
    file.write_text("two")
    assert token() == "two"


def test_a_pipe_can_be_read_once_and_that_is_enough() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"one\n")
    os.close(writer)
    try:
        token = TokenFile(f"/dev/fd/{reader}")
        assert [token(), token()] == ["one", "one"]
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty, and should hold a token"),
        (b" \n\n", "it is empty, and should hold a token"),
        (b"one two", "it holds more than a token, or characters that no token has"),
        (b"one\ntwo\n", "it holds more than a token, or characters that no token has"),
        (b"\xff\xfes3cret", "it holds more than a token, or characters that no token has"),
        (b"s3cret\0", "it holds more than a token, or characters that no token has"),
        (b"s" * 70_000, "it holds more than a token, or characters that no token has"),
    ],
)
def test_what_is_no_token_is_bad_data(data: bytes, why: str, short: Path) -> None:
    (short / "token").write_bytes(data)
    with pytest.raises(BadData) as caught:
        TokenFile(short / "token")()
    assert str(caught.value) == f"{short}/token: {why}"


@pytest.mark.parametrize(("path", "why"), [("nowhere", "no such file or directory"), (".", "is a directory")])
def test_what_cannot_be_read_is_bad_data(path: str, why: str, short: Path) -> None:
    with pytest.raises(BadData) as caught:
        TokenFile(short / path)()
    assert caught.value.problem == why


def test_what_may_not_be_read_is_not_permitted(short: Path) -> None:
    file = short / "token"
    file.write_text("s3cret")
    file.chmod(0)
    code = "import sys; from devlxdctl import PermissionDenied, TokenFile\n"
    code += "try: TokenFile(sys.argv[1])()\nexcept PermissionDenied as error: print(error)"
    others = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run([*others, sys.executable, "-c", code, file], capture_output=True, check=True)
    assert done.stdout.decode() == f"{file}: permission denied\n"
    assert PermissionDenied.exit_status == 4


def test_the_stream_of_events_carries_it(short: Path) -> None:
    from devlxdctl.events.stream import TYPES, Events, Queue

    with RawHost(short / "sock", response(b"no\n", "text/plain", "403 Forbidden")) as host:
        with Client(host.path, token="one") as client, pytest.raises(PermissionDenied) as caught:
            Events(client.session, TYPES, Queue())
    assert str(caught.value.hint).startswith("the bearer token has expired or was revoked; on the host: ")
    assert b"\r\nAuthorization: Bearer one\r\n" in host.requests[0]
