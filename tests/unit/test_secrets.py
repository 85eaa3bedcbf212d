"""Bearer tokens and the token of Ubuntu Pro appear in no repr, log, error or traceback."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from devlxdctl import Client, DevLXDError, TokenFile
from devlxdctl.http.endpoints import STATE
from devlxdctl.http.messages import Request, Response
from devlxdctl.http.raw import RawRequest
from tests.support.program import PROGRAM
from tests.support.raw_host import RawHost, Script, response

SECRET = "S3cr3tT0k3n"
FORBIDDEN = response(b"no\n", "text/plain", "403 Forbidden")

RESPONSES: dict[str, Script | bytes | None] = {
    "status 403": FORBIDDEN,
    "connection closed": None,
    "no HTTP": b"\0\1\2\r\n\r\n",
    "truncated": response(b'{"guest_token":"%b' % SECRET.encode(), length=500),
    "no JSON": response(b'{"guest_token":"%b' % SECRET.encode()),
    "HTML": response(SECRET.encode(), "text/html"),
    "list": response(b'["%b"]' % SECRET.encode()),
    "token that is an object": response(b'{"guest_token":{"%b":1}}' % SECRET.encode()),
    "compressed": response(SECRET.encode(), extra="Content-Encoding: gzip\r\n"),
    "redirect": response(b"", "text/html", "307 Temporary Redirect", "Location: /1.0\r\n"),
}
CALLS: dict[str, Callable[[Client], object]] = {
    "versions": Client.versions,
    "pro_token": Client.pro_token,
    "request": lambda client: client.request(
        "POST", "/1.0", headers=[("X-Secret", SECRET)], body=SECRET.encode()
    ).close(),
    "events": lambda client: client.events().close(),
}
# websocket-client's errors contain the response to a handshake: it is the host's text, without secrets.
CASES = [
    (call, name)
    for call in CALLS
    for name, given in RESPONSES.items()
    if call != "events" or SECRET not in repr(given)
]


@pytest.mark.parametrize(("call", "name"), CASES)
def test_failed_call_shows_no_secret_in_error_traceback_or_log(
    call: str, name: str, socket_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with RawHost(socket_directory / "sock", RESPONSES[name]) as raw_host:
        with Client(raw_host.path, wait=0, token=SECRET) as client:
            try:
                CALLS[call](client)
            except DevLXDError as error:
                shown = "".join(traceback.format_exception(error))
                shown += repr(error) + str(error.hint) + repr(client)
                assert SECRET not in shown
    assert SECRET not in caplog.text
    assert SECRET.encode() in raw_host.requests[0]


@pytest.mark.parametrize(
    "token", [f"{SECRET} x", f"{SECRET}\n", f"{SECRET}ü", f"{SECRET}\x00", f"{SECRET}\r\nX: y"]
)
def test_token_with_invalid_characters_is_not_shown(token: str, socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", response(b"[]")) as raw_host:
        with Client(raw_host.path, token=token) as client:
            for call in CALLS.values():
                with pytest.raises(DevLXDError) as caught:
                    call(client)
                assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert raw_host.requests == []


def test_repr_and_str_show_no_secret(socket_directory: Path) -> None:
    file = socket_directory / "token"
    file.write_text(SECRET)
    token_file = TokenFile(file)
    assert token_file() == SECRET
    headers = {"Authorization": SECRET}
    objects: dict[object, str] = {
        token_file: f"TokenFile('{file}')",
        Client("/run/sock", token=SECRET): "Client(socket='/run/sock', timeout=15, wait=None)",
        RawRequest("POST", "/1.0", tuple(headers.items()), SECRET.encode()): "RawRequest('POST', '/1.0')",
        Response(200, "text/plain", SECRET.encode()): f"Response(200, 'text/plain', {len(SECRET)} bytes)",
    }
    for each, expected in objects.items():
        assert [repr(each), str(each), f"{each}"] == [expected] * 3
    request = Request("GET", "/1.0", STATE, SECRET.encode(), headers=headers)
    assert [repr(request), str(request)] == ["Request('GET', '/1.0')"] * 2
    body = RawRequest("POST", "/1.0", (), io.BytesIO(SECRET.encode()))
    assert repr(body) == "RawRequest('POST', '/1.0')"
    with RawHost(socket_directory / "sock", response(b"[]")) as raw_host:
        with Client(raw_host.path, token=SECRET) as client, client.request("GET", "/1.0") as found:
            assert repr(found) == "<RawResponse [200]>"
            assert SECRET not in repr(vars(found))


COMMANDS = [
    ["versions"],
    ["state"],
    ["config", "ls"],
    ["config", "get", "user.a"],
    ["config", "watch"],
    ["devices"],
    ["events"],
    ["wait", "config", "user.a", "--timeout", "1"],
    ["metadata"],
    ["dump"],
    ["pro", "status"],
    ["pro", "token"],
    ["query", "/1.0"],
    ["query", "-i", "-H", f"X-A: {SECRET}", "/1.0"],
    ["query", "-d", SECRET, "/1.0"],
    ["query", "-H", SECRET, "/1.0"],
    ["query", "-H", f"{SECRET} : x", "/1.0"],
    ["query", "-H", f"X-A: {SECRET}\x01", "/1.0"],
    ["doctor"],
]


def output_of(argv: list[str], env: dict[str, str]) -> bytes:
    done = subprocess.run(
        [PROGRAM, *argv], env=env, capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    return done.stdout + done.stderr


def test_no_command_prints_the_token_with_verbose(socket_directory: Path) -> None:
    file = socket_directory / "token"
    file.write_text(SECRET)
    file.chmod(0o600)
    path = socket_directory / "sock"
    with RawHost(path, FORBIDDEN):
        for number, argv in enumerate(COMMANDS):
            env = {"DEVLXD_SOCKET": str(path)}
            options = ["-v"]
            if number % 2:
                env["DEVLXD_BEARER_TOKEN"] = SECRET
            else:
                options += ["--token-file", str(file)]
            output = output_of([*options, *argv], env)
            assert output
            assert SECRET.encode() not in output, (argv, output)


def test_traceback_of_a_bug_shows_no_token(socket_directory: Path) -> None:
    code = (
        "import devlxdctl.http.session\n"
        "def bug(self): raise RuntimeError('a bug')\n"
        "devlxdctl.http.session.Session.transport = bug\n"
        "from devlxdctl.cli import devlxdctl as program\n"
        "program.main()\n"
    )
    env = {"DEVLXD_BEARER_TOKEN": SECRET, "DEVLXD_SOCKET": str(socket_directory / "sock")}
    done = subprocess.run(
        [sys.executable, "-c", code, "-v", "state"], env=env, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert b"RuntimeError: a bug" in done.stderr
    assert SECRET.encode() not in done.stdout + done.stderr


def test_token_is_in_neither_arguments_nor_environment_of_a_child_process(socket_directory: Path) -> None:
    file = socket_directory / "token"
    file.write_text(SECRET)
    with RawHost(socket_directory / "sock", response(b"[]")) as raw_host:
        script = "tr '\\0' '\\n' </proc/self/environ; tr '\\0' '\\n' </proc/self/cmdline; env"
        argv = ["--token-file", str(file), "config", "run", "--", "sh", "-c", script]
        for token in ({}, {"DEVLXD_BEARER_TOKEN": SECRET}):
            output = output_of(argv, {"DEVLXD_SOCKET": str(raw_host.path), "PATH": os.defpath, **token})
            assert b"DEVLXD_SOCKET=" in output
            assert SECRET.encode() not in output
