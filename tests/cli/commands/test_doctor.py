"""`doctor`: a line for each thing that was looked at, and the status of the first that matters."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from devlxdctl.doctor import CHECKS
from devlxdctl.simulator import Simulator
from devlxdctl.simulator.guest import parse_guest
from tests.support.program import PROGRAM, Result, run
from tests.support.raw_host import RawHost, response

GUEST = """
config: {user.role: web, user.port: "80"}
devices: {root: {type: disk, path: /, pool: default}}
simulator:
  location: host1
  tokens: {good: trusted, old: expired, forged: wrong}
"""
PRO_FIX = (
    "on the host: pro config set lxd_guest_attach=available, and: "
    "lxc config set INSTANCE ubuntu_pro.guest_attach=available"
)
ISSUE = "on the host: lxc auth identity token issue devlxd/NAME"


def healthy(path: Path, **changes: tuple[str, str, str]) -> list[tuple[str, str, str, str]]:
    """What is found on the simulator as root: (status, check, detail, fix), less what `changes` say."""
    rows = {
        "guest": ("skip", "nothing says that this is a guest of LXD or Incus, yet there is a socket", ""),
        "directory": ("ok", str(path.parent), ""),
        "socket": ("ok", f"{path}, mode 0666, of uid {os.geteuid()}", ""),
        "permission": ("ok", "this user may read and write it", ""),
        "user": ("ok", "root", "") if os.geteuid() == 0 else ("ok", _user(), ""),
        "connection": ("ok", "it accepts connections", ""),
        "answer": ("ok", "the host answers", ""),
        "api": ("ok", "LXD 6, /1.0", ""),
        "instance": ("ok", "container on host1", ""),
        "config": ("ok", "2 keys", ""),
        "keys": ("ok", "all of them can be read here", ""),
        "devices": ("ok", "1 device", ""),
        "events": ("ok", "a websocket connects", ""),
        "images": (
            "skip",
            "their export is switched off",
            "on the host: lxc config set INSTANCE security.devlxd.images=true",
        ),
        "pro": ("skip", "guest_attach is off", PRO_FIX),
        "ready": ("ok", "supported, and the instance is Started", ""),
        "token": ("skip", "none was given", ""),
        **changes,
    }
    return [(status, check, detail, fix) for check, (status, detail, fix) in rows.items()]


def _user() -> str:
    return f"uid {os.geteuid()}, which this host answers"


def text(rows: list[tuple[str, str, str, str]]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def found(result: Result) -> dict[str, tuple[str, str, str]]:
    """The lines of text by check: (status, detail, fix)."""
    rows = [line.split("\t") for line in result.stdout.decode().splitlines()]
    assert [row[1] for row in rows] == list(CHECKS)
    return {row[1]: (row[0], row[2], row[3]) for row in rows}


def test_on_the_simulator_in_text_and_json(short: Path) -> None:
    (short / "lxd").mkdir()
    with Simulator(short / "lxd" / "sock", parse_guest(GUEST, "test")) as host:
        rows = healthy(host.path)
        assert run("doctor", socket=host.path) == Result(0, text(rows), b"")
        result = run("doctor", "-f", "json", socket=host.path)
        assert host.ready is None
    assert (result.status, result.stderr, result.stdout.count(b"\n")) == (0, b"", 1)
    assert json.loads(result.stdout) == [
        {"check": check, "status": status, "detail": detail, "fix": fix or None}
        for status, check, detail, fix in rows
    ]


def test_it_changes_nothing(short: Path) -> None:
    with Simulator(short / "sock", parse_guest(GUEST, "test")) as host:
        run("doctor", socket=host.path)
        assert {request.method for request in host.requests} == {"GET"}
        assert "/1.0/ubuntu-pro/token" not in {request.path for request in host.requests}


@pytest.mark.parametrize(
    ("token", "status", "line"),
    [
        ("good", 0, ("ok", "the host trusts it", "")),
        (
            "old",
            4,
            (
                "fail",
                "not permitted: Failed to verify bearer token: Token is not valid: "
                "token has invalid claims: token is expired",
                ISSUE,
            ),
        ),
        ("unknown", 4, ("fail", "the host does not know it, and ignores it", ISSUE)),
        ("bad token", 2, ("fail", "it holds characters that no token has", "")),
    ],
)
def test_a_token(token: str, status: int, line: tuple[str, str, str], short: Path) -> None:
    """One that is refused everywhere does not hide the rest."""
    (short / "lxd").mkdir()
    with Simulator(short / "lxd" / "sock", parse_guest(GUEST, "test")) as host:
        result = run("doctor", socket=host.path, env={"DEVLXD_BEARER_TOKEN": token})
        assert result == Result(status, text(healthy(host.path, token=line)), b"")


def test_a_token_file_that_cannot_be_read(short: Path) -> None:
    (short / "lxd").mkdir()
    with Simulator(short / "lxd" / "sock", parse_guest(GUEST, "test")) as host:
        result = run("doctor", "--token-file", short / "nowhere", socket=host.path)
        line = ("fail", "no such file or directory", "")
        assert result == Result(8, text(healthy(host.path, token=line)), b"")


def test_old_hosts_and_what_they_do_not_offer(short: Path) -> None:
    (short / "lxd").mkdir()
    with Simulator(short / "lxd" / "sock", parse_guest(GUEST, "test"), "lxd-5.0") as host:
        rows = healthy(
            host.path,
            api=("ok", "LXD 5.0, /1.0", ""),
            instance=("ok", "container on none", ""),
            pro=("skip", "this host does not offer it", ""),
            ready=("skip", "this host knows no readiness", ""),
            token=("skip", "this host takes none, and ignores it", ""),
        )
        env = {"DEVLXD_BEARER_TOKEN": "x"}
        assert run("doctor", socket=host.path, env=env) == Result(0, text(rows), b"")


def test_what_is_offered_and_keys_of_a_virtual_machine(short: Path) -> None:
    guest = """
    config: {user.a/b: 1, user.50%: 2, user.c: 3, security.devlxd.images: "true"}
    simulator: {pro: available, type: virtual-machine, location: host1}
    """
    (short / "lxd").mkdir()
    with Simulator(short / "lxd" / "sock", parse_guest(guest, "test")) as host:
        rows = healthy(
            host.path,
            instance=("ok", "virtual-machine on host1", ""),
            config=("ok", "3 keys", ""),
            keys=(
                "fail",
                "user.50%, user.a/b: in a virtual machine, keys with % or / cannot be read",
                "on the host: give them names without % and /",
            ),
            devices=("ok", "0 devices", ""),
            images=("ok", "public ones can be exported", ""),
            pro=("ok", "guest_attach is available", ""),
        )
        assert run("doctor", socket=host.path) == Result(0, text(rows), b"")


def unreached(*lines: tuple[str, str, str, str]) -> bytes:
    """These lines, in the order of the checks, and the rest of them skipped."""
    known = {line[1]: line for line in lines}
    return text([known.get(check, ("skip", check, "not reached", "")) for check in CHECKS])


def test_on_a_plain_machine() -> None:
    fix = "run it in an instance, or in a simulated one: devlxd-simulator run -- devlxdctl doctor"
    why = "nothing says that this is a guest of LXD or Incus: no virtio port, no DMI, no container"
    assert run("doctor") == Result(5, unreached(("fail", "guest", why, fix)), b"")


def test_a_socket_that_is_not_there(short: Path) -> None:
    result = run("doctor", socket=short / "lxd" / "sock")
    fix = "name the right one: --socket, or DEVLXD_SOCKET"
    assert result.status == 5
    assert found(result)["directory"] == ("fail", f"{short}/lxd is not there", fix)
    result = run("doctor", socket=short / "sock")
    assert result.status == 5
    assert found(result)["socket"][:2] == ("fail", f"{short}/sock: no such socket")


def test_what_is_no_socket(short: Path) -> None:
    result = run("doctor", socket=short)
    assert result.status == 5
    assert found(result)["socket"] == ("fail", f"{short} is no socket", "")


def test_a_path_that_no_socket_has(short: Path) -> None:
    result = run("doctor", socket=f"/{'x' * 200}")
    assert result.status == 2
    assert found(result)["socket"][:2] == (
        "fail",
        "the path of a socket has at most 107 bytes and no NUL, this one has 201",
    )


def test_a_socket_that_this_user_may_not_use(short: Path) -> None:
    others = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    with RawHost(short / "sock", response(b'["/1.0"]')):
        (short / "sock").chmod(0o400)
        done = subprocess.run(
            [*others, PROGRAM, "doctor", "--socket", short / "sock"],
            env={"PATH": os.defpath},
            capture_output=True,
            check=False,
        )
    result = Result(done.returncode, done.stdout, done.stderr)
    assert result.status == 4
    assert found(result)["permission"] == (
        "fail",
        "this user may not read and write it",
        "only root may use it: sudo devlxdctl …",
    )


@pytest.mark.parametrize(
    ("given", "status", "line"),
    [
        (
            response(b"not root\n", "text/plain", "401 Unauthorized"),
            4,
            ("fail", "not permitted: not root", "only root may use it: sudo devlxdctl …"),
        ),
        (response(b"<html>", "text/html"), 1, ("fail", "the answer is text/html, not JSON", "")),
        (b"SSH-2.0\r\n\r\n", 1, ("fail", "what answers there does not speak HTTP", "")),
        (
            response(b"pid not in container?\n", "text/plain", "500 Internal Server Error"),
            124,
            (
                "fail",
                "the host answered with status 500: pid not in container?; waited 0 s",
                "a process in a container inside this guest is not known to the host: run it in the guest "
                "itself. Otherwise look at the daemon; on the host: lxc info",
            ),
        ),
    ],
)
def test_a_host_that_answers_otherwise(
    given: bytes, status: int, line: tuple[str, str, str], short: Path
) -> None:
    with RawHost(short / "sock", given) as host:
        result = run("doctor", "--wait", "0", socket=host.path)
    assert (result.status, result.stderr) == (status, b"")
    assert found(result)["connection"][0] == "ok"
    assert found(result)["answer"] == line
    assert found(result)["user"][0] == ("fail" if status == 4 else "ok" if os.geteuid() == 0 else "skip")


def test_a_host_that_answers_some_of_it(short: Path) -> None:
    """Each failure is told; the status is that of the first that is essential."""
    failing = response(b"broken\n", "text/plain", "505 HTTP Version Not Supported")

    def script(request: bytes) -> bytes:
        path = request.split(b" ")[1]
        good = {
            b"/": response(b'["/1.0"]'),
            b"/1.0": response(b'{"state":"Ready","instance_type":"container","location":"h"}'),
            b"/1.0/config": response(b'["/1.0/config/user.a"]'),
        }
        return good.get(path, failing)

    (short / "incus").mkdir()
    with RawHost(short / "incus" / "sock", script) as host:
        result = run("doctor", socket=host.path)
    assert (result.status, result.stderr) == (7, b"")
    lines = found(result)
    why = "the host answered with status 505: broken"
    assert lines["api"] == ("ok", "Incus, /1.0", "")
    assert lines["keys"] == ("fail", f"user.a: {why}", "")
    assert lines["devices"] == ("fail", why, "")
    assert lines["events"] == ("fail", why, "")
    assert lines["images"] == ("fail", why, "")
    assert lines["pro"] == ("fail", why, "")


def test_a_daemon_that_is_back_soon(short: Path) -> None:
    """A restart is waited for, and told."""
    import time

    with Simulator(short / "sock", parse_guest(GUEST, "test"), faults=["boot-500=1.3"]) as host:
        started = time.monotonic()
        result = run("doctor", socket=host.path)
        assert time.monotonic() - started < 8
    assert result.status == 0
    assert found(result)["answer"][1].startswith("the host answers after ")
    assert found(result)["answer"][1].endswith(" s: its daemon was restarting")


def test_on_a_terminal_nothing_is_cut_off(short: Path) -> None:
    with Simulator(short / "sock", parse_guest(GUEST, "test")) as host:
        ours, theirs = pty.openpty()
        env = {"TERM": "xterm", "COLUMNS": "80"}
        argv = [PROGRAM, "doctor", "--socket", str(host.path)]
        subprocess.run(argv, env=env, stdout=theirs, check=True)
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:  # the other end is closed
            pass
        os.close(ours)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()
    assert max(map(len, lines)) <= 80
    start = next(number for number, line in enumerate(lines) if line.startswith("skip    images"))
    assert [line.rstrip() for line in lines[start : start + 3]] == [
        "skip    images      their export is switched off",
        "                    on the host: lxc config set INSTANCE",
        "                    security.devlxd.images=true",
    ]
