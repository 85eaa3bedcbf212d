"""What is wrong with the socket or the response decides the exit status, the error and its hint."""

from __future__ import annotations

import gzip
import os
import socket
from pathlib import Path

import pytest

from devlxdctl.guest import guest_signs
from tests.support.program import OBEY_FILE_MODES, failure, run
from tests.support.raw_host import RawHost, Script, response

NO_SOCKET = (
    "is this a guest of LXD or Incus? If it is, on the host: lxc config set INSTANCE security.devlxd=true"
)
SWITCH_ON = "on the host: lxc config set INSTANCE security.devlxd=true"
ONLY_ROOT = "only root can use it: sudo devlxdctl …"
UPGRADE = "upgrade LXD on the host: this version does not support it"
STATE = b'{"state":"Started","api_version":"1.0","instance_type":"container","location":"none"}\n'
TEXT = "text/plain; charset=utf-8"


@pytest.fixture
def lxd_socket(socket_directory: Path) -> Path:
    """A path for a socket in a directory `lxd`, from which hints name LXD."""
    (socket_directory / "lxd").mkdir()
    return socket_directory / "lxd" / "sock"


class TestSocket:
    def test_missing_socket_exits_5(self, lxd_socket: Path) -> None:
        assert run("state", socket=lxd_socket) == failure(5, f"{lxd_socket}: no such socket", NO_SOCKET)

    def test_hint_for_a_missing_socket_of_incus_names_incus(self, socket_directory: Path) -> None:
        path = socket_directory / "incus" / "sock"
        hint = NO_SOCKET.replace("lxc", "incus").replace("security.devlxd", "security.guestapi")
        assert run("state", socket=path) == failure(5, f"{path}: no such socket", hint)

    def test_file_in_place_of_the_directory_exits_5(self, lxd_socket: Path) -> None:
        lxd_socket.touch()
        path = lxd_socket / "sock"
        result = run("state", socket=path)
        assert (result.status, result.stderr.splitlines()[0]) == (
            5,
            f"devlxdctl: {path}: no such socket".encode(),
        )

    def test_directory_in_place_of_the_socket_exits_5(self, socket_directory: Path) -> None:
        assert run("state", socket=socket_directory) == failure(
            5, f"{socket_directory}: is a directory, not a socket"
        )

    @pytest.mark.parametrize("options", [[], ["--wait", "60"]])
    def test_file_in_place_of_the_socket_exits_5_without_a_wait(
        self, options: list[str], lxd_socket: Path
    ) -> None:
        lxd_socket.touch()
        assert run("state", *options, socket=lxd_socket) == failure(
            5, f"{lxd_socket}: is a file, not a socket"
        )

    def test_dangling_link_exits_5(self, lxd_socket: Path) -> None:
        lxd_socket.symlink_to(lxd_socket.parent / "none")
        assert run("state", socket=lxd_socket) == failure(5, f"{lxd_socket}: no such socket", NO_SOCKET)

    def test_link_to_itself_exits_5(self, lxd_socket: Path) -> None:
        lxd_socket.symlink_to(lxd_socket)
        assert run("state", socket=lxd_socket) == failure(
            5, f"{lxd_socket}: too many levels of symbolic links", NO_SOCKET
        )

    def test_datagram_socket_exits_5(self, lxd_socket: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(str(lxd_socket))
            result = run("state", socket=lxd_socket)
        assert (result.status, result.stdout) == (5, b"")
        assert result.stderr.startswith(f"devlxdctl: {lxd_socket}: ".encode())

    def test_path_that_is_too_long_exits_2(self, socket_directory: Path) -> None:
        path = socket_directory / ("x" * 100)
        problem = f"socket paths have at most 107 bytes, this one has {len(str(path))}"
        assert run("state", socket=path) == failure(2, f"{path}: {problem}")

    @pytest.mark.skipif(bool(guest_signs()), reason="this machine is a guest and has a socket")
    def test_empty_variable_counts_as_unset(self) -> None:
        assert run("state", env={"DEVLXD_SOCKET": ""}) == failure(
            5, "/dev/lxd/sock: no such socket", NO_SOCKET
        )

    def test_socket_without_permission_exits_4(self, lxd_socket: Path) -> None:
        with RawHost(lxd_socket, response(STATE)):
            lxd_socket.chmod(0o400)
            result = run("state", socket=lxd_socket, prefix=OBEY_FILE_MODES)
        assert result == failure(4, f"{lxd_socket}: permission denied", ONLY_ROOT)


DAEMON = "the daemon of the host is stopped or starting; on the host: {} info"
AGENT = "the agent of this virtual machine is not running: systemctl status {}"
GUESTS = {
    "/dev/lxd": ("/dev/lxd/sock: no such socket now", DAEMON.format("lxc")),
    "/dev/incus": ("/dev/incus/sock: no such socket now", DAEMON.format("incus")),
    "/dev/virtio-ports/org.linuxcontainers.lxd": (
        "/dev/lxd/sock: no such socket now",
        AGENT.format("lxd-agent"),
    ),
    "/dev/virtio-ports/org.linuxcontainers.incus": (
        "/dev/incus/sock: no such socket now",
        AGENT.format("incus-agent"),
    ),
    "/dev/.lxd-mounts": ("/dev/lxd/sock: no such socket", SWITCH_ON),
    "/dev/.incus-mounts": (
        "/dev/incus/sock: no such socket",
        "on the host: incus config set INSTANCE security.guestapi=true",
    ),
}
"""What exists in a guest whose socket is missing, with the error and its hint."""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.skipif(bool(guest_signs()), reason="this machine is a guest and has a socket")
@pytest.mark.parametrize("directory", GUESTS)
def test_signs_of_a_guest_decide_what_a_missing_socket_means(directory: str) -> None:
    error, hint = GUESTS[directory]
    script = 'mount -t tmpfs tmpfs /dev && mkdir -p "$0" && exec "$@"'
    result = run("--wait", "0", "state", prefix=("unshare", "-m", "sh", "-c", script, directory))
    if result.stderr.startswith((b"unshare:", b"mount:")):
        pytest.skip(f"cannot mount: {result.stderr.decode()}")
    assert result == failure(124, f"{error}; waited 0 s", hint)


UNEXPECTED: dict[str, tuple[Script | bytes | None, str]] = {
    "not JSON": (response(b"hello"), "/1.0: response is not valid JSON"),
    "truncated JSON": (response(STATE[:20]), "/1.0: response is not valid JSON"),
    "JSON that is not UTF-8": (response(b'{"state":"\xff"}'), "/1.0: response is not valid JSON"),
    "NaN": (response(b'{"state":NaN}'), "/1.0: response is not valid JSON"),
    "JSON that is nested too deeply": (response(b"[" * 100_000), "/1.0: response is not valid JSON"),
    "empty body": (response(b""), "/1.0: response is not valid JSON"),
    "JSON string": (response(b'"state"'), "/1.0: response is not a JSON object"),
    "JSON list": (response(b'["x"]'), "/1.0: response is not a JSON object"),
    "HTML": (response(b"<html>", "text/html; charset=utf-8"), "/1.0: unexpected content type text/html"),
    "no content type": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "/1.0: unexpected content type none",
    ),
    "compressed": (
        response(gzip.compress(STATE), extra="Content-Encoding: gzip\r\n"),
        "/1.0: unexpected Content-Encoding",
    ),
    "redirect": (
        response(b"", "text/html", "307 Temporary Redirect", "Location: /1.0\r\n"),
        "/1.0: HTTP status 307",
    ),
    "202": (response(STATE, status="202 Accepted"), "/1.0: HTTP status 202"),
    "400": (
        response(b"400 Bad Request", TEXT, "400 Bad Request", "Connection: close\r\n"),
        "/1.0: HTTP status 400: 400 Bad Request",
    ),
    "another protocol": (b"220 mail.example.org ESMTP\r\n\r\n", "{socket}: not an HTTP server"),
    "closed connections": (None, "{socket}: not an HTTP server"),
    "status that is not a number": (b"HTTP/1.1 abc OK\r\n\r\n", "{socket}: not an HTTP server"),
    "header that is too long": (
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        "{socket}: not an HTTP server",
    ),
}


@pytest.mark.parametrize("name", UNEXPECTED)
def test_unexpected_response_exits_1(name: str, lxd_socket: Path) -> None:
    script, error = UNEXPECTED[name]
    with RawHost(lxd_socket, script):
        result = run("state", socket=lxd_socket)
    assert result == failure(1, error.format(socket=lxd_socket))


STATUSES: dict[str, tuple[bytes, int, str, str]] = {
    "401": (
        response(b"Access denied for non-root user\n", TEXT, "401 Unauthorized"),
        4,
        "/1.0: permission denied: Access denied for non-root user",
        ONLY_ROOT,
    ),
    "403": (
        response(b"not authorized\n", TEXT, "403 Forbidden"),
        4,
        "/1.0: permission denied",
        SWITCH_ON,
    ),
    "403 with JSON": (
        response(b'{"type":"error","error_code":403,"error":"Forbidden"}\n', status="403 Forbidden"),
        4,
        "/1.0: permission denied",
        SWITCH_ON,
    ),
    "403 with an error that is not text": (
        response(b'{"error":5}', status="403 Forbidden"),
        4,
        "/1.0: permission denied",
        SWITCH_ON,
    ),
    "404": (
        response(b"404 page not found\n", TEXT, "404 Not Found"),
        3,
        "/1.0: not supported by this host",
        UPGRADE,
    ),
    "404 of the main API": (
        response(b'{"type":"error","error_code":404,"error":"not found"}\n', status="404 Not Found"),
        3,
        "{socket}: not a devLXD socket, but one of the main API",
        "set the path of the socket with --socket or DEVLXD_SOCKET",
    ),
    "405": (
        response(b'method "GET" not allowed\n', TEXT, "405 Method Not Allowed"),
        3,
        '/1.0: not supported by this host: method "GET" not allowed',
        UPGRADE,
    ),
    "501": (
        response(b"Not Implemented\n", TEXT, "501 Not Implemented"),
        3,
        "/1.0: not supported by this host: Not Implemented",
        UPGRADE,
    ),
    "list of versions, which LXD 6.9 sends for unknown paths": (
        response(b'["/1.0"]\n'),
        3,
        "/1.0: not supported by this host",
        UPGRADE,
    ),
    "text of 300 characters": (
        response(b"x" * 300 + b"\nmore", TEXT, "401 Unauthorized"),
        4,
        f"/1.0: permission denied: {'x' * 200}",
        ONLY_ROOT,
    ),
    "409": (response(b"exists\n", TEXT, "409 Conflict"), 8, "/1.0: HTTP status 409: exists", ""),
    "412": (
        response(b"changed\n", TEXT, "412 Precondition Failed"),
        8,
        "/1.0: HTTP status 412: changed",
        "",
    ),
    "505": (
        response(b"no\n", "text/plain", "505 HTTP Version Not Supported"),
        7,
        "/1.0: HTTP status 505: no",
        "",
    ),
    "401 with control characters": (
        response(b"\x1b[31mno\x07\xc2\x9b\xff", "text/plain", "401 Unauthorized"),
        4,
        r"/1.0: permission denied: \x1b[31mno\x07\xc2\x9b�",
        ONLY_ROOT,
    ),
}


@pytest.mark.parametrize("name", STATUSES)
def test_http_status_decides_exit_status_and_hint(name: str, lxd_socket: Path) -> None:
    given, status, error, hint = STATUSES[name]
    with RawHost(lxd_socket, given):
        assert run("state", socket=lxd_socket) == failure(status, error.format(socket=lxd_socket), hint)
