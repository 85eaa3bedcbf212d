"""Raw requests on every host."""

from __future__ import annotations

from tests.contract.commands import devlxdctl, stdout_of
from tests.contract.expected import EXPECTED
from tests.hosts import Host


def test_query_prints_the_body_and_with_include_the_head(any_host: Host) -> None:
    any_host.set({"user.role": "web"})
    assert stdout_of(any_host, "query", "/1.0/config/user.role") == b"web"
    output = stdout_of(any_host, "query", "-i", "/1.0/config/user.role")
    assert output.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nDate: ")
    assert output.endswith(b"\r\nContent-Length: 3\r\n\r\nweb")


def test_query_prints_one_header(any_host: Host) -> None:
    any_host.set({"user.role": "web"})
    argv = ["query", "--header-out", "content-length", "/1.0/config/user.role"]
    assert stdout_of(any_host, *argv) == b"3\n"


def test_query_of_an_unset_key_writes_the_text_of_the_host_to_stderr(any_host: Host) -> None:
    result = devlxdctl(any_host, "query", "/1.0/config/user.none")
    text = {"not authorized": "not found", "Forbidden": "Not Found"}[EXPECTED[any_host.name].forbidden]
    lines = f"{text}\ndevlxdctl: /1.0/config/user.none: HTTP status 404\n"
    assert (result.status, result.stdout, result.stderr) == (6, b"", lines.encode())


def test_query_sends_a_path_unchanged_and_does_not_follow_the_redirect(any_host: Host) -> None:
    result = devlxdctl(any_host, "query", "-i", "/1.0/config/a/../b")
    assert (result.status, result.stdout[:11]) == (1, b"HTTP/1.1 30")
    assert b"\r\nLocation: /1.0/config/b\r\n" in result.stdout


def test_query_sends_a_body_from_stdin(any_host: Host) -> None:
    argv = ["query", "-X", "PATCH", "-d", "@-", "/1.0"]
    result = devlxdctl(any_host, *argv, stdin=b'{"state":"Ready"}')
    assert (result.status, result.stderr) == (0, b"")
    if EXPECTED[any_host.name].has_readiness:
        assert result.stdout == b""
        assert any_host.ready() is True
