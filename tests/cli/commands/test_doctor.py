"""`doctor`: one line for each check, and the exit status of the first essential one that fails."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from devlxdctl.doctor.report import CHECKS
from devlxdctl.guest import guest_signs
from devlxdctl.simulator import Simulator
from devlxdctl.simulator.guest import parse_guest
from tests.support.program import OBEY_FILE_MODES, PROGRAM, Result, run
from tests.support.raw_host import RawHost, response
from tests.support.terminal import run_on_terminal, without_colors

Row = tuple[str, str, str]
"""The status of a check, its detail and its fix."""

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
NEW_TOKEN = (
    "the bearer token has expired or was revoked; on the host: lxc auth identity token issue devlxd/NAME"
)
VOLUMES_FIX = (
    "on the host: lxc config set INSTANCE security.devlxd.management.volumes=true, and give the identity of "
    "the token the permission: lxc auth group permission add --help"
)
ONLY_ROOT = "only root can use it: sudo devlxdctl …"
LOOK_AT_DAEMON = "look at the daemon of the host; on the host: lxc info"
RUN_IN_GUEST = (
    "run it in the guest itself: the host cannot identify processes of a container inside the guest"
)
NOT_SUPPORTED = ("skip", "not supported by this host", "")

pytestmark = pytest.mark.skipif(bool(guest_signs()), reason="the checks of the guest find a real guest")


@pytest.fixture
def lxd_socket(socket_directory: Path) -> Path:
    """A path for a socket in a directory `lxd`, from which hints name LXD."""
    (socket_directory / "lxd").mkdir()
    return socket_directory / "lxd" / "sock"


def rows_of_healthy_host(path: Path, **changes: Row) -> dict[str, Row]:
    """Return the rows for the simulator with `GUEST`, except for those in `changes`."""
    uid = os.geteuid()
    return {
        "guest": ("skip", "no sign of a guest of LXD or Incus, but there is a socket", ""),
        "directory": ("ok", str(path.parent), ""),
        "socket": ("ok", f"{path}, mode 0666, uid {uid}", ""),
        "permission": ("ok", "this user can read and write the socket", ""),
        "user": ("ok", "root" if uid == 0 else f"uid {uid}, which this host accepts", ""),
        "connection": ("ok", "accepted", ""),
        "answer": ("ok", "the host responds", ""),
        "api": ("ok", "LXD 6, /1.0", ""),
        "instance": ("ok", "container on host1", ""),
        "config": ("ok", "2 keys", ""),
        "keys": ("ok", "all of them can be read here", ""),
        "devices": ("ok", "1 device", ""),
        "events": ("ok", "a websocket connects", ""),
        "images": (
            "skip",
            "export is switched off",
            "on the host: lxc config set INSTANCE security.devlxd.images=true",
        ),
        "pro": ("skip", "guest_attach is off", PRO_FIX),
        "ready": ("ok", "supported; the instance is Started", ""),
        "token": ("skip", "no token given", ""),
        "volumes": ("skip", "need a bearer token that the host trusts", ""),
        **changes,
    }


def table(rows: dict[str, Row]) -> bytes:
    """Return the rows as `doctor` prints them."""
    lines = ("\t".join((status, check, detail, fix)) for check, (status, detail, fix) in rows.items())
    return "".join(f"{line}\n" for line in lines).encode()


def rows_printed(result: Result) -> dict[str, Row]:
    """Return the rows that `doctor` printed, in the documented order; the last names the checks not made."""
    assert result.stderr == b""
    cells = [line.split("\t") for line in result.stdout.decode().splitlines()]
    rows = {row[1]: (row[0], row[2], row[3]) for row in cells}
    remaining = rows.pop("remaining", None)
    missing = [check for check in CHECKS if check not in rows]
    assert list(rows) == [check for check in CHECKS if check in rows]
    if remaining is None:
        assert missing == ["credentials"]  # made only where a drop-in resets them
    else:
        assert remaining == not_checked(*missing)
    return rows


def not_checked(*names: str) -> Row:
    """Return the row for the checks that were not made."""
    return ("skip", f"not checked: {', '.join(names)}", "")


def test_doctor_on_healthy_host_prints_all_checks_in_text_and_json(lxd_socket: Path) -> None:
    with Simulator(lxd_socket, parse_guest(GUEST, "test")) as simulator:
        rows = rows_of_healthy_host(lxd_socket)
        assert run("doctor", socket=lxd_socket) == Result(0, table(rows), b"")
        result = run("doctor", "-f", "json", socket=lxd_socket)
        assert simulator.ready is None
    assert (result.status, result.stderr, result.stdout.count(b"\n")) == (0, b"", 1)
    assert json.loads(result.stdout) == [
        {"check": check, "status": status, "detail": detail, "fix": fix or None}
        for check, (status, detail, fix) in rows.items()
    ]


def test_doctor_sends_only_get_requests_and_requests_no_token(lxd_socket: Path) -> None:
    with Simulator(lxd_socket, parse_guest(GUEST, "test")) as simulator:
        run("doctor", socket=lxd_socket)
        assert {request.method for request in simulator.requests} == {"GET"}
        assert "/1.0/ubuntu-pro/token" not in {request.path for request in simulator.requests}


@pytest.mark.parametrize(
    ("token", "status", "row"),
    [
        ("good", 0, ("ok", "the host trusts it", "")),
        (
            "old",
            4,
            (
                "fail",
                "permission denied: Failed to verify bearer token: Token is not valid: "
                "token has invalid claims: token is expired",
                NEW_TOKEN,
            ),
        ),
        ("unknown", 4, ("fail", "the host does not know it, and ignores it", NEW_TOKEN)),
        ("bad token", 2, ("fail", "contains invalid characters", "")),
    ],
)
def test_doctor_checks_the_rest_although_the_token_is_rejected(
    token: str, status: int, row: Row, lxd_socket: Path
) -> None:
    with Simulator(lxd_socket, parse_guest(GUEST, "test")):
        result = run("doctor", socket=lxd_socket, env={"DEVLXD_BEARER_TOKEN": token})
        rows = rows_of_healthy_host(lxd_socket, token=row)
        if token == "good":
            rows["volumes"] = ("skip", "management is switched off", VOLUMES_FIX)
        assert result == Result(status, table(rows), b"")


def test_doctor_reports_a_token_file_that_cannot_be_read(lxd_socket: Path) -> None:
    with Simulator(lxd_socket, parse_guest(GUEST, "test")):
        result = run("doctor", "--token-file", lxd_socket.parent / "none", socket=lxd_socket)
        row = ("fail", "no such file or directory", "")
        assert result == Result(8, table(rows_of_healthy_host(lxd_socket, token=row)), b"")


def test_doctor_skips_what_lxd_5_0_does_not_support(lxd_socket: Path) -> None:
    with Simulator(lxd_socket, parse_guest(GUEST, "test"), "lxd-5.0"):
        rows = rows_of_healthy_host(
            lxd_socket,
            api=("ok", "LXD 5.0, /1.0", ""),
            instance=("ok", "container", ""),
            pro=NOT_SUPPORTED,
            volumes=NOT_SUPPORTED,
            ready=NOT_SUPPORTED,
            token=("skip", "not supported by this host, which ignores it", ""),
        )
        env = {"DEVLXD_BEARER_TOKEN": "x"}
        assert run("doctor", socket=lxd_socket, env=env) == Result(0, table(rows), b"")


def test_doctor_reports_keys_that_a_virtual_machine_cannot_read(lxd_socket: Path) -> None:
    guest = """
    config: {user.a/b: 1, user.50%: 2, user.c: 3, security.devlxd.images: "true"}
    simulator: {pro: available, type: virtual-machine, location: host1}
    """
    with Simulator(lxd_socket, parse_guest(guest, "test")):
        rows = rows_of_healthy_host(
            lxd_socket,
            instance=("ok", "virtual-machine on host1", ""),
            config=("ok", "3 keys", ""),
            keys=(
                "fail",
                "user.50%, user.a/b: keys with % or / cannot be read in a virtual machine",
                "on the host, choose names without % and /",
            ),
            devices=("ok", "0 devices", ""),
            images=("ok", "public and cached images can be exported", ""),
            pro=("ok", "guest_attach is available", ""),
        )
        assert run("doctor", socket=lxd_socket) == Result(0, table(rows), b"")


def test_doctor_without_guest_and_socket_exits_5_after_the_first_check() -> None:
    fix = "run it in an instance, or in a simulated one: devlxd-simulator run -- devlxdctl doctor"
    detail = "no sign of a guest of LXD or Incus: no virtio port, no DMI board, no container"
    rows = {"guest": ("fail", detail, fix), "remaining": not_checked(*CHECKS[1:])}
    assert run("doctor") == Result(5, table(rows), b"")


def test_doctor_reports_a_directory_that_does_not_exist(socket_directory: Path) -> None:
    result = run("doctor", socket=socket_directory / "lxd" / "sock")
    fix = "set the path of the socket with --socket or DEVLXD_SOCKET"
    assert result.status == 5
    assert rows_printed(result)["directory"] == ("fail", f"{socket_directory}/lxd does not exist", fix)


def test_doctor_reports_a_socket_that_does_not_exist(lxd_socket: Path) -> None:
    result = run("doctor", socket=lxd_socket)
    fix = (
        "is this a guest of LXD or Incus? If it is, on the host: lxc config set INSTANCE security.devlxd=true"
    )
    assert result.status == 5
    assert rows_printed(result)["socket"] == ("fail", f"{lxd_socket}: no such socket", fix)


def test_doctor_reports_a_directory_in_place_of_the_socket(socket_directory: Path) -> None:
    result = run("doctor", socket=socket_directory)
    assert result.status == 5
    assert rows_printed(result)["socket"] == ("fail", f"{socket_directory} is not a socket", "")


def test_doctor_reports_a_socket_path_that_is_too_long() -> None:
    result = run("doctor", socket=f"/{'x' * 200}")
    assert result.status == 2
    detail = "socket paths have at most 107 bytes, this one has 201"
    assert rows_printed(result)["socket"] == ("fail", detail, "")


def test_doctor_reports_a_socket_without_permission(lxd_socket: Path) -> None:
    with RawHost(lxd_socket, response(b'["/1.0"]')):
        lxd_socket.chmod(0o400)
        result = run("doctor", socket=lxd_socket, prefix=OBEY_FILE_MODES)
    assert result.status == 4
    assert rows_printed(result)["permission"] == (
        "fail",
        "this user cannot read and write the socket",
        ONLY_ROOT,
    )


@pytest.mark.parametrize(
    ("given", "status", "row"),
    [
        (
            response(b"not root\n", "text/plain", "401 Unauthorized"),
            4,
            ("fail", "permission denied: not root", ONLY_ROOT),
        ),
        (response(b"<html>", "text/html"), 1, ("fail", "unexpected content type text/html", "")),
        (b"SSH-2.0\r\n\r\n", 1, ("fail", "not an HTTP server", "")),
        (
            response(b"starting\n", "text/plain", "503 Service Unavailable"),
            124,
            ("fail", "HTTP status 503: starting; waited 0 s", LOOK_AT_DAEMON),
        ),
        (
            response(b"pid not in container?\n", "text/plain", "500 Internal Server Error"),
            124,
            ("fail", "HTTP status 500: pid not in container?; waited 0 s", LOOK_AT_DAEMON),
        ),
    ],
)
def test_doctor_reports_an_unexpected_first_response(
    given: bytes, status: int, row: Row, lxd_socket: Path
) -> None:
    with RawHost(lxd_socket, given):
        result = run("doctor", "--wait", "0", socket=lxd_socket)
    assert result.status == status
    rows = rows_printed(result)
    assert rows["connection"] == ("ok", "accepted", "")
    assert rows["answer"] == row
    assert rows["user"][0] == ("fail" if status == 4 else "ok" if os.geteuid() == 0 else "skip")


def test_doctor_reports_each_endpoint_that_fails_with_the_status_of_the_first(socket_directory: Path) -> None:
    failing = response(b"broken\n", "text/plain", "505 HTTP Version Not Supported")

    def script(request: bytes) -> bytes:
        path = request.split(b" ")[1]
        working = {
            b"/": response(b'["/1.0"]'),
            b"/1.0": response(b'{"state":"Ready","instance_type":"container","location":"h"}'),
            b"/1.0/config": response(b'["/1.0/config/user.a"]'),
        }
        return working.get(path, failing)

    (socket_directory / "incus").mkdir()
    with RawHost(socket_directory / "incus" / "sock", script) as raw_host:
        result = run("doctor", socket=raw_host.path)
    assert result.status == 7
    rows = rows_printed(result)
    assert rows["api"] == ("ok", "Incus, /1.0", "")
    assert rows["keys"] == ("fail", "user.a: HTTP status 505: broken", "")
    for check in ("devices", "events", "images", "pro"):
        assert rows[check] == ("fail", "HTTP status 505: broken", "")


def test_doctor_waits_for_the_host_and_reports_how_long(lxd_socket: Path) -> None:
    argv = [PROGRAM, "-v", "doctor", "--wait", "60", "--socket", str(lxd_socket)]
    started = time.monotonic()
    with subprocess.Popen(argv, env={}, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stderr is not None
        # This is logged after a second of retries.
        assert any(line.startswith(b"devlxdctl: waiting for the host: ") for line in program.stderr)
        with Simulator(lxd_socket, parse_guest(GUEST, "test")):
            stdout, _ = program.communicate(timeout=60)
    elapsed = time.monotonic() - started
    assert program.returncode == 0
    _, detail, _ = rows_printed(Result(0, stdout, b""))["answer"]
    seconds = detail.removeprefix("the host responds after ").removesuffix(" s: its daemon was restarting")
    assert 1 <= int(seconds) <= elapsed + 0.5


def test_doctor_on_a_terminal_wraps_details_and_fixes_at_its_width(lxd_socket: Path) -> None:
    with Simulator(lxd_socket, parse_guest(GUEST, "test")):
        screen = run_on_terminal("doctor", socket=lxd_socket)
    lines = without_colors(screen.text).splitlines()
    assert max(map(len, lines)) <= 80
    start = next(number for number, line in enumerate(lines) if line.startswith("- skip  images"))
    assert [line.rstrip() for line in lines[start : start + 3]] == [
        "- skip  images      export is switched off",
        "                    fix: on the host: lxc config set INSTANCE",
        "                    security.devlxd.images=true",
    ]
