"""The units and the user-data in `examples/`: systemd and cloud-init take them, and they do what they say."""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from devlxdctl.simulator import Simulator
from tests.readme import REPOSITORY
from tests.support.program import PROGRAM, Result

EXAMPLES = REPOSITORY / "examples"
UNITS = sorted(path.name for path in EXAMPLES.glob("*.service"))
USER_DATA = sorted(path.name for path in EXAMPLES.glob("user-data-*.yaml"))
INSTALLED = "/usr/local/bin/devlxdctl"
LIMIT = 20.0

STUBS = {
    "sysinit.target": "[Unit]\nDefaultDependencies=no\n",
    "basic.target": "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n",
    "shutdown.target": "[Unit]\nDefaultDependencies=no\n",
    "multi-user.target": "[Unit]\nRequires=basic.target\nAfter=basic.target\n",
}
"""What systemd brings along, as far as the order of these units depends on it."""

_FINAL = "[Unit]\n{after}\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
CLOUD_INIT = {
    "none": {},
    "of Debian and Ubuntu": {
        "cloud-final.service": _FINAL.format(after="After=multi-user.target"),
        "cloud-init.target": "[Unit]\nAfter=multi-user.target\n",
    },
    "of others": {
        "cloud-final.service": _FINAL.format(after=""),
        "cloud-init.target": "[Unit]\nDescription=cloud-init\n",
    },
    "of long ago": {
        "cloud-final.service": _FINAL.format(after="") + "[Install]\nWantedBy=multi-user.target\n",
    },
}
"""The units of cloud-init, with what kinds of it there are."""


# What systemd and cloud-init say of them


def enable(units: Path, name: str) -> None:
    """What `systemctl enable` does to a unit in the directory `units`."""
    for target in settings((units / name).read_text(), "WantedBy"):
        wants = units / f"{target}.wants"
        wants.mkdir(exist_ok=True)
        (wants / name).symlink_to(units / name)


def unit_directory(path: Path, *examples: str, cloud_init: str = "none") -> Path:
    """A directory with these examples, enabled, and with all that they are ordered by.

    systemd looks whether the programs are there; so this one stands for those that the examples name.
    """
    for name, text in (STUBS | CLOUD_INIT[cloud_init]).items():
        (path / name).write_text(text)
    if "cloud-init.target" in CLOUD_INIT[cloud_init]:
        for target, name in (
            ("multi-user.target", "cloud-init.target"),
            ("cloud-init.target", "cloud-final.service"),
        ):
            wants = path / f"{target}.wants"
            wants.mkdir()
            (wants / name).symlink_to(path / name)
    elif "cloud-final.service" in CLOUD_INIT[cloud_init]:
        enable(path, "cloud-final.service")
    for name in examples:
        text = (EXAMPLES / name).read_text()
        (path / name).write_text(re.sub("/usr/local/bin/(devlxdctl|app)", PROGRAM, text))
        enable(path, name)
    return path


def verify(units: Path, name: str) -> tuple[int, str]:
    """How `systemd-analyze verify` ends for this unit and all that it pulls in, and what it says."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", name],
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": str(units), "SYSTEMD_COLORS": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT,
        check=False,
    )
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize("name", UNITS)
def test_systemd_has_nothing_to_say_of_a_unit(tmp_path: Path, name: str) -> None:
    assert verify(unit_directory(tmp_path, name), name) == (0, "")


@pytest.mark.parametrize("line", ["Restrat=always", "Type=once"])
def test_systemd_would_have_something_to_say_of_a_wrong_one(tmp_path: Path, line: str) -> None:
    """It ends with 0 for most of what is wrong: what it says is what counts."""
    units = unit_directory(tmp_path, "devlxd-ready.service")
    with (units / "devlxd-ready.service").open("a") as file:
        file.write(f"[Service]\n{line}\n")
    assert verify(units, "devlxd-ready.service")[1]


@pytest.mark.parametrize("cloud_init", CLOUD_INIT)
@pytest.mark.parametrize("other", ["devlxd-ready.service", "devlxd-ready-hold.service"])
def test_the_boot_has_no_cycle(tmp_path: Path, other: str, cloud_init: str) -> None:
    units = unit_directory(tmp_path, "app-config-reload.service", "app.service", other, cloud_init=cloud_init)
    assert verify(units, "multi-user.target") == (0, "")


def test_both_units_that_say_ready_may_be_enabled(tmp_path: Path) -> None:
    units = unit_directory(tmp_path, "devlxd-ready.service", "devlxd-ready-hold.service")
    assert verify(units, "multi-user.target") == (0, "")


def test_after_cloud_init_alone_would_be_a_cycle(tmp_path: Path) -> None:
    """The reason for the unit's order, and the proof that a cycle would be seen."""
    units = unit_directory(tmp_path, "devlxd-ready.service", cloud_init="of Debian and Ubuntu")
    unit = units / "devlxd-ready.service"
    unit.write_text(re.sub("^After=.*$", "After=cloud-final.service", unit.read_text(), flags=re.M))
    assert "Found ordering cycle" in verify(units, "multi-user.target")[1]


@pytest.mark.parametrize("name", ["devlxd-ready.service", "devlxd-ready-hold.service"])
def test_ready_is_said_after_cloud_init(tmp_path: Path, name: str) -> None:
    """Which must be so, if it is a contradiction that cloud-init comes after it."""
    units = unit_directory(tmp_path, name, cloud_init="of Debian and Ubuntu")
    with (units / "cloud-final.service").open("a") as file:
        file.write(f"[Unit]\nAfter={name}\n")
    assert "Found ordering cycle" in verify(units, "multi-user.target")[1]


def schema(path: Path) -> tuple[int, str]:
    """How cloud-init's check of a file ends, and what it says."""
    if shutil.which("cloud-init") is None:
        pytest.skip("cloud-init is not installed")
    done = subprocess.run(
        ["cloud-init", "schema", "--config-file", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT,
        check=False,
    )
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize("name", USER_DATA)
def test_cloud_init_takes_the_user_data(name: str) -> None:
    status, said = schema(EXAMPLES / name)
    assert status == 0, said
    assert "deprecat" not in said.lower()


def test_cloud_init_would_not_take_a_wrong_one(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("#cloud-config\nruncmd: devlxdctl ready\n")
    status, said = schema(tmp_path / "wrong.yaml")
    assert status != 0
    assert "runcmd" in said


def test_the_user_data_installs_the_unit_of_the_examples() -> None:
    user_data = yaml.safe_load((EXAMPLES / "user-data-ready.yaml").read_text())
    (file,) = user_data["write_files"]
    assert file["content"] == (EXAMPLES / "devlxd-ready.service").read_text()
    assert Path(file["path"]).name == "devlxd-ready.service"
    ((program, *arguments),) = user_data["runcmd"]
    assert program == "systemctl"
    assert arguments == ["enable", "--now", "--no-block", "devlxd-ready.service"]


# What they do, in a simulated guest


def settings(unit: str, name: str) -> list[str]:
    """The values of a setting in the text of a unit, in order, its continued lines as one."""
    joined = re.sub(r"\\\n", " ", unit)
    return re.findall(rf"^{name}=(.*)$", joined, flags=re.M)


def command(example: str, setting: str, files: Path | None = None) -> list[str]:
    """The only command of a setting of a unit, with the installed program for the one that it names.

    `files` stands for /run, where there is something in there. systemd splits as a shell does what these
    units quote, and no variables are in it.
    """
    (line,) = settings((EXAMPLES / example).read_text(), setting)
    assert "$" not in line
    line = line.lstrip("-+").replace(INSTALLED, PROGRAM)
    if files is not None:
        line = line.replace("/run/", f"{files}/")
    return shlex.split(line)


def execute(simulator: Simulator, argv: list[str], path: Path | None = None) -> Result:
    """Runs a command in the guest, looking for programs in the directory `path` first."""
    done = subprocess.run(
        argv,
        env=environment(simulator, path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def environment(simulator: Simulator, path: Path | None = None) -> dict[str, str]:
    places = [str(path), str(Path(PROGRAM).parent), os.defpath]
    return {"DEVLXD_SOCKET": str(simulator.path), "PATH": os.pathsep.join(places[path is None :])}


DONE = Result(0, b"", b"")


@contextmanager
def simulated(
    short: Path, config: Mapping[str, str] | None = None, profile: str = "lxd-6"
) -> Iterator[Simulator]:
    """A host of this profile, with the example's guest and these keys; an empty text removes one."""
    (short / "lxd").mkdir()
    with Simulator(short / "lxd" / "sock", EXAMPLES / "guest.yaml", profile) as host:
        host.set(config or {})
        yield host


@pytest.fixture
def simulator(short: Path) -> Iterator[Simulator]:
    with simulated(short, {"user.app.port": "8080", "user.app.name": "it's one"}) as host:
        yield host


def until(condition: Callable[[], bool]) -> None:
    """Waits for what nothing tells of."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_ready_unit_sets_and_unsets(simulator: Simulator) -> None:
    assert execute(simulator, command("devlxd-ready.service", "ExecStart")) == DONE
    assert simulator.ready is True
    assert execute(simulator, command("devlxd-ready.service", "ExecStop")) == DONE
    assert simulator.ready is False


@pytest.mark.parametrize("name", ["devlxd-ready.service", "devlxd-ready-hold.service"])
def test_a_host_without_readiness_is_no_failure_of_a_ready_unit(short: Path, name: str) -> None:
    with simulated(short, profile="lxd-5.0") as host:
        status = execute(host, command(name, "ExecStart")).status
    assert settings((EXAMPLES / name).read_text(), "SuccessExitStatus") == [str(status)]


@pytest.mark.parametrize(
    ("name", "setting"), [("devlxd-ready.service", "ExecStop"), ("devlxd-ready-hold.service", "ExecStopPost")]
)
def test_a_host_that_is_away_does_not_hold_up_the_shutdown(short: Path, name: str, setting: str) -> None:
    text = (EXAMPLES / name).read_text()
    (line,) = settings(text, setting)
    (limit,) = settings(text, "TimeoutStopSec")
    argv = command(name, setting)
    wait = argv.index("--wait") + 1
    assert line.startswith("-")
    assert float(argv[wait]) < float(limit)
    argv[wait] = "0.2"
    done = subprocess.run(
        [*argv, "--socket", short / "sock"], capture_output=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 124


def test_the_hold_unit_sets_again_and_unsets_on_its_end(simulator: Simulator) -> None:
    argv = [*command("devlxd-ready-hold.service", "ExecStart"), "--interval", "0.1"]
    with subprocess.Popen(argv, env=environment(simulator), stderr=subprocess.PIPE) as holding:
        try:
            until(lambda: simulator.ready is True)
            simulator.restart(0.1)
            until(lambda: simulator.ready is None)
            until(lambda: simulator.ready is True)
        finally:
            holding.terminate()
        assert holding.wait(LIMIT) == -signal.SIGTERM
    assert execute(simulator, command("devlxd-ready-hold.service", "ExecStopPost")) == DONE
    assert simulator.ready is False


def test_the_application_gets_its_environment(simulator: Simulator, tmp_path: Path) -> None:
    assert execute(simulator, command("app.service", "ExecStartPre", tmp_path)) == DONE
    file = tmp_path / "app.env"
    assert file.read_text() == "APP_NAME='it'\"'\"'s one'\nAPP_PORT='8080'\n"
    assert file.stat().st_mode & 0o777 == 0o600
    (named,) = settings((EXAMPLES / "app.service").read_text(), "EnvironmentFile")
    assert named == "-/run/app.env"
    assert execute(simulator, command("app.service", "ExecStopPost", tmp_path)) == DONE
    assert not file.exists()


def test_the_application_does_not_start_without_it(short: Path, tmp_path: Path) -> None:
    """Two keys that make one variable are one of the ways in which it cannot be had."""
    with simulated(short, {"user.app.a-b": "1", "user.app.a.b": "2"}) as host:
        assert execute(host, command("app.service", "ExecStartPre", tmp_path)).status == 8


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_application_is_restarted_when_its_environment_has_changed(
    simulator: Simulator, tmp_path: Path
) -> None:
    """Once for all that changed at once, and not for the values at the start."""
    (tmp_path / "app-config-reload").mkdir()
    start = command("app.service", "ExecStartPre", tmp_path)
    assert execute(simulator, start) == DONE
    fifo = tmp_path / "restarts"
    os.mkfifo(fifo)
    restarts = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    path = tmp_path / "bin"
    path.mkdir()
    script(path / "systemctl", f"set -e\n{shlex.join(start)}\necho systemctl $* >{fifo}")

    argv = [*command("app-config-reload.service", "ExecStart", tmp_path), "--count", "3"]
    try:
        with subprocess.Popen(argv, env=environment(simulator, path), stdout=subprocess.PIPE) as watching:
            assert watching.stdout is not None
            try:
                assert watching.stdout.readline() == b"initial\tuser.app.name\tit's one\t\n"
                assert watching.stdout.readline() == b"initial\tuser.app.port\t8080\t\n"
                simulator.set({"user.app.port": "9090", "user.app.name": "other"})
                assert select.select([restarts], [], [], LIMIT)[0]
                changed = {watching.stdout.readline(), watching.stdout.readline()}
                assert {line.split(b"\t")[1] for line in changed} == {b"user.app.name", b"user.app.port"}
                simulator.unset("user.app.port")
                assert watching.stdout.readline() == b"removed\tuser.app.port\t\t9090\n"
                assert watching.wait(LIMIT) == 0
            finally:
                watching.kill()
        assert os.read(restarts, 4096) == b"systemctl try-restart app.service\n" * 2
    finally:
        os.close(restarts)
    assert (tmp_path / "app.env").read_text() == "APP_NAME='other'\n"


def runcmd(tmp_path: Path) -> list[str]:
    """The command of user-data-config.yaml, as cloud-init makes it a script; /etc is in `tmp_path`."""
    (text,) = yaml.safe_load((EXAMPLES / "user-data-config.yaml").read_text())["runcmd"]
    text = text.replace("/etc/", f"{tmp_path}/").replace("--wait 30", "--wait 0.2")
    return [str(script(tmp_path / "runcmd", text))]


@pytest.mark.parametrize(
    ("config", "expected"),
    [({}, "role=web\nport=8080\n"), ({"user.port": ""}, "role=web\nport=80\n")],
    ids=["both set", "only one set"],
)
def test_the_user_data_reads_the_keys(
    short: Path, tmp_path: Path, config: dict[str, str], expected: str
) -> None:
    with simulated(short, config) as host:
        assert execute(host, runcmd(tmp_path)) == DONE
    assert (tmp_path / "instance.conf").read_text() == expected


def test_the_user_data_ends_at_a_missing_key(short: Path, tmp_path: Path) -> None:
    with simulated(short, {"user.role": ""}) as host:
        assert execute(host, runcmd(tmp_path)).status == 6
    assert not (tmp_path / "instance.conf").exists()


def test_the_user_data_ends_where_there_is_no_host(simulator: Simulator, tmp_path: Path) -> None:
    simulator.switch(False)
    assert execute(simulator, runcmd(tmp_path)).status == 124
    assert not (tmp_path / "instance.conf").exists()


def in_comments() -> Iterator[Any]:
    """The commands in the comments of the examples."""
    for name in [*UNITS, *USER_DATA]:
        for line in (EXAMPLES / name).read_text().splitlines():
            if found := re.match(r"\s*#\s{3}(?:ExecStart=)?(?:/usr/local/bin/)?(devlxdctl .*)", line):
                yield pytest.param(found[1], id=f"{name}: {found[1]}")


@pytest.mark.parametrize("line", list(in_comments()))
def test_a_command_in_a_comment_works(simulator: Simulator, tmp_path: Path, line: str) -> None:
    app = script(tmp_path / "app", 'echo "$APP_PORT"')
    script(tmp_path / "systemctl", "exit 0")
    argv = shlex.split(line.replace("/usr/local/bin/app", str(app)))
    stdout = {
        "config run": b"8080\n",
        "config watch": b"changed\tuser.app.port\t8081\t8080\n",
        "wait config": b"web\n",
    }[" ".join(argv[1:3])]
    if argv[2] != "watch":
        assert execute(simulator, argv) == Result(0, stdout, b"")
        return
    with subprocess.Popen(
        [*argv, "--count", "1"], env=environment(simulator, tmp_path), stdout=subprocess.PIPE
    ) as watching:
        assert watching.stdout is not None
        try:
            assert watching.stdout.readline().startswith(b"initial\tuser.app.name\t")
            assert watching.stdout.readline().startswith(b"initial\tuser.app.port\t")
            simulator.set({"user.app.port": "8081"})
            assert watching.stdout.readline() == stdout
            assert watching.wait(LIMIT) == 0
        finally:
            watching.kill()
