"""No secret shows where nobody asked for it: in a repr, a log, an error, a traceback."""

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

from devlxdctl import Client, DevLXDError, RawRequest, TokenFile
from devlxdctl.http.messages import Answer, Request
from tests.support.program import PROGRAM
from tests.support.raw_host import RawHost, Script, response

SECRET = "S3cr3tT0k3n"
PRO = response(b'{"expires":"x","guest_token":"%b","id":"y"}' % SECRET.encode())
REFUSED = response(b"no\n", "text/plain", "403 Forbidden")

ANSWERS: dict[str, Script | bytes | None] = {
    "what the host says": lambda request: REFUSED,
    "dropped": None,
    "no HTTP": b"\0\1\2\r\n\r\n",
    "cut short": response(b'{"guest_token":"%b' % SECRET.encode(), length=500),
    "no JSON": response(b'{"guest_token":"%b' % SECRET.encode()),
    "of another type": response(SECRET.encode(), "text/html"),
    "another shape": response(b'["%b"]' % SECRET.encode()),
    "a token that is none": response(b'{"guest_token":{"%b":1}}' % SECRET.encode()),
    "compressed": response(SECRET.encode(), extra="Content-Encoding: gzip\r\n"),
    "a redirect": response(b"", "text/html", "307 Temporary Redirect", "Location: /1.0\r\n"),
}
CALLS: dict[str, Callable[[Client], object]] = {
    "versions": Client.versions,
    "pro_token": Client.pro_token,
    "query": lambda client: client.query(
        RawRequest("POST", "/1.0", [("X-Secret", SECRET)], SECRET.encode())
    ).close(),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ANSWERS)
def test_neither_errors_nor_tracebacks_nor_logs_show_it(
    call: str, name: str, short: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with RawHost(short / "sock", ANSWERS[name]) as host:
        with Client(host.path, 0, SECRET) as client:
            try:
                CALLS[call](client)
            except DevLXDError as error:
                seen = "".join(traceback.format_exception(error))
                seen += repr(error) + str(error.hint) + repr(client)
                assert SECRET not in seen
    assert SECRET not in caplog.text
    assert host.requests == [] or SECRET.encode() in host.requests[0]


@pytest.mark.parametrize(
    "token", [f"{SECRET} x", f"{SECRET}\n", f"{SECRET}ü", f"{SECRET}\x00", f"{SECRET}\r\nX: y"]
)
def test_one_that_cannot_be_sent_is_not_shown(token: str, short: Path) -> None:
    with RawHost(short / "sock", response(b"[]")) as host, Client(host.path, token=token) as client:
        for ask in CALLS.values():
            with pytest.raises(DevLXDError) as caught:
                ask(client)
            assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert host.requests == []


def test_reprs(short: Path) -> None:
    file = short / "token"
    file.write_text(SECRET)
    token = TokenFile(file)
    token()
    query = RawRequest("POST", "/1.0", [("Authorization", SECRET)], SECRET.encode())
    question = Request("GET", "/1.0", "state", SECRET.encode(), headers={"Authorization": SECRET})
    objects = [token, Client(token=SECRET), query, question, Answer(200, "text/plain", SECRET.encode())]
    assert SECRET not in repr(objects) + "".join(map(str, objects)) + f"{objects}"
    assert repr(query) == "RawRequest('POST', '/1.0')"
    assert repr(question) == "Request('GET', '/1.0', 'state')"
    assert repr(objects[-1]) == f"Answer(200, 'text/plain', {len(SECRET)} bytes)"
    with RawHost(short / "sock", response(b"[]")) as host, Client(host.path, token=SECRET) as client:
        with client.query(RawRequest("GET", "/1.0")) as reply:
            assert SECRET not in repr(reply) + repr(vars(reply))


COMMANDS = [
    ["-v", "versions"],
    ["-v", "state"],
    ["-v", "config", "ls"],
    ["-v", "config", "get", "user.a"],
    ["-v", "config", "watch"],
    ["-v", "devices"],
    ["-v", "events"],
    ["-v", "wait", "config", "user.a", "--timeout", "1"],
    ["-v", "metadata"],
    ["-v", "dump"],
    ["-v", "pro", "status"],
    ["-v", "pro", "token"],
    ["-v", "query", "/1.0"],
    ["-v", "query", "-i", "-H", f"X-A: {SECRET}", "/1.0"],
    ["-v", "query", "-d", SECRET, "/1.0"],
    ["-v", "query", "-H", SECRET, "/1.0"],
    ["-v", "query", "-H", f"{SECRET} : x", "/1.0"],
    ["-v", "query", "-H", f"X-A: {SECRET}\x01", "/1.0"],
    ["-v", "doctor"],
]


def _output(argv: list[str], socket: Path, env: dict[str, str]) -> bytes:
    environment = {"DEVLXD_SOCKET": str(socket), **env}
    done = subprocess.run(
        [PROGRAM, *argv],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout + done.stderr


def test_no_command_shows_it_whatever_the_host_does(short: Path) -> None:
    file = short / "token"
    file.write_text(SECRET)
    file.chmod(0o600)
    path = short / "sock"
    with RawHost(path, response(b"no\n", "text/plain", "403 Forbidden")):
        for number, argv in enumerate(COMMANDS):
            env = {"DEVLXD_BEARER_TOKEN": SECRET} if number % 2 else {}
            options = [] if env else ["--token-file", str(file)]
            output = _output([*options, *argv], path, env)
            assert output
            assert SECRET.encode() not in output, (argv, output)


def test_a_bug_shows_a_traceback_without_it(short: Path) -> None:
    code = (
        "import sys, devlxdctl.client\n"
        "def bug(self): raise RuntimeError('a bug')\n"
        "devlxdctl.client.Session._connections = bug\n"
        "from devlxdctl.cli import devlxdctl as program\n"
        "program.main()\n"
    )
    env = {"DEVLXD_BEARER_TOKEN": SECRET, "DEVLXD_SOCKET": str(short / "sock")}
    done = subprocess.run(
        [sys.executable, "-c", code, "-v", "state"], env=env, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert b"RuntimeError: a bug" in done.stderr
    assert SECRET.encode() not in done.stdout + done.stderr


def test_it_is_in_no_arguments_and_no_environment_of_what_runs(short: Path) -> None:
    """What `ps` and /proc show of a command that was given one, and of what it starts."""
    file = short / "token"
    file.write_text(SECRET)
    with RawHost(short / "sock", response(b"[]")):
        shell = "tr '\\0' '\\n' </proc/self/environ; tr '\\0' '\\n' </proc/self/cmdline; env"
        argv = ["--token-file", str(file), "config", "run", "--", "sh", "-c", shell]
        for env in ({}, {"DEVLXD_BEARER_TOKEN": SECRET}):
            output = _output(argv, short / "sock", {"PATH": os.defpath, **env})
            assert b"DEVLXD_SOCKET=" in output
            assert SECRET.encode() not in output


def test_a_query_of_a_file_does_not_show_what_is_in_it(short: Path) -> None:
    with RawHost(short / "sock", response(b"[]")) as host, Client(host.path) as client:
        body = io.BytesIO(SECRET.encode())
        assert SECRET not in repr(RawRequest("POST", "/1.0", (), body))
        assert SECRET not in repr(client)
