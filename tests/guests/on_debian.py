"""The one file for guests in Debian's releases: the contract, its starts, a TAB, a man page."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.contract.test_commands import *  # noqa: F403  # the contract, run in these guests
from tests.contract.test_events import *  # noqa: F403
from tests.contract.test_image import *  # noqa: F403
from tests.contract.test_values_and_endpoints import *  # noqa: F403
from tests.contract.test_restarts import *  # noqa: F403
from tests.guests.debian import ZIPAPP
from tests.hosts import PROGRAM, DaemonHost, Result
from tests.hosts.daemon import environment
from tests.support.terminal import Terminal

_SETTINGS = (
    "PS1='ready> '; bind 'set enable-bracketed-paste off'; . /usr/share/bash-completion/bash_completion"
)

pytestmark = pytest.mark.timeout(900)  # the first test of each guest makes it


@pytest.fixture
def bash(real_host: DaemonHost) -> Iterator[Terminal]:
    real_host.run("sh", "-c", f'echo "{_SETTINGS}" >/root/rc')
    env = {**environment(0), "TERM": "xterm"}
    with Terminal(real_host.command("bash", "--rcfile", "/root/rc", "-i", env=env), {}) as terminal:
        yield terminal


def test_which_python_it_is(real_host: DaemonHost) -> None:
    script = "import sys; print(*sys.version_info[:3], sep='.')"
    version = real_host.run("python3", "-c", script).stdout.decode().strip()
    release = real_host.run("sed", "-n", "s/^PRETTY_NAME=//p", "/etc/os-release").stdout.decode().strip()
    print(f"{release}: Python {version}")
    assert (3, 10) <= tuple(map(int, version.split(".")[:2])) <= (3, 14)


def test_it_is_pushed_and_started(real_host: DaemonHost) -> None:
    real_host.set({"user.role": "web"})
    real_host.run("rm", "-rf", "/root/.cache", "/usr/local/bin/devlxdctl")
    target = f"{real_host.instance}/usr/local/bin/devlxdctl"
    pushed = real_host.client("file", "push", str(ZIPAPP), target, "--mode", "0755")
    assert pushed.status == 0, pushed.stderr
    assert real_host.execute("devlxdctl", "config", "get", "user.role") == Result(0, b"web\n", b"")
    real_host.run("rm", "/usr/local/bin/devlxdctl")


def test_there_is_no_network(real_host: DaemonHost) -> None:
    assert real_host.run("ls", "/sys/class/net").stdout == b"lo\n"


def test_the_first_start_fills_the_cache_and_the_second_uses_it(real_host: DaemonHost) -> None:
    real_host.set({"user.role": "web"})
    real_host.run("rm", "-rf", "/root/.cache")
    for _ in range(2):
        result = real_host.run(PROGRAM, "-f", "json", "config", "ls", "-l")
        assert (result.status, json.loads(result.stdout), result.stderr) == (0, {"user.role": "web"}, b"")
    # How long they take, from inside.
    script = (
        "import os, subprocess, sys, time\n"
        "for argv in (['--version'], ['-f', 'json', 'state']):\n"
        "    for what, again in (('first', 1), ('second', 1), ('later', 9), ('no cache', 5)):\n"
        "        if what == 'first': subprocess.run(['rm', '-rf', '/root/.cache'])\n"
        "        env = {**os.environ, **({'XDG_CACHE_HOME': '/proc/none'} if what == 'no cache' else {})}\n"
        "        took = []\n"
        "        for _ in range(again):\n"
        "            start = time.perf_counter()\n"
        "            subprocess.run([sys.argv[1], *argv], env=env, stdout=subprocess.DEVNULL, check=True)\n"
        "            took.append(time.perf_counter() - start)\n"
        "        print(f'{\" \".join(argv):14} {what:8} {sorted(took)[again // 2] * 1000:5.0f} ms')\n"
    )
    result = real_host.run("python3", "-c", script, PROGRAM)
    print(result.stdout.decode())
    assert (result.status, result.stderr) == (0, b"")


def test_a_read_only_guest_has_no_cache(real_host: DaemonHost) -> None:
    real_host.set({"user.role": "web"})
    real_host.run("rm", "-rf", "/root/.cache")
    script = 'mount -o remount,bind,ro / && exec "$0" config ls'
    result = real_host.run("unshare", "-m", "sh", "-c", script, PROGRAM)
    assert (result.status, result.stdout) == (0, b"user.role\n")
    assert real_host.run("test", "-e", "/root/.cache").status == 1


def test_a_tab_in_its_bash(real_host: DaemonHost, bash: Terminal) -> None:
    real_host.set({"user.role": "web", "user.a:b": "colon", "user.sp ace": "space"})
    real_host.run(PROGRAM, "state")  # so that what a TAB imports is compiled
    assert bash.run("devlxdctl config get user.ro\t").endswith("web\n")
    assert bash.run("devlxdctl config get user.a:\t").endswith("colon\n")
    assert bash.run("devlxdctl config get user.sp\t").endswith("space\n")
    assert bash.run("devlxdctl devices ro\t | cut -f 1").endswith("root\n")


def test_the_manual(real_host: DaemonHost) -> None:
    result = real_host.run("man", "devlxdctl-config-get", env={**environment(0), "MANWIDTH": "80"})
    assert result.status == 0
    assert b"show the value of a KEY" in result.stdout
    assert real_host.run("mandb", "--quiet").status == 0
    assert real_host.run("whatis", "devlxdctl").stdout.startswith(b"devlxdctl (1)")
