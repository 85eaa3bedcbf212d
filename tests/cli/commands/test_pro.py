"""`pro`: the setting, a token, and the file that the token is written to."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.guest import parse_guest
from tests.support.program import OBEY_FILE_MODES, PROGRAM, REPOSITORY, Result, failure, run
from tests.support.raw_host import RawHost, response

TOKEN = response(
    b'{"expires":"2026-11-24T00:00:00Z","guest_token":"C1secret","id":"340bac0d","new":[1, 2]}\n'
)
ALLOW_ATTACH = (
    "on the host: pro config set lxd_guest_attach=available, and: "
    "lxc config set INSTANCE ubuntu_pro.guest_attach=available"
)
OTHER_HOST = "use a host with LXD 5.21 or later: Incus and older LXD do not offer Ubuntu Pro"
RUN_IN_GUEST = (
    "run it in the guest itself: the host cannot identify processes of a container inside the guest"
)


@pytest.fixture
def lxd_socket(socket_directory: Path) -> Path:
    """A path for a socket in a directory `lxd`, from which hints name LXD."""
    (socket_directory / "lxd").mkdir()
    return socket_directory / "lxd" / "sock"


@pytest.fixture
def raw_host(lxd_socket: Path) -> Iterator[RawHost]:
    """A host that issues a token for every request."""
    with RawHost(lxd_socket, TOKEN) as raw_host:
        yield raw_host


@pytest.fixture
def token_directory(socket_directory: Path) -> Path:
    """An empty directory for files with tokens."""
    path = socket_directory / "tokens"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (
            ["pro", "token"],
            "expires\t2026-11-24T00:00:00Z\nguest_token\tC1secret\nid\t340bac0d\nnew\t[1,2]\n",
        ),
        (
            ["pro", "token", "-f", "json"],
            '{"expires":"2026-11-24T00:00:00Z","guest_token":"C1secret","id":"340bac0d","new":[1,2]}\n',
        ),
        (["pro", "token", "--raw"], "C1secret\n"),
        (["pro", "token", "--raw", "-f", "json"], '"C1secret"\n'),
    ],
)
def test_token_is_printed_or_written_to_a_file_as_the_same_bytes(
    argv: list[str], text: str, raw_host: RawHost, token_directory: Path
) -> None:
    assert run(*argv, socket=raw_host.path) == Result(0, text.encode(), b"")
    file = token_directory / "token"
    assert run(*argv, "-o", file, socket=raw_host.path) == Result(0, b"", b"")
    assert file.read_bytes() == text.encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(token_directory) == ["token"]


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_token_file_has_mode_0600_with_every_umask(
    umask: int, raw_host: RawHost, token_directory: Path
) -> None:
    argv = [PROGRAM, "pro", "token", "-o", str(token_directory / "token"), "--socket", str(raw_host.path)]
    subprocess.run(argv, env={}, check=True, umask=umask)
    assert stat.S_IMODE((token_directory / "token").stat().st_mode) == 0o600


def test_token_file_can_have_a_relative_path_and_a_name_of_maximal_length(
    raw_host: RawHost, token_directory: Path
) -> None:
    name = "t" * 255
    result = run("pro", "token", "--raw", "-o", name, socket=raw_host.path, cwd=token_directory)
    assert result == Result(0, b"", b"")
    assert (token_directory / name).read_bytes() == b"C1secret\n"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("file", "exists already"),
        ("dangling", "exists already"),
        ("link", "exists already"),
        ("directory", "exists already"),
        ("none/token", "no such file or directory"),
        ("file/token", "not a directory"),
    ],
)
def test_no_token_is_requested_for_a_file_that_cannot_be_created(
    name: str, problem: str, raw_host: RawHost, token_directory: Path
) -> None:
    (token_directory / "file").write_text("mine")
    (token_directory / "dangling").symlink_to(token_directory / "new")
    (token_directory / "link").symlink_to(token_directory / "file")
    (token_directory / "directory").mkdir()
    result = run("pro", "token", "-o", token_directory / name, socket=raw_host.path)
    assert result == failure(8, f"{token_directory}/{name}: {problem}")
    assert raw_host.requests == []
    assert (token_directory / "file").read_text() == "mine"
    assert sorted(os.listdir(token_directory)) == ["dangling", "directory", "file", "link"]


def test_file_that_appears_during_the_request_is_not_replaced(
    lxd_socket: Path, token_directory: Path
) -> None:
    file = token_directory / "token"

    def script(request: bytes) -> bytes:
        file.write_text("mine")
        return TOKEN

    with RawHost(lxd_socket, script):
        result = run("pro", "token", "-o", file, socket=lxd_socket)
    assert result == failure(8, f"{file}: exists already")
    assert file.read_text() == "mine"
    assert os.listdir(token_directory) == ["token"]


def test_directory_without_write_permission_exits_8(raw_host: RawHost, token_directory: Path) -> None:
    token_directory.chmod(0o555)
    argv = ["pro", "token", "-o", str(token_directory / "token")]
    assert run(*argv, socket=raw_host.path, prefix=OBEY_FILE_MODES) == failure(
        8, f"{token_directory}/token: permission denied"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_full_disk_exits_8_and_leaves_no_token_file(raw_host: RawHost, token_directory: Path) -> None:
    script = (
        f"mount -t tmpfs -o size=4k,nr_inodes=10 none {token_directory}\n"
        f"head -c 4096 /dev/zero >{token_directory}/filler\n"
        f"{PROGRAM} pro token -o {token_directory}/token --socket {raw_host.path}\n"
        f"s=$?; ls -A {token_directory}; exit $s"
    )
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, check=False)
    error = f"devlxdctl: {token_directory}/token: no space left on device, after 0 bytes\n"
    assert Result(done.returncode, done.stdout, done.stderr) == Result(8, b"filler\n", error.encode())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_during_the_request_leaves_no_token_file(
    number: signal.Signals, lxd_socket: Path, token_directory: Path
) -> None:
    programs: list[subprocess.Popen[bytes]] = []

    def script(request: bytes) -> None:
        programs[0].send_signal(number)
        programs[0].wait(20)

    with RawHost(lxd_socket, script):
        argv = [PROGRAM, "pro", "token", "-o", str(token_directory / "token"), "--socket", str(lxd_socket)]
        programs.append(subprocess.Popen(argv, env={}))
        assert programs[0].wait(20) == -number
    assert os.listdir(token_directory) == []


FAILURES = {
    "404": (
        response(b"404 page not found\n", "text/plain; charset=utf-8", "404 Not Found"),
        (3, "not supported by this host", OTHER_HOST),
    ),
    "list of versions": (response(b'["/1.0"]\n'), (3, "not supported by this host", OTHER_HOST)),
    "403": (
        response(b"not allowed\n", "text/plain; charset=utf-8", "403 Forbidden"),
        (4, "permission denied: not allowed", ALLOW_ATTACH),
    ),
    "500": (
        response(b"pro failed\n", "text/plain; charset=utf-8", "500 Internal Server Error"),
        (
            7,
            "HTTP status 500: pro failed",
            "the host could not get a token; on the host: pro status",
        ),
    ),
    "no token": (response(b'{"guest_token":""}\n'), (1, "response contains no token", "")),
    "list": (response(b"[]\n"), (1, "response is not a JSON object", "")),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failed_request_for_a_token_is_sent_once_and_leaves_no_file(
    name: str, lxd_socket: Path, token_directory: Path
) -> None:
    given, (status, problem, hint) = FAILURES[name]
    with RawHost(lxd_socket, given) as raw_host:
        result = run("pro", "token", "-o", token_directory / "token", socket=lxd_socket)
    assert result == failure(status, f"/1.0/ubuntu-pro/token: {problem}", hint)
    assert [request.split(b"\r\n")[0] for request in raw_host.requests] == [
        b"POST /1.0/ubuntu-pro/token HTTP/1.1"
    ]
    assert os.listdir(token_directory) == []


def test_request_for_a_token_that_can_have_arrived_is_not_sent_again(lxd_socket: Path) -> None:
    with RawHost(lxd_socket, None) as raw_host:
        result = run("pro", "token", "--wait", "30", socket=lxd_socket)
    assert (result.status, result.stdout) == (7, b"")
    assert len(raw_host.requests) == 1


@pytest.mark.parametrize(
    ("host_setting", "instance_setting"),
    [("off", ""), ("off", "on"), ("available", ""), ("available", "off"), ("available", "on"), ("on", "")],
)
def test_settings_of_host_and_instance_decide_whether_a_token_is_issued(
    host_setting: str, instance_setting: str, lxd_socket: Path
) -> None:
    config = {"ubuntu_pro.guest_attach": instance_setting} if instance_setting else {}
    guest = parse_guest(json.dumps({"config": config, "simulator": {"pro": host_setting}}), "test")
    effective = "off" if host_setting == "off" else instance_setting or host_setting
    with Simulator(lxd_socket, guest):
        status = run("pro", "status", socket=lxd_socket)
        token = run("pro", "token", "--raw", socket=lxd_socket)
    assert status == Result(0, f"guest_attach\t{effective}\n".encode(), b"")
    if effective == "off":
        text = "Failed getting an Ubuntu Pro guest token: Guest attachment not allowed"
        assert token == failure(4, f"/1.0/ubuntu-pro/token: permission denied: {text}", ALLOW_ATTACH)
    else:
        assert (token.status, token.stderr) == (0, b"")
        assert re.fullmatch(rb"C1[0-9a-f]{28}\n", token.stdout)


@pytest.mark.parametrize("profile", ["lxd-5.0", "incus"])
@pytest.mark.parametrize(
    ("command", "path"), [("status", "/1.0/ubuntu-pro"), ("token", "/1.0/ubuntu-pro/token")]
)
def test_pro_is_not_supported_by_incus_and_older_lxd(
    profile: str, command: str, path: str, socket_directory: Path
) -> None:
    (socket_directory / profile).mkdir()
    with Simulator(socket_directory / profile / "sock", profile=profile) as simulator:
        result = run("pro", command, socket=simulator.path)
    assert result == failure(3, f"{path}: not supported by this host", OTHER_HOST)


# Takes the place of Canonical's client, and records its arguments and its file as other users could see them.
PRO = """#!/bin/sh
tr '\\0' ' ' </proc/$$/cmdline >seen; echo >>seen
stat -c '%a %F' "$3" >>seen
stat -c %a "$(dirname "$3")" >>seen
cat "$3" >attached
"""


def test_example_pro_attach_passes_the_token_in_a_file_that_only_root_can_read(
    raw_host: RawHost, socket_directory: Path
) -> None:
    programs = socket_directory / "bin"
    programs.mkdir()
    (programs / "pro").write_text(PRO)
    (programs / "pro").chmod(0o755)
    (programs / "devlxdctl").symlink_to(PROGRAM)
    directory = socket_directory / "tmp"
    directory.mkdir()
    env = {
        "PATH": f"{programs}:{os.defpath}",
        "DEVLXD_SOCKET": str(raw_host.path),
        "TMPDIR": str(directory),
    }
    argv = ["sh", "-x", str(REPOSITORY / "examples" / "pro-attach.sh")]
    done = subprocess.run(argv, env=env, cwd=directory, capture_output=True, check=True)
    assert (directory / "attached").read_text() == "token: C1secret\n"
    arguments, *modes = (directory / "seen").read_text().splitlines()
    assert re.fullmatch(r"/bin/sh \S+/bin/pro attach --attach-config \S+/attach\.yaml ", arguments)
    assert modes == ["600 regular file", "700"]
    assert b"C1secret" not in done.stderr + done.stdout
    assert sorted(os.listdir(directory)) == ["attached", "seen"]
