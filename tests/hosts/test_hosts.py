"""The hosts do what they promise: so a failing contract test is about the program and not about its host."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from . import image
from .base import PROGRAM
from .daemon import INCUS, LXD, REPOSITORY, DaemonHost, Software
from .fixtures import bring_up, require
from .jobs import DEFAULT_SIGNALS, Job, poll
from .keeper import cgroups

# a request to the guest API: METHOD PATH [BODY]; prints status and body
REQUEST = """
import http.client, socket, sys
path, method, target, *body = sys.argv[1:]
connection = http.client.HTTPConnection("guest", timeout=10)
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(path)
connection.request(method, target, body[0] if body else None)
response = connection.getresponse()
sys.stdout.buffer.write(b"%d " % response.status + response.read())
"""


def request(host: DaemonHost, *words: str) -> bytes:
    result = host.run("python", "-c", REQUEST, host.socket, *words)
    assert (result.status, result.stderr) == (0, b"")
    return result.stdout


def keys(host: DaemonHost) -> list[str]:
    status, _, body = request(host, "GET", "/1.0/config").partition(b" ")
    assert status == b"200"
    return sorted(json.loads(body))


def test_the_daemon_is_the_one_that_is_installed(real_host: DaemonHost) -> None:
    binary = {"lxd": LXD, "incus": INCUS}[real_host.name].daemon
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    assert real_host.version == version.stdout.split()[0]
    assert request(real_host, "GET", "/") == b'200 ["/1.0"]\n'


def test_a_guest_has_one_range_of_ids_however_many_the_machine_gives_root(real_host: DaemonHost) -> None:
    for name in ("uid_map", "gid_map"):
        assert real_host.run("cat", f"/proc/self/{name}").stdout.split() == [b"0", b"100000", b"10000001"]


def test_a_command_has_its_bytes_its_status_and_its_streams_apart(real_host: DaemonHost) -> None:
    script = r"cat; printf '\000\377\r\n'; echo 'an error' >&2; exit 3"
    result = real_host.run("sh", "-c", script, stdin=b"\x00in\xfe\n")
    assert result.status == 3
    assert result.stdout == b"\x00in\xfe\n\x00\xff\r\n"
    assert result.stderr == b"an error\n"


@pytest.mark.parametrize("name", ["KILL", "TERM", "INT", "PIPE"])
def test_a_command_that_a_signal_killed(real_host: DaemonHost, name: str) -> None:
    result = real_host.run("sh", "-c", f"kill -{name} $$")
    assert result.status == -signal.Signals[f"SIG{name}"]


def test_a_command_can_open_its_standard_streams_by_name(real_host: DaemonHost) -> None:
    result = real_host.run("sh", "-c", "cat /dev/stdin >/dev/stdout", stdin=b"x", user=65534)
    assert (result.status, result.stdout, result.stderr) == (0, b"x", b"")


def test_a_command_has_the_environment_and_directory_it_was_given(real_host: DaemonHost) -> None:
    result = real_host.run("/usr/bin/env", env={"A": "1 2", "B": "é\n"}, cwd="/tmp")
    assert result.stdout == "A=1 2\nB=é\n\n".encode()
    assert real_host.run("/usr/bin/env", env={}).stdout == b""
    assert real_host.run("/usr/bin/pwd", env={}, cwd="/tmp").stdout == b"/tmp\n"


def test_a_command_past_its_time_is_killed(real_host: DaemonHost) -> None:
    with pytest.raises(TimeoutError, match="so far"):
        real_host.run("sh", "-c", "echo so far; exec sleep 1000", timeout=0.5)
    assert real_host.run("sh", "-c", "grep -l sleep /proc/[1-9]*/comm | wc -l").stdout == b"1\n"


def test_any_user_of_the_guest_can_run_the_program(real_host: DaemonHost) -> None:
    result = real_host.run("python", "-c", "import click, os; print(os.getuid(), os.getgid())", user=65534)
    assert (result.status, result.stdout, result.stderr) == (0, b"65534 65534\n", b"")
    assert real_host.run("test", "-x", PROGRAM, user=65534).status == 0


def test_the_guest_cannot_write_to_the_checkout(real_host: DaemonHost) -> None:
    result = real_host.run("touch", f"{REPOSITORY}/touched")
    assert (result.status, b"Read-only" in result.stderr) == (1, True)


def test_keys_are_set_and_unset_in_one_update(real_host: DaemonHost) -> None:
    real_host.set({"user.a": "1", "user.b/☃": "\n <2>", "cloud-init.user-data": "#cloud-config\n"})
    assert request(real_host, "GET", "/1.0/config/user.b%2F%E2%98%83") == b"200 \n <2>"
    real_host.set({"user.a": None, "user.c": "3"})
    assert keys(real_host) == [f"/1.0/config/{key}" for key in ("cloud-init.user-data", "user.b/☃", "user.c")]


def test_devices_come_and_go(real_host: DaemonHost) -> None:
    def devices() -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads(request(real_host, "GET", "/1.0/devices")[4:])
        return found

    first = devices()
    real_host.add_device("nul", {"type": "unix-char", "source": "/dev/null", "path": "/dev/mynull"})
    assert devices().keys() - first.keys() == {"nul"}
    assert real_host.run("test", "-c", "/dev/mynull").status == 0
    real_host.remove_device("nul")
    assert devices() == first
    assert real_host.run("test", "-e", "/dev/mynull").status == 1


def test_ready_is_what_the_guest_has_said(real_host: DaemonHost) -> None:
    assert real_host.ready() is None
    answer = request(real_host, "PATCH", "/1.0", '{"state": "Ready"}')
    # LXD 5.0 answers with the state, and nothing comes of it
    old = answer != b"200 "
    assert real_host.ready() is (None if old else True)
    request(real_host, "PATCH", "/1.0", '{"state": "Started"}')
    assert real_host.ready() is (None if old else False)


def test_images_are_exported_when_they_are_offered(real_host: DaemonHost) -> None:
    unified, (metadata, rootfs) = image.unified(b"payload"), image.split(b"payload")
    one = real_host.add_image(unified)
    two = real_host.add_image(metadata, rootfs)
    private = real_host.add_image(image.unified(b"private"), public=False)
    assert one == hashlib.sha256(unified).hexdigest()
    assert two == hashlib.sha256(metadata + rootfs).hexdigest()
    assert request(real_host, "GET", f"/1.0/images/{one}/export").startswith(b"403 ")
    real_host.offer_images(True)
    assert request(real_host, "GET", f"/1.0/images/{one}/export") == b"200 " + unified
    assert rootfs in request(real_host, "GET", f"/1.0/images/{two}/export")
    assert request(real_host, "GET", f"/1.0/images/{private}/export").startswith(b"404 ")
    real_host.clear()
    real_host.offer_images(True)
    assert request(real_host, "GET", f"/1.0/images/{one}/export").startswith(b"404 ")


def test_the_guest_api_is_switched_off_and_on(real_host: DaemonHost) -> None:
    directory = str(Path(real_host.socket).parent)
    real_host.offer(False)
    assert real_host.run("test", "-e", directory).status == 1
    real_host.offer(True)
    assert keys(real_host) == []


def test_a_guest_restarts(real_host: DaemonHost) -> None:
    real_host.set({"user.a": "1"})
    job = real_host.start("sleep", "1000")
    job.kill(signal.SIGCONT)
    real_host.restart_guest()
    assert job.wait(10) == -signal.SIGKILL
    assert keys(real_host) == ["/1.0/config/user.a"]


@pytest.mark.parametrize("how", ["TERM", "KILL"])
def test_the_guest_and_its_jobs_outlive_the_daemon(real_host: DaemonHost, how: str) -> None:
    real_host.set({"user.a": "1"})
    script = "trap 'echo caught; exit 5' USR1; echo begun; while :; do sleep 0.01; done"
    job = real_host.start("sh", "-c", script)
    job.wait_for(b"begun")
    real_host.stop("TERM" if how == "TERM" else "KILL")
    assert real_host.run("cat", "/proc/1/comm").stdout == b"init\n"
    real_host.resume()
    assert keys(real_host) == ["/1.0/config/user.a"]
    job.kill(signal.SIGUSR1)
    assert (job.wait(), job.stdout(), job.stderr()) == (5, b"begun\ncaught\n", b"")


def test_a_frozen_daemon_answers_when_it_is_thawed(real_host: DaemonHost) -> None:
    real_host.freeze()
    script = f"import sys; print('begun', flush=True)\n{REQUEST}"
    job = real_host.start("python", "-c", script, real_host.socket, "GET", "/")
    job.wait_for(b"begun")
    with pytest.raises(TimeoutError):
        job.wait(0.3)
    real_host.thaw()
    assert job.wait() == 0
    assert job.stdout() == b'begun\n200 ["/1.0"]\n'


def test_a_frozen_daemon_can_be_killed(real_host: DaemonHost) -> None:
    real_host.freeze()
    real_host.stop("KILL")
    real_host.resume()
    assert keys(real_host) == []


def test_a_job_stops_and_goes_on(real_host: DaemonHost) -> None:
    job = real_host.start("sh", "-c", "while :; do echo x; sleep 0.001; done")
    job.wait_for(b"x\n")
    job.kill(signal.SIGSTOP)
    written = job.stdout()
    with pytest.raises(TimeoutError):
        job.wait(0.1)
    assert job.stdout() == written
    job.kill(signal.SIGCONT)
    job.wait_for(written + b"x\n")
    job.kill(signal.SIGSTOP)
    job.kill(signal.SIGKILL)
    assert job.wait(10) == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        job.kill()


def test_a_job_that_ends_before_it_says_what_was_awaited(real_host: DaemonHost) -> None:
    job = real_host.start("sh", "-c", "echo sorry >&2")
    with pytest.raises(TimeoutError, match=r"ended without.*sorry"):
        job.wait_for(b"never")


def test_clear_undoes_whatever_a_test_did(real_host: DaemonHost) -> None:
    before = request(real_host, "GET", "/1.0/devices")
    request(real_host, "PATCH", "/1.0", '{"state": "Ready"}')
    real_host.set({"user.a": "1", "cloud-init.user-data": "x"})
    real_host.add_device("nul", {"type": "none"})
    job = real_host.start("sleep", "1000")
    real_host.run("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &")
    real_host.offer(False)
    real_host.freeze()
    real_host.clear()
    assert not job.running
    assert keys(real_host) == []
    assert request(real_host, "GET", "/1.0/devices") == before
    assert real_host.ready() is None
    # the one sleep that is left is init's
    assert real_host.run("sh", "-c", "grep -l sleep /proc/[1-9]*/comm | wc -l").stdout == b"1\n"
    real_host.stop("TERM")
    real_host.clear()
    assert keys(real_host) == []


# brings a host up, prints the guest's name, and waits for the worst with as much stopped as can be
OWNER = """
import signal, sys, time
from tests import hosts
with {"lxd": hosts.lxd, "incus": hosts.incus}[sys.argv[1]]() as host:
    name = host.run("cat", "/proc/sys/kernel/hostname").stdout.decode()
    host.start("sleep", "1000").kill(signal.SIGSTOP)
    host.freeze()
    print(name, end="", flush=True)
    time.sleep(1000)
"""

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def leftovers(name: str) -> list[str]:
    """What there is of a host by that name: its files, control groups, processes and mounts."""
    places = (f"/tmp/{name}", f"/run/lxc/lock/tmp/{name}", *cgroups(f"*{name}*"))
    found = [path for path in places if Path(path).exists()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "mounts").read_bytes()
        except (OSError, ValueError):
            continue  # it is ending
        if name.encode() in text:
            found.append(str(process))
    return found


@pytest.mark.parametrize("software", [LXD, INCUS], ids=lambda software: software.name)
def test_nothing_is_left_of_a_host(software: Software) -> None:
    for host in bring_up(software):
        name = host.run("cat", "/proc/sys/kernel/hostname").stdout.decode().strip()
        host.start("sleep", "1000")
        host.freeze()
        assert len(leftovers(name)) > 5
    assert leftovers(name) == []


@pytest.mark.parametrize("name", ["INT", "TERM", "KILL"])
@pytest.mark.parametrize("software", [LXD, INCUS], ids=lambda software: software.name)
def test_nothing_is_left_when_the_tests_are_killed(software: Software, name: str) -> None:
    require(software)
    with Job([*DEFAULT_SIGNALS, sys.executable, "-c", OWNER, software.name], env=ENVIRONMENT) as job:
        guest = job.wait_for(b"\n").decode().strip()
        assert len(leftovers(guest)) > 5
        job.kill(signal.Signals[f"SIG{name}"])
        job.wait(20)
        poll("nothing left", lambda: not leftovers(guest) or None, 20)


@pytest.mark.parametrize("software", [LXD, INCUS], ids=lambda software: software.name)
def test_the_command_line(software: Software) -> None:
    require(software)
    script = f"python -c '{REQUEST}' {software.socket} GET /1.0/config/user.a; echo err >&2; exit 3"
    argv = [sys.executable, "-m", "tests.hosts", software.name, "--set", "user.a=b=c"]
    result = subprocess.run(
        [*argv, "--", "sh", "-c", script], env=ENVIRONMENT, capture_output=True, timeout=60, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (3, b"200 b=c", b"err\n")
