"""`TokenFile`: a bearer token that is read from its file for each request."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devlxdctl import BadData, Client, DevLXDError, PermissionDenied, TokenFile
from tests.support.raw_host import RawHost, response

INVALID = "contains more than a token, or invalid characters"
EMPTY = "is empty, expected a token"


def test_token_file_is_read_for_each_request(socket_directory: Path) -> None:
    file = socket_directory / "token"
    file.write_text("one\n")
    with RawHost(socket_directory / "sock", response(b'["/1.0"]')) as raw_host:
        with Client(raw_host.path, token=TokenFile(file)) as client:
            client.versions()
            file.write_text("  two \r\n")
            client.versions()
    first, second = raw_host.requests
    assert b"\r\nAuthorization: Bearer one\r\n" in first
    assert b"\r\nAuthorization: Bearer two\r\n" in second


@pytest.mark.parametrize("content", ["", " \n", "half a tok", None], ids=repr)
def test_previous_token_is_kept_while_the_file_is_replaced(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    token = TokenFile(file)
    assert token() == "one"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    assert token() == "one"
    file.write_text("two")
    assert token() == "two"


def test_pipe_is_read_once_and_its_token_kept() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"one\n")
    os.close(writer)
    try:
        token = TokenFile(f"/dev/fd/{reader}")
        assert [token(), token()] == ["one", "one"]
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", EMPTY),
        (b" \n\n", EMPTY),
        (b"one two", INVALID),
        (b"one\ntwo\n", INVALID),
        (b"\xff\xfes3cret", INVALID),
        (b"s3cret\0", INVALID),
        (b"s" * 65_537, INVALID),
        (b"s3cret" + b"\n" * 65_536, INVALID),
    ],
    ids=[
        "empty",
        "white space",
        "two words",
        "two lines",
        "not ASCII",
        "NUL",
        "65,537 bytes",
        "65,536 newlines",
    ],
)
def test_file_without_a_valid_token_is_bad_data(data: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(data)
    with pytest.raises(BadData) as caught:
        TokenFile(tmp_path / "token")()
    assert str(caught.value) == f"{tmp_path}/token: {problem}"


def test_token_of_64_kib_is_valid(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s" * 65_536)
    assert TokenFile(tmp_path / "token")() == "s" * 65_536


@pytest.mark.parametrize(
    ("path", "problem"), [("missing", "no such file or directory"), (".", "is a directory")]
)
def test_file_that_cannot_be_read_is_bad_data(path: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(BadData) as caught:
        TokenFile(tmp_path / path)()
    assert caught.value.problem == problem


def test_nul_in_the_path_is_bad_data() -> None:
    with pytest.raises(BadData) as caught:
        TokenFile("a\0b")()
    assert str(caught.value) == r"'a\x00b': not a valid file name"


def test_file_without_read_permission_is_permission_denied(socket_directory: Path) -> None:
    file = socket_directory / "token"
    file.write_text("s3cret")
    file.chmod(0)
    code = "import sys; from devlxdctl import PermissionDenied, TokenFile\n"
    code += "try: TokenFile(sys.argv[1])()\nexcept PermissionDenied as error: print(error)"
    without_override = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    prefix = without_override if os.geteuid() == 0 else []
    done = subprocess.run([*prefix, sys.executable, "-c", code, file], capture_output=True, check=True)
    assert done.stdout.decode() == f"{file}: permission denied\n"


def test_event_stream_sends_the_token_and_a_403_names_it_as_the_cause(socket_directory: Path) -> None:
    given = response(b"no\n", "text/plain", "403 Forbidden")
    with RawHost(socket_directory / "sock", given) as raw_host, Client(raw_host.path, token="one") as client:
        with pytest.raises(DevLXDError) as caught:
            client.events()
    assert isinstance(caught.value, PermissionDenied)
    assert caught.value.hint == (
        "the bearer token has expired or was revoked; on the host: lxc auth identity token issue devlxd/NAME"
    )
    assert b"\r\nAuthorization: Bearer one\r\n" in raw_host.requests[0]
