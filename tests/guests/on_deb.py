"""The Debian package in guests that boot systemd: installation, use, upgrade, removal, purge."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guests.debian import RELEASES
from tests.guests.systemd import ENVIRONMENT, booted, properties, run
from tests.hosts import DaemonHost, Result
from tests.hosts.jobs import poll
from tests.hosts.software import INCUS, LXD
from tests.support.program import REPOSITORY
from tests.support.terminal import Terminal

PRIVATE = "/usr/share/devlxdctl"
UNITS = ("devlxd-ready.service", "devlxd-ready-hold.service")

GUESTS = [*((release, INCUS) for release in RELEASES), (RELEASES[0], LXD)]
"""LXD 5.0, which Debian has, does not record readiness. So it gets one release only."""

# Name, type, mode, owner and link target of all files, checksums of regular files, and the packages. Logs,
# caches and the text of dpkg's database are left out: apt and dpkg change them with each run.
_FILES = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \
    -o -path /var/log -o -path /var/cache/apt -o -path /var/cache/man -o -path '/var/lib/dpkg/status*' \
    -o -path /root/package \) -prune \
    -o \( -printf '%p\t%y\t%m\t%U:%G\t%l\n' -type f -exec sha256sum {} + \) | sort
dpkg-query --show --showformat='${Package} ${Version} ${Status}\n'
"""

# Settings that make a prompt which `Terminal` finds, and nothing else that would disturb it.
_SHELLS = {
    "bash": (
        ".bashrc",
        "PS1='ready> '; bind 'set enable-bracketed-paste off'\n"
        ". /usr/share/bash-completion/bash_completion\n",
    ),
    "zsh": (
        ".zshrc",
        "PS1='ready> '; unsetopt beep prompt_cr prompt_sp; unset zle_bracketed_paste\n"
        "autoload -U compinit; compinit -u -D\n",
    ),
    "fish": (
        "fish/config.fish",
        "function fish_prompt; echo -n 'ready> '; end\nfunction fish_greeting; end\n"
        "set -g fish_autosuggestion_enabled 0\n",
    ),
}

pytestmark = pytest.mark.timeout(1800)  # the first test of a release may have to make its image


def deb() -> Path:
    """Return the package that `make deb` built."""
    (path,) = (REPOSITORY / "dist").glob("devlxdctl_*_all.deb")
    return path


def push(guest: DaemonHost, package: Path) -> str:
    """Copy a package into the guest; return its path there."""
    path = f"/root/package/{package.name}"
    script = 'mkdir -p /root/package && cat >"$0"'
    run(guest, "sh", "-c", script, path, stdin=package.read_bytes())
    return path


def states(guest: DaemonHost) -> list[list[str]]:
    return [properties(guest, unit, "UnitFileState", "ActiveState") for unit in UNITS]


@pytest.fixture(scope="module", params=GUESTS, ids=lambda guest: f"{guest[0]} on {guest[1].name}")
def guest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonHost]:
    release, software = request.param
    with booted(release, software, tmp_path_factory.mktemp("daemon")) as host:
        host.set({"user.role": "tab-value"})
        yield host


@pytest.fixture(scope="module")
def first_installation(guest: DaemonHost) -> Result:
    """Install the package where there is no Python yet, and no network."""
    assert run(guest, "sh", "-c", "command -v python3", status=None).status != 0
    assert run(guest, "ls", "/sys/class/net").stdout == b"lo\n"
    return run(guest, "apt-get", "install", "-y", "--no-install-recommends", push(guest, deb()))


@pytest.fixture
def installed(guest: DaemonHost, first_installation: Result) -> DaemonHost:
    """The guest with the package as after its first installation: no unit is enabled or started."""
    if run(guest, "dpkg-query", "-W", "-f", "${Status}", "devlxdctl", status=None).stdout != (
        b"install ok installed"
    ):
        run(guest, "dpkg", "-i", push(guest, deb()))
    run(guest, "systemctl", "disable", "--now", *UNITS)
    return guest


def test_one_apt_command_installs_the_package_with_python(
    guest: DaemonHost, first_installation: Result
) -> None:
    version = run(guest, "dpkg-query", "-W", "-f", "${Version}", "devlxdctl").stdout
    assert run(guest, "devlxdctl", "--version") == Result(0, b"devlxdctl " + version + b"\n", b"")
    assert run(guest, "devlxdctl", "config", "get", "user.role") == Result(0, b"tab-value\n", b"")
    assert b'"instance_type":"container"' in run(guest, "devlxdctl", "-f", "json", "state").stdout


def test_package_compiles_all_modules_and_running_it_writes_nothing(installed: DaemonHost) -> None:
    tag = run(installed, "python3", "-c", "import sys; print(sys.implementation.cache_tag)").stdout.decode()
    count = f"find {PRIVATE} -name '*.py' | wc -l; find {PRIVATE} -name '*.{tag.strip()}.pyc' | wc -l"
    modules, compiled = run(installed, "sh", "-c", count).stdout.split()
    assert modules == compiled
    before = run(installed, "sh", "-c", _FILES).stdout
    for argv in (["devices"], ["dump"], ["doctor"], ["help"]):
        run(installed, "devlxdctl", *argv)
    assert run(installed, "sh", "-c", _FILES).stdout == before


def test_change_of_python_compiles_the_modules_of_the_package_again(installed: DaemonHost) -> None:
    compiled = f"find {PRIVATE} -name '*.pyc' | sort"
    before = run(installed, "sh", "-c", compiled).stdout
    run(installed, "py3clean", "-p", "devlxdctl")
    assert run(installed, "sh", "-c", compiled).stdout == b""
    # The python3 package runs this when the default version of Python changes.
    run(installed, "/usr/share/python3/runtime.d/devlxdctl.rtupdate", "rtupdate", "python3.9", "python3")
    assert run(installed, "sh", "-c", compiled).stdout == before


def test_modules_in_the_guest_do_not_replace_those_of_the_package(installed: DaemonHost) -> None:
    script = (
        "mkdir -p /root/other /root/.local/lib/python3/site-packages && cd /root/other &&"
        " echo 'raise SystemExit(99)' | tee click.py requests.py json.py sitecustomize.py >/dev/null &&"
        " cp click.py /usr/lib/python3/dist-packages/click.py &&"
        " echo 'import sys; sys.exit(99)' >/usr/lib/python3/dist-packages/other.pth &&"
        " PYTHONPATH=/root/other PYTHONHOME=/nowhere devlxdctl config get user.role; status=$?;"
        " rm -r /root/other /root/.local /usr/lib/python3/dist-packages/click.py"
        " /usr/lib/python3/dist-packages/other.pth; exit $status"
    )
    assert run(installed, "sh", "-c", script) == Result(0, b"tab-value\n", b"")


def test_man_finds_the_man_pages_of_the_package(installed: DaemonHost) -> None:
    assert run(installed, "man", "-w", "devlxdctl").stdout == b"/usr/share/man/man1/devlxdctl.1.gz\n"
    assert b"devlxdctl config get" in run(installed, "man", "devlxdctl-config-get").stdout
    assert run(installed, "whatis", "devlxdctl").stdout.startswith(b"devlxdctl (1)")


@pytest.mark.parametrize("shell", _SHELLS)
def test_shells_complete_a_key_after_installation(installed: DaemonHost, shell: str) -> None:
    if shell == "fish":
        run(installed, "apt-get", "install", "-y", "--no-install-recommends", "fish")
    name, text = _SHELLS[shell]
    path = f"/tmp/shell/{name}"
    run(installed, "sh", "-c", 'mkdir -p "$(dirname "$0")" && printf %s "$1" >"$0"', path, text)
    argv = ["bash", "--rcfile", path, "-i"] if shell == "bash" else [shell, "-i"]
    home = {"HOME": "/tmp/shell", "ZDOTDIR": "/tmp/shell", "XDG_CONFIG_HOME": "/tmp/shell"}
    env = {**ENVIRONMENT, **home, "TERM": "xterm"}
    with Terminal(installed.command(*argv, env=env), {}) as terminal:
        terminal.type("devlxdctl config get user.ro\t\r")
        terminal.until(b"tab-value")


def test_installation_neither_enables_nor_starts_units(guest: DaemonHost, first_installation: Result) -> None:
    run(guest, "dpkg", "--purge", "devlxdctl")
    run(guest, "dpkg", "-i", push(guest, deb()))
    assert states(guest) == [["disabled", "inactive"]] * 2
    enabled = run(guest, "find", "/etc/systemd", "-name", "*devlxd*").stdout
    assert enabled == b""


def test_devlxd_ready_reports_ready_and_not_ready(installed: DaemonHost) -> None:
    recorded = installed.name == "incus"
    run(installed, "systemctl", "enable", "--now", UNITS[0])
    assert states(installed) == [["enabled", "active"], ["disabled", "inactive"]]
    assert installed.ready() is (True if recorded else None)
    run(installed, "systemctl", "stop", UNITS[0])
    assert properties(installed, UNITS[0], "ActiveState", "Result") == ["inactive", "success"]
    assert installed.ready() is (False if recorded else None)


def newer(package: Path, directory: Path) -> Path:
    """Make a newer version of a package: the same with another version number."""
    tree = directory / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], timeout=60, check=True)
    control = tree / "DEBIAN" / "control"
    lines = control.read_text().splitlines(keepends=True)
    control.write_text("".join(line.rstrip() + "+1\n" if "Version:" in line else line for line in lines))
    result = directory / "devlxdctl_newer_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, result], timeout=60, check=True)
    return result


def test_upgrade_keeps_units_enabled_and_running(installed: DaemonHost, tmp_path: Path) -> None:
    run(installed, "systemctl", "enable", "--now", UNITS[0])
    since = properties(installed, UNITS[0], "ActiveEnterTimestampMonotonic")
    for package in (deb(), newer(deb(), tmp_path)):
        run(installed, "dpkg", "-i", push(installed, package))
        assert states(installed) == [["enabled", "active"], ["disabled", "inactive"]]
        assert properties(installed, UNITS[0], "ActiveEnterTimestampMonotonic") == since
        assert run(installed, "devlxdctl", "config", "get", "user.role").stdout == b"tab-value\n"
    run(installed, "dpkg", "-i", push(installed, deb()))


def test_upgrade_restarts_the_hold_unit(installed: DaemonHost) -> None:
    run(installed, "systemctl", "enable", "--now", UNITS[1])
    if installed.name != "incus":
        # LXD 5.0 does not support readiness, so the unit ends by itself, and an upgrade does not start it.
        ended = [["disabled", "inactive"], ["enabled", "inactive"]]
        for _ in range(2):
            poll("the end of the unit", lambda: states(installed) == ended or None, 30)
            run(installed, "dpkg", "-i", push(installed, deb()))
        assert states(installed) == ended
        return
    poll("Ready", lambda: installed.ready() or None, 30)
    (before,) = properties(installed, UNITS[1], "MainPID")
    run(installed, "dpkg", "-i", push(installed, deb()))
    assert states(installed) == [["disabled", "inactive"], ["enabled", "active"]]
    assert properties(installed, UNITS[1], "MainPID") not in ([before], ["0"])
    poll("Ready", lambda: installed.ready() or None, 30)


@pytest.mark.parametrize("unit", UNITS)
def test_removal_stops_the_units_and_purge_leaves_no_file(installed: DaemonHost, unit: str) -> None:
    run(installed, "dpkg", "--purge", "devlxdctl")
    before = run(installed, "sh", "-c", _FILES).stdout.decode().splitlines()
    assert not [line for line in before if "devlxd" in line]
    run(installed, "apt-get", "install", "-y", push(installed, deb()))
    run(installed, "systemctl", "enable", "--now", unit)
    run(installed, "devlxdctl", "state")
    run(installed, "dpkg", "-i", push(installed, deb()))
    run(installed, "apt-get", "remove", "-y", "devlxdctl")
    assert properties(installed, unit, "LoadState", "ActiveState") == ["not-found", "inactive"]
    # Not pgrep, which no release installs by itself.
    assert (
        run(installed, "sh", "-c", "grep -sl 'devlxd[c]tl' /proc/[0-9]*/cmdline", status=None).stdout == b""
    )
    if installed.name == "incus":
        assert installed.ready() is False
    run(installed, "apt-get", "purge", "-y", "devlxdctl")
    after = run(installed, "sh", "-c", _FILES).stdout.decode().splitlines()
    assert sorted(set(before) ^ set(after)) == []
    assert run(installed, "systemctl", "list-units", "--all", "--no-legend", "*devlxd*").stdout == b""
