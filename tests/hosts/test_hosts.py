"""The hosts of the contract tests work as documented: a contract test that fails is about the program."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.program import PROGRAM, REPOSITORY

from . import image
from .base import HostError, StopSignal
from .daemon import DaemonHost
from .fixtures import require, running_host
from .jobs import DEFAULT_SIGNALS, Job, poll
from .keeper import find_cgroups
from .software import INCUS, LXD, Software

# Sends METHOD PATH [BODY] to the guest API and prints the status and the body of the response.
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

SLEEPS = ["sh", "-c", "grep -l sleep /proc/[1-9]*/comm | wc -l"]
"""Counts the processes named sleep in the guest. One is a child of init."""


def send(host: DaemonHost, *argv: str) -> bytes:
    result = host.run("python", "-c", REQUEST, host.socket, *argv)
    assert (result.status, result.stderr) == (0, b"")
    return result.stdout


def listed_keys(host: DaemonHost) -> list[str]:
    status, _, body = send(host, "GET", "/1.0/config").partition(b" ")
    assert status == b"200"
    return sorted(json.loads(body))


def test_host_runs_the_installed_daemon(real_host: DaemonHost) -> None:
    daemon = {"lxd": LXD, "incus": INCUS}[real_host.name].daemon
    version = subprocess.run([daemon, "--version"], capture_output=True, text=True, check=True)
    assert real_host.version == version.stdout.split()[0]
    assert send(real_host, "GET", "/") == b'200 ["/1.0"]\n'


def test_guest_has_one_range_of_ids_whatever_the_machine_gives_root(real_host: DaemonHost) -> None:
    for name in ("uid_map", "gid_map"):
        assert real_host.run("cat", f"/proc/self/{name}").stdout.split() == [b"0", b"100000", b"10000001"]


def test_run_keeps_bytes_exit_status_and_both_streams(real_host: DaemonHost) -> None:
    script = r"cat; printf '\000\377\r\n'; echo 'an error' >&2; exit 3"
    result = real_host.run("sh", "-c", script, stdin=b"\x00in\xfe\n")
    assert result.status == 3
    assert result.stdout == b"\x00in\xfe\n\x00\xff\r\n"
    assert result.stderr == b"an error\n"


@pytest.mark.parametrize("name", ["KILL", "TERM", "INT", "PIPE"])
def test_run_returns_minus_the_signal_that_killed_the_command(real_host: DaemonHost, name: str) -> None:
    result = real_host.run("sh", "-c", f"kill -{name} $$")
    assert result.status == -signal.Signals[f"SIG{name}"]


def test_command_can_open_its_standard_streams_by_name(real_host: DaemonHost) -> None:
    result = real_host.run("sh", "-c", "cat /dev/stdin >/dev/stdout", stdin=b"x", user=65534)
    assert (result.status, result.stdout, result.stderr) == (0, b"x", b"")


def test_command_has_the_given_environment_and_directory(real_host: DaemonHost) -> None:
    result = real_host.run("/usr/bin/env", env={"A": "1 2", "B": "é\n"}, cwd="/tmp")
    assert result.stdout == "A=1 2\nB=é\n\n".encode()
    assert real_host.run("/usr/bin/env", env={}).stdout == b""
    assert real_host.run("/usr/bin/pwd", env={}, cwd="/tmp").stdout == b"/tmp\n"


def test_run_kills_the_command_after_its_timeout(real_host: DaemonHost) -> None:
    with pytest.raises(TimeoutError, match="still running after 2 s; stdout ends with b'started"):
        real_host.run("sh", "-c", "echo started; exec sleep 1000", timeout=2)
    assert real_host.run(*SLEEPS).stdout == b"1\n"


def test_any_user_of_the_guest_can_run_the_program(real_host: DaemonHost) -> None:
    result = real_host.run("python", "-c", "import click, os; print(os.getuid(), os.getgid())", user=65534)
    assert (result.status, result.stdout, result.stderr) == (0, b"65534 65534\n", b"")
    assert real_host.run("test", "-x", PROGRAM, user=65534).status == 0


def test_guest_cannot_write_to_the_checkout(real_host: DaemonHost) -> None:
    result = real_host.run("touch", f"{REPOSITORY}/touched")
    assert (result.status, b"Read-only" in result.stderr) == (1, True)


def test_set_changes_and_unsets_keys_in_one_update(real_host: DaemonHost) -> None:
    real_host.set({"user.a": "1", "user.b/☃": "\n <2>", "cloud-init.user-data": "#cloud-config\n"})
    assert send(real_host, "GET", "/1.0/config/user.b%2F%E2%98%83") == b"200 \n <2>"
    real_host.set({"user.a": None, "user.c": "3"})
    expected = [f"/1.0/config/{key}" for key in ("cloud-init.user-data", "user.b/☃", "user.c")]
    assert listed_keys(real_host) == expected


def test_devices_are_added_and_removed(real_host: DaemonHost) -> None:
    def devices() -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads(send(real_host, "GET", "/1.0/devices")[4:])
        return found

    first = devices()
    real_host.add_device("nul", {"type": "unix-char", "source": "/dev/null", "path": "/dev/mynull"})
    assert devices().keys() - first.keys() == {"nul"}
    assert real_host.run("test", "-c", "/dev/mynull").status == 0
    real_host.remove_device("nul")
    assert devices() == first
    assert real_host.run("test", "-e", "/dev/mynull").status == 1


def test_ready_returns_what_the_guest_reported(real_host: DaemonHost) -> None:
    assert real_host.ready() is None
    response = send(real_host, "PATCH", "/1.0", '{"state": "Ready"}')
    # LXD 5.0 responds with the state and records nothing.
    is_recorded = response == b"200 "
    assert real_host.ready() is (True if is_recorded else None)
    send(real_host, "PATCH", "/1.0", '{"state": "Started"}')
    assert real_host.ready() is (False if is_recorded else None)


def test_public_images_can_be_exported_while_export_is_on(real_host: DaemonHost) -> None:
    unified, (metadata, rootfs) = image.unified(b"payload"), image.split(b"payload")
    one = real_host.add_image(unified)
    two = real_host.add_image(metadata, rootfs)
    private = real_host.add_image(image.unified(b"private"), public=False)
    assert one == hashlib.sha256(unified).hexdigest()
    assert two == hashlib.sha256(metadata + rootfs).hexdigest()
    assert send(real_host, "GET", f"/1.0/images/{one}/export").startswith(b"403 ")
    real_host.switch_images(True)
    assert send(real_host, "GET", f"/1.0/images/{one}/export") == b"200 " + unified
    assert rootfs in send(real_host, "GET", f"/1.0/images/{two}/export")
    assert send(real_host, "GET", f"/1.0/images/{private}/export").startswith(b"404 ")
    real_host.reset()
    real_host.switch_images(True)
    assert send(real_host, "GET", f"/1.0/images/{one}/export").startswith(b"404 ")


def test_guest_api_can_be_switched_off_and_on(real_host: DaemonHost) -> None:
    directory = str(Path(real_host.socket).parent)
    real_host.switch_api(False)
    assert real_host.run("test", "-e", directory).status == 1
    real_host.switch_api(True)
    assert listed_keys(real_host) == []


def test_restart_of_the_guest_ends_its_processes(real_host: DaemonHost) -> None:
    real_host.set({"user.a": "1"})
    job = real_host.start("sleep", "1000")
    job.kill(signal.SIGCONT)
    real_host.restart_guest()
    assert job.wait(10) == -signal.SIGKILL
    assert listed_keys(real_host) == ["/1.0/config/user.a"]


@pytest.mark.parametrize("signal_name", ["TERM", "KILL"])
def test_guest_and_its_jobs_survive_the_daemon(real_host: DaemonHost, signal_name: StopSignal) -> None:
    real_host.set({"user.a": "1"})
    script = "trap 'echo caught; exit 5' USR1; echo started; while :; do sleep 0.01; done"
    job = real_host.start("sh", "-c", script)
    job.wait_for(b"started")
    real_host.stop_daemon(signal_name)
    assert real_host.run("cat", "/proc/1/comm").stdout == b"init\n"
    real_host.start_daemon()
    assert listed_keys(real_host) == ["/1.0/config/user.a"]
    job.kill(signal.SIGUSR1)
    assert (job.wait(), job.stdout(), job.stderr()) == (5, b"started\ncaught\n", b"")


def test_frozen_daemon_responds_when_it_continues(real_host: DaemonHost) -> None:
    real_host.freeze_daemon()
    script = f"import sys; print('started', flush=True)\n{REQUEST}"
    job = real_host.start("python", "-c", script, real_host.socket, "GET", "/")
    job.wait_for(b"started")
    with pytest.raises(TimeoutError):
        job.wait(0.3)
    real_host.thaw_daemon()
    assert job.wait() == 0
    assert job.stdout() == b'started\n200 ["/1.0"]\n'


def test_frozen_daemon_can_be_killed(real_host: DaemonHost) -> None:
    real_host.freeze_daemon()
    real_host.stop_daemon("KILL")
    real_host.start_daemon()
    assert listed_keys(real_host) == []


def test_only_a_known_crash_of_the_daemon_is_no_error(real_host: DaemonHost) -> None:
    assert not real_host.revive_daemon()
    real_host.stop_daemon("KILL")
    with pytest.raises(HostError, match="ended with status -9"):
        real_host.revive_daemon()
    real_host.start_daemon()


def test_job_can_be_stopped_continued_and_killed_while_stopped(real_host: DaemonHost) -> None:
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


def test_wait_for_reports_the_output_of_a_job_that_ended_without_the_text(real_host: DaemonHost) -> None:
    job = real_host.start("sh", "-c", "echo failed >&2")
    with pytest.raises(TimeoutError, match=r"ended without.*failed"):
        job.wait_for(b"never")


def test_reset_reverts_everything_that_a_test_changed(real_host: DaemonHost) -> None:
    before = send(real_host, "GET", "/1.0/devices")
    send(real_host, "PATCH", "/1.0", '{"state": "Ready"}')
    real_host.set({"user.a": "1", "cloud-init.user-data": "x", "limits.memory": "1GiB"})
    real_host.add_device("nul", {"type": "none"})
    job = real_host.start("sleep", "1000")
    real_host.run("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &")
    real_host.switch_api(False)
    real_host.freeze_daemon()
    real_host.reset()
    assert not job.running
    assert listed_keys(real_host) == []
    assert send(real_host, "GET", "/1.0/devices") == before
    assert real_host.ready() is None
    assert real_host.client("config", "get", real_host.instance, "limits.memory").stdout == b"\n"
    assert real_host.run(*SLEEPS).stdout == b"1\n"
    real_host.stop_daemon("TERM")
    real_host.reset()
    assert listed_keys(real_host) == []


# Starts a host, prints the name of its guest, and leaves as many processes stopped as possible.
OWNER = """
import signal, sys, time
from tests import hosts
with {"lxd": hosts.lxd, "incus": hosts.incus}[sys.argv[1]]() as host:
    name = host.run("cat", "/proc/sys/kernel/hostname").stdout.decode()
    host.start("sleep", "1000").kill(signal.SIGSTOP)
    host.freeze_daemon()
    print(name, end="", flush=True)
    time.sleep(1000)
"""

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def leftovers(name: str) -> list[str]:
    """Return the files, control groups, processes and mounts of the host with this name."""
    paths = (f"/tmp/{name}", f"/run/lxc/lock/tmp/{name}", *find_cgroups(f"*{name}*"))
    found = [path for path in paths if Path(path).exists()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "mounts").read_bytes()
        except (OSError, ValueError):
            continue  # it has ended meanwhile
        if name.encode() in text:
            found.append(str(process))
    return found


@pytest.mark.parametrize("software", [LXD, INCUS], ids=lambda software: software.name)
def test_closed_host_leaves_nothing_behind(software: Software) -> None:
    for host in running_host(software):
        name = host.run("cat", "/proc/sys/kernel/hostname").stdout.decode().strip()
        host.start("sleep", "1000")
        host.freeze_daemon()
        assert len(leftovers(name)) > 5
    assert leftovers(name) == []


@pytest.mark.parametrize("name", ["INT", "TERM", "KILL"])
@pytest.mark.parametrize("software", [LXD, INCUS], ids=lambda software: software.name)
def test_killed_test_run_leaves_nothing_behind(software: Software, name: str) -> None:
    require(software)
    with Job([*DEFAULT_SIGNALS, sys.executable, "-c", OWNER, software.name], env=ENVIRONMENT) as job:
        guest = job.wait_for(b"\n", 60).decode().strip()
        assert len(leftovers(guest)) > 5
        job.kill(signal.Signals[f"SIG{name}"])
        job.wait(30)
        poll(f"removal of {guest}", lambda: not leftovers(guest) or None, 30)


@pytest.mark.parametrize("software", [LXD, INCUS], ids=lambda software: software.name)
def test_command_line_runs_a_command_in_a_guest(software: Software) -> None:
    require(software)
    script = f"python -c '{REQUEST}' {software.socket} GET /1.0/config/user.a; echo err >&2; exit 3"
    argv = [sys.executable, "-m", "tests.hosts", software.name, "--set", "user.a=b=c"]
    result = subprocess.run(
        [*argv, "--", "sh", "-c", script], env=ENVIRONMENT, capture_output=True, timeout=60, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (3, b"200 b=c", b"err\n")
