"""The zipapp in guests with Debian releases: the contract tests, its start-up, completion, a man page."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

# The contract tests run in these guests, too. Those of the library do not: the zipapp cannot be imported.
from tests.contract.test_config import *  # noqa: F403
from tests.contract.test_doctor import *  # noqa: F403
from tests.contract.test_events import *  # noqa: F403
from tests.contract.test_image import *  # noqa: F403
from tests.contract.test_instance import *  # noqa: F403
from tests.contract.test_query import *  # noqa: F403
from tests.contract.test_unavailable_hosts import *  # noqa: F403
from tests.guests.debian import ZIPAPP
from tests.hosts import DaemonHost
from tests.hosts.software import default_environment
from tests.support.program import PROGRAM, Result
from tests.support.terminal import Terminal

_SETTINGS = (
    "PS1='ready> '; bind 'set enable-bracketed-paste off'; . /usr/share/bash-completion/bash_completion"
)

_CACHE = "/var/cache/devlxdctl"

# Prints the time that a first start takes, a second and later ones, and one without the cache.
_START_UP = """
import shutil, subprocess, sys, time
program, cache = sys.argv[1:]

def measure(start, runs, *argv, keep=True):
    times = []
    for _ in range(runs):
        if not keep:
            shutil.rmtree(cache, ignore_errors=True)
        begin = time.perf_counter()
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - begin)
    options = " ".join(argv[argv.index(program) + 1:])
    print(f"{options:14} {start:8} {sorted(times)[runs // 2] * 1000:5.0f} ms")

for argv in (["--version"], ["-f", "json", "state"]):
    shutil.rmtree(cache, ignore_errors=True)
    for start, runs in (("first", 1), ("second", 1), ("later", 9)):
        measure(start, runs, program, *argv)
    measure("no cache", 5, sys.executable, "-ISB", program, *argv, keep=False)
"""

pytestmark = pytest.mark.timeout(900)  # the first test of a release builds its root file system


@pytest.fixture
def bash(real_host: DaemonHost) -> Iterator[Terminal]:
    real_host.run("sh", "-c", f'echo "{_SETTINGS}" >/root/rc')
    env = {**default_environment(0), "TERM": "xterm"}
    with Terminal(real_host.command("bash", "--rcfile", "/root/rc", "-i", env=env), {}) as terminal:
        yield terminal


def test_release_has_a_supported_python(real_host: DaemonHost) -> None:
    script = "import sys; print(*sys.version_info[:3], sep='.')"
    version = real_host.run("python3", "-c", script).stdout.decode().strip()
    release = real_host.run("sed", "-n", "s/^PRETTY_NAME=//p", "/etc/os-release").stdout.decode().strip()
    print(f"{release}: Python {version}")
    assert (3, 10) <= tuple(map(int, version.split(".")[:2])) <= (3, 14)


def test_zipapp_runs_after_file_push(real_host: DaemonHost) -> None:
    real_host.set({"user.role": "web"})
    real_host.run("rm", "-rf", _CACHE, "/usr/local/bin/devlxdctl")
    target = f"{real_host.instance}/usr/local/bin/devlxdctl"
    pushed = real_host.client("file", "push", str(ZIPAPP), target, "--mode", "0755")
    assert pushed.status == 0, pushed.stderr
    assert real_host.execute("devlxdctl", "config", "get", "user.role") == Result(0, b"web\n", b"")
    real_host.run("rm", "/usr/local/bin/devlxdctl")


def test_guest_has_no_network(real_host: DaemonHost) -> None:
    assert real_host.run("ls", "/sys/class/net").stdout == b"lo\n"


def test_first_start_fills_the_cache_and_later_ones_use_it(real_host: DaemonHost) -> None:
    real_host.set({"user.role": "web"})
    real_host.run("rm", "-rf", _CACHE)
    listings = []
    for _ in range(2):
        result = real_host.run(PROGRAM, "-f", "json", "config", "ls", "-l")
        assert (result.status, json.loads(result.stdout), result.stderr) == (0, {"user.role": "web"}, b"")
        listings.append(real_host.run("find", _CACHE, "-type", "f", "-printf", "%p %i %T@\\n").stdout)
    assert len(listings[0].splitlines()) > 50
    assert sorted(listings[0].splitlines()) == sorted(listings[1].splitlines())


def test_start_up_times_are_printed(real_host: DaemonHost) -> None:
    result = real_host.run("python3", "-c", _START_UP, PROGRAM, _CACHE)
    print(result.stdout.decode())
    assert (result.status, result.stderr) == (0, b"")


def test_read_only_guest_runs_the_zipapp_without_a_cache(real_host: DaemonHost) -> None:
    real_host.set({"user.role": "web"})
    real_host.run("rm", "-rf", _CACHE)
    script = 'mount -o remount,bind,ro / && exec "$0" config ls'
    result = real_host.run("unshare", "-m", "sh", "-c", script, PROGRAM)
    assert result == Result(0, b"user.role\n", b"")
    assert real_host.run("test", "-e", _CACHE).status == 1


def test_bash_of_the_release_completes_keys_and_devices(real_host: DaemonHost, bash: Terminal) -> None:
    real_host.set({"user.role": "web", "user.a:b": "colon", "user.sp ace": "space"})
    real_host.run(PROGRAM, "state")  # compiles what completion imports
    assert bash.run("devlxdctl config get user.ro\t").endswith("web\n")
    assert bash.run("devlxdctl config get user.a:\t").endswith("colon\n")
    assert bash.run("devlxdctl config get user.sp\t").endswith("space\n")
    assert bash.run("devlxdctl devices ro\t | cut -f 1").endswith("root\n")


def test_man_of_the_release_shows_the_man_pages(real_host: DaemonHost) -> None:
    env = {**default_environment(0), "MANWIDTH": "80"}
    result = real_host.run("man", "devlxdctl-config-get", env=env)
    assert result.status == 0
    assert b"devlxdctl config get [OPTIONS] KEY..." in b" ".join(result.stdout.split())
    assert real_host.run("mandb", "--quiet").status == 0
    assert real_host.run("whatis", "devlxdctl").stdout.startswith(b"devlxdctl (1)")
