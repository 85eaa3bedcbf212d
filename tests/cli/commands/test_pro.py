"""`pro`: the setting, a token, and the file that it goes into."""

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
from tests.support.program import PROGRAM, Result, run
from tests.support.raw_host import RawHost, response

TOKEN = b'{"expires":"2026-11-24T00:00:00Z","guest_token":"C1secret","id":"340bac0d","new":[1, 2]}\n'
GIVEN = response(TOKEN)
BOTH_FIXES = (
    "hint: on the host: pro config set lxd_guest_attach=available, and: "
    "lxc config set INSTANCE ubuntu_pro.guest_attach=available\n"
)


@pytest.fixture
def path(short: Path) -> Iterator[Path]:
    """The socket of a host that issues tokens."""
    with RawHost(short / "sock", GIVEN) as host:
        yield host.path


@pytest.mark.parametrize(
    ("argv", "stdout"),
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
def test_a_token_on_stdout_and_the_same_bytes_in_a_file(
    argv: list[str], stdout: str, path: Path, short: Path
) -> None:
    assert run(*argv, socket=path) == Result(0, stdout.encode(), b"")
    file = short / "token"
    assert run(*argv, "-o", file, socket=path) == Result(0, b"", b"")
    assert file.read_bytes() == stdout.encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(os.listdir(short)) == ["sock", "token"]


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_the_file_has_its_mode_whatever_the_umask(umask: int, path: Path, short: Path) -> None:
    subprocess.run(
        [PROGRAM, "pro", "token", "-o", short / "token", "--socket", path], env={}, check=True, umask=umask
    )
    assert stat.S_IMODE((short / "token").stat().st_mode) == 0o600


def test_a_relative_file_with_a_name_as_long_as_they_go(path: Path, short: Path) -> None:
    name = "t" * 255
    subprocess.run(
        [PROGRAM, "pro", "token", "--raw", "-o", name, "--socket", path], env={}, check=True, cwd=short
    )
    assert (short / name).read_bytes() == b"C1secret\n"


def test_what_is_there_is_neither_written_over_nor_followed(short: Path) -> None:
    (short / "file").write_text("mine")
    (short / "dangling").symlink_to(short / "new")
    (short / "link").symlink_to(short / "file")
    (short / "directory").mkdir()
    with RawHost(short / "sock", GIVEN) as host:
        for name, why in {
            "file": "it exists already",
            "dangling": "it exists already",
            "link": "it exists already",
            "directory": "it exists already",
            "nowhere/token": "no such file or directory",
            "file/token": "not a directory",
        }.items():
            result = run("pro", "token", "-o", short / name, socket=host.path)
            assert result == Result(8, b"", f"devlxdctl: {short}/{name}: {why}\n".encode())
    # No token was asked for that could not be kept.
    assert host.requests == []
    assert (short / "file").read_text() == "mine"
    assert sorted(os.listdir(short)) == ["dangling", "directory", "file", "link", "sock"]


def test_a_file_that_appears_meanwhile_stays(short: Path) -> None:
    file = short / "token"

    def script(request: bytes) -> bytes:
        file.write_text("mine")
        return GIVEN

    with RawHost(short / "sock", script) as host:
        result = run("pro", "token", "-o", file, socket=host.path)
    assert result == Result(8, b"", f"devlxdctl: {file}: it exists already\n".encode())
    assert file.read_text() == "mine"
    assert sorted(os.listdir(short)) == ["sock", "token"]


def test_a_directory_that_may_not_be_written(path: Path, short: Path) -> None:
    (short / "closed").mkdir(mode=0o555)
    others = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*others, PROGRAM, "pro", "token", "-o", short / "closed" / "token", "--socket", path],
        env={"PATH": os.defpath},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (8, b"")
    assert done.stderr == f"devlxdctl: {short}/closed/token: permission denied\n".encode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_full_disk_leaves_nothing(path: Path, short: Path) -> None:
    script = (
        f"mount -t tmpfs -o size=4k,nr_inodes=10 none {short}/disk\n"
        f"head -c 4096 /dev/zero >{short}/disk/all\n"
        f"{PROGRAM} pro token -o {short}/disk/token --socket {path}; echo $?; ls -A {short}/disk"
    )
    (short / "disk").mkdir()
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, check=False)
    if b"mount" in done.stderr:
        pytest.skip("nothing can be mounted here")
    assert done.stdout == b"8\nall\n"
    assert done.stderr == f"devlxdctl: {short}/disk/token: no space left on device, after 0 bytes\n".encode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_host_thinks_leaves_nothing(number: signal.Signals, short: Path) -> None:
    programs: list[subprocess.Popen[bytes]] = []

    def script(request: bytes) -> None:
        programs[0].send_signal(number)
        programs[0].wait(20)

    with RawHost(short / "sock", script) as host:
        programs.append(
            subprocess.Popen([PROGRAM, "pro", "token", "-o", short / "token", "--socket", host.path], env={})
        )
        assert programs[0].wait(20) == -number
    assert os.listdir(short) == ["sock"]


REFUSALS = {
    "404": (
        3,
        response(b"404 page not found\n", "text/plain; charset=utf-8", "404 Not Found"),
        "this host does not offer it: 404 page not found",
        "hint: newer LXD offers Ubuntu Pro to its guests; Incus does not\n",
    ),
    "200 to anything": (
        3,
        response(b'["/1.0"]\n'),
        "this host does not offer it",
        "hint: newer LXD offers Ubuntu Pro to its guests; Incus does not\n",
    ),
    "403": (
        4,
        response(b"not allowed\n", "text/plain; charset=utf-8", "403 Forbidden"),
        "not permitted: not allowed",
        BOTH_FIXES,
    ),
    "500": (
        7,
        response(b"pro failed\n", "text/plain; charset=utf-8", "500 Internal Server Error"),
        "the host answered with status 500: pro failed",
        "hint: the host could not get one; on the host: pro status\n",
    ),
    "no token": (1, response(b'{"guest_token":""}\n'), "the answer holds no token", ""),
    "a list": (1, response(b"[]\n"), "the answer should be an object in JSON, and is not", ""),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_host_that_gives_none_is_asked_once(name: str, short: Path) -> None:
    status, given, why, advice = REFUSALS[name]
    with RawHost(short / "sock", given) as host:
        token = {"DEVLXD_BEARER_TOKEN": "secret"} if status == 4 else {}
        result = run("pro", "token", "-o", short / "token", socket=host.path, env=token)
    expected = f"devlxdctl: /1.0/ubuntu-pro/token: {why}\n{advice}"
    assert result == Result(status, b"", expected.encode())
    assert [request.split(b"\r\n")[0] for request in host.requests] == [
        b"POST /1.0/ubuntu-pro/token HTTP/1.1"
    ]
    assert os.listdir(short) == ["sock"]


def test_a_question_that_may_have_arrived_is_not_asked_again(short: Path) -> None:
    with RawHost(short / "sock", None) as host:
        result = run("pro", "token", "--wait", "30", socket=host.path)
    assert (result.status, result.stdout) == (7, b"")
    assert len(host.requests) == 1


@pytest.mark.parametrize(
    ("of_host", "of_instance"),
    [("off", ""), ("off", "on"), ("available", ""), ("available", "off"), ("available", "on"), ("on", "")],
)
def test_every_setting_on_the_simulator(of_host: str, of_instance: str, short: Path) -> None:
    config = {"ubuntu_pro.guest_attach": of_instance} if of_instance else {}
    guest = parse_guest(json.dumps({"config": config, "simulator": {"pro": of_host}}), "test")
    holds = "off" if of_host == "off" else of_instance or of_host
    (short / "lxd").mkdir()
    with Simulator(short / "lxd" / "sock", guest) as host:
        assert run("pro", "status", socket=host.path) == Result(0, f"guest_attach\t{holds}\n".encode(), b"")
        result = run("pro", "token", "--raw", socket=host.path)
    if holds == "off":
        why = "not permitted: Failed getting an Ubuntu Pro guest token: Guest attachment not allowed"
        line = f"devlxdctl: /1.0/ubuntu-pro/token: {why}\n"
        assert result == Result(4, b"", (line + BOTH_FIXES).encode())
    else:
        assert (result.status, result.stderr) == (0, b"")
        assert re.fullmatch(rb"C1[0-9a-f]{28}\n", result.stdout)


@pytest.mark.parametrize("profile", ["lxd-5.0", "incus"])
@pytest.mark.parametrize("command", ["status", "token"])
def test_hosts_that_do_not_offer_it(profile: str, command: str, short: Path) -> None:
    name = "incus" if profile == "incus" else "lxd"
    (short / name).mkdir()
    with Simulator(short / name / "sock", profile=profile) as host:
        result = run("pro", command, socket=host.path)
    path = "/1.0/ubuntu-pro" + ("/token" if command == "token" else "")
    lines = (
        f"devlxdctl: {path}: this host does not offer it: 404 page not found\n"
        "hint: newer LXD offers Ubuntu Pro to its guests; Incus does not\n"
    )
    assert result == Result(3, b"", lines.encode())


# Stands for Canonical's client: its arguments and its file, as other users of the machine could see them.
PRO = """#!/bin/sh
tr '\\0' ' ' </proc/$$/cmdline >seen; echo >>seen
stat -c '%a %F' "$3" >>seen
stat -c %a "$(dirname "$3")" >>seen
cat "$3" >attached
"""
RECIPE = Path(__file__).parents[2] / "examples" / "pro-attach.sh"


def test_the_recipe_attaches_with_the_token_in_no_arguments(path: Path, short: Path) -> None:
    (short / "bin").mkdir()
    (short / "bin" / "pro").write_text(PRO)
    (short / "bin" / "pro").chmod(0o755)
    (short / "bin" / "devlxdctl").symlink_to(PROGRAM)
    env = {
        "PATH": f"{short}/bin:{os.defpath}",
        "DEVLXD_SOCKET": str(path),
        "TMPDIR": str(short),
    }
    done = subprocess.run(["sh", "-x", RECIPE], env=env, cwd=short, capture_output=True, check=True)
    assert (short / "attached").read_text() == "token: C1secret\n"
    arguments, *facts = (short / "seen").read_text().splitlines()
    assert re.fullmatch(r"/bin/sh \S+/bin/pro attach --attach-config \S+/attach\.yaml ", arguments)
    assert facts == ["600 regular file", "700"]
    assert b"C1secret" not in done.stderr + done.stdout
    assert sorted(os.listdir(short)) == ["attached", "bin", "seen", "sock"]
