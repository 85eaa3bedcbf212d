"""The files in `examples/`: systemd and cloud-init accept them, and they do what their comments say."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from devlxdctl.simulator import Simulator
from tests.readme import EXAMPLES
from tests.support.program import PROGRAM, Result

UNITS = sorted(path.name for path in EXAMPLES.glob("*.service"))
READY_UNITS = ("devlxd-ready.service", "devlxd-ready-hold.service")
USER_DATA = sorted(path.name for path in EXAMPLES.glob("user-data-*.yaml"))
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.sh"))
INSTALLED = "/usr/local/bin/devlxdctl"
LIMIT = 60.0
"""Seconds that a command may take."""

TARGETS = {
    "sysinit.target": "[Unit]\nDefaultDependencies=no\n",
    "basic.target": "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n",
    "shutdown.target": "[Unit]\nDefaultDependencies=no\n",
    "multi-user.target": "[Unit]\nRequires=basic.target\nAfter=basic.target\n",
}
"""The targets of systemd, as far as the order of these units depends on them."""

_FINAL = "[Unit]\n{after}\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
CLOUD_INIT = {
    "none": {},
    "Debian and Ubuntu": {
        "cloud-final.service": _FINAL.format(after="After=multi-user.target"),
        "cloud-init.target": "[Unit]\nAfter=multi-user.target\n",
    },
    "other distributions": {
        "cloud-final.service": _FINAL.format(after=""),
        "cloud-init.target": "[Unit]\nDescription=cloud-init\n",
    },
    "old versions": {
        "cloud-final.service": _FINAL.format(after="") + "[Install]\nWantedBy=multi-user.target\n",
    },
}
"""The units of cloud-init: how they are ordered depends on the distribution and the version."""


# What systemd and cloud-init report


def enable(units: Path, name: str) -> None:
    """Do what `systemctl enable` does to a unit in the directory `units`."""
    for target in settings((units / name).read_text(), "WantedBy"):
        wants = units / f"{target}.wants"
        wants.mkdir(exist_ok=True)
        (wants / name).symlink_to(units / name)


def unit_directory(path: Path, *examples: str, cloud_init: str = "none") -> Path:
    """Fill a directory with these examples, enabled, and with the units that they are ordered by.

    systemd checks that the programs of a unit exist, so an installed program takes the place of each.
    """
    for name, text in (TARGETS | CLOUD_INIT[cloud_init]).items():
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
        (path / name).write_text(re.sub("/usr/local/bin/(devlxdctl|app|check-site)", PROGRAM, text))
        enable(path, name)
    return path


def verify(units: Path, name: str) -> tuple[int, str]:
    """Return the exit status and the output of `systemd-analyze verify` for a unit and what it pulls in."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", name],
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": str(units), "SYSTEMD_COLORS": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT,
        check=False,
    )
    return result.returncode, result.stdout.decode()


@pytest.mark.parametrize("name", UNITS)
def test_systemd_accepts_the_unit_without_a_warning(tmp_path: Path, name: str) -> None:
    assert verify(unit_directory(tmp_path, name), name) == (0, "")


@pytest.mark.parametrize("line", ["Restrat=always", "Type=once"])
def test_systemd_warns_of_a_wrong_unit(tmp_path: Path, line: str) -> None:
    """The exit status is 0 for most mistakes: only the output shows them."""
    units = unit_directory(tmp_path, "devlxd-ready.service")
    with (units / "devlxd-ready.service").open("a") as file:
        file.write(f"[Service]\n{line}\n")
    assert verify(units, "devlxd-ready.service")[1]


@pytest.mark.parametrize("cloud_init", CLOUD_INIT)
@pytest.mark.parametrize("ready_unit", READY_UNITS)
def test_boot_with_the_units_has_no_ordering_cycle(tmp_path: Path, ready_unit: str, cloud_init: str) -> None:
    others = [name for name in UNITS if name not in READY_UNITS]
    units = unit_directory(tmp_path, *others, ready_unit, cloud_init=cloud_init)
    assert verify(units, "multi-user.target") == (0, "")


def test_both_ready_units_can_be_enabled(tmp_path: Path) -> None:
    units = unit_directory(tmp_path, *READY_UNITS)
    assert verify(units, "multi-user.target") == (0, "")


def test_ready_unit_ordered_after_cloud_init_alone_makes_a_cycle(tmp_path: Path) -> None:
    """The reason for the order of the unit, and the proof that a cycle is found."""
    units = unit_directory(tmp_path, "devlxd-ready.service", cloud_init="Debian and Ubuntu")
    unit = units / "devlxd-ready.service"
    unit.write_text(re.sub("^After=.*$", "After=cloud-final.service", unit.read_text(), flags=re.M))
    assert "Found ordering cycle" in verify(units, "multi-user.target")[1]


@pytest.mark.parametrize("name", READY_UNITS)
def test_ready_unit_runs_after_cloud_init(tmp_path: Path, name: str) -> None:
    """It does if an order of cloud-init after the unit is a cycle."""
    units = unit_directory(tmp_path, name, cloud_init="Debian and Ubuntu")
    with (units / "cloud-final.service").open("a") as file:
        file.write(f"[Unit]\nAfter={name}\n")
    assert "Found ordering cycle" in verify(units, "multi-user.target")[1]


def schema(path: Path) -> tuple[int, str]:
    """Return the exit status and the output of cloud-init's check of user-data."""
    if shutil.which("cloud-init") is None:
        pytest.skip("cloud-init is not installed")
    result = subprocess.run(
        ["cloud-init", "schema", "--config-file", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT,
        check=False,
    )
    return result.returncode, result.stdout.decode()


@pytest.mark.parametrize("name", USER_DATA)
def test_cloud_init_accepts_the_user_data(name: str) -> None:
    status, output = schema(EXAMPLES / name)
    assert status == 0, output
    assert "deprecat" not in output.lower()


def test_cloud_init_rejects_wrong_user_data(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("#cloud-config\nruncmd: devlxdctl ready\n")
    status, output = schema(tmp_path / "wrong.yaml")
    assert status != 0
    assert "runcmd" in output


@pytest.mark.parametrize("name", SCRIPTS)
def test_example_script_has_valid_syntax(name: str) -> None:
    result = subprocess.run(["sh", "-n", EXAMPLES / name], capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")


# What the units do, in a simulated guest


def settings(unit: str, name: str) -> list[str]:
    """Return the values of a setting in the text of a unit, with continued lines joined."""
    joined = re.sub(r"\\\n", " ", unit)
    return re.findall(rf"^{name}=(.*)$", joined, flags=re.M)


def command(example: str, setting: str, run_directory: Path | None = None) -> list[str]:
    """Return the only command of a setting of a unit, with the program under test.

    `run_directory` takes the place of /run. With the quotes in these units, systemd splits a line as a shell
    does.
    """
    (line,) = settings((EXAMPLES / example).read_text(), setting)
    assert "$" not in line
    line = line.lstrip("-+").replace(INSTALLED, PROGRAM)
    if run_directory is not None:
        line = line.replace("/run/", f"{run_directory}/")
    return shlex.split(line)


def environment(simulator: Simulator, programs: Path | None = None) -> dict[str, str]:
    """Return the environment of a command, with the directory `programs` first in its PATH."""
    places = [str(programs), str(Path(PROGRAM).parent), os.defpath]
    return {"DEVLXD_SOCKET": str(simulator.path), "PATH": os.pathsep.join(places[programs is None :])}


def execute(simulator: Simulator, argv: list[str], programs: Path | None = None) -> Result:
    """Run a command in the guest."""
    result = subprocess.run(
        argv,
        env=environment(simulator, programs),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    return Result(result.returncode, result.stdout, result.stderr)


SUCCESS = Result(0, b"", b"")


@contextmanager
def simulated_host(
    short: Path, config: Mapping[str, str] | None = None, profile: str = "lxd-6"
) -> Iterator[Simulator]:
    """Simulate a host with the guest of the examples and these keys; an empty text removes one."""
    (short / "lxd").mkdir()
    with Simulator(short / "lxd" / "sock", EXAMPLES / "guest.yaml", profile) as host:
        host.set(config or {})
        yield host


@pytest.fixture
def simulator(short: Path) -> Iterator[Simulator]:
    with simulated_host(short, {"user.app.port": "8080", "user.app.name": "it's one"}) as host:
        yield host


def script(path: Path, text: str) -> Path:
    """Write an executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fifo(path: Path) -> int:
    """Create a named pipe and return a descriptor, which blocks a reader until something is written."""
    os.mkfifo(path)
    return os.open(path, os.O_RDWR)


def test_ready_unit_sets_and_unsets_ready(simulator: Simulator) -> None:
    assert execute(simulator, command("devlxd-ready.service", "ExecStart")) == SUCCESS
    assert simulator.ready is True
    assert execute(simulator, command("devlxd-ready.service", "ExecStop")) == SUCCESS
    assert simulator.ready is False


@pytest.mark.parametrize("name", READY_UNITS)
def test_ready_unit_succeeds_on_a_host_without_readiness(short: Path, name: str) -> None:
    with simulated_host(short, profile="lxd-5.0") as host:
        status = execute(host, command(name, "ExecStart")).status
    assert settings((EXAMPLES / name).read_text(), "SuccessExitStatus") == [str(status)]


@pytest.mark.parametrize(
    ("name", "setting"), [("devlxd-ready.service", "ExecStop"), ("devlxd-ready-hold.service", "ExecStopPost")]
)
def test_unavailable_host_does_not_delay_the_shutdown(short: Path, name: str, setting: str) -> None:
    text = (EXAMPLES / name).read_text()
    (line,) = settings(text, setting)
    (limit,) = settings(text, "TimeoutStopSec")
    argv = command(name, setting)
    wait = argv.index("--wait") + 1
    assert line.startswith("-")
    assert float(argv[wait]) < float(limit)
    argv[wait] = "0.2"
    result = subprocess.run(
        [*argv, "--socket", short / "sock"], capture_output=True, timeout=LIMIT, check=False
    )
    assert result.returncode == 124


def test_hold_unit_reports_ready_again_after_a_restart_and_unsets_it_at_the_end(simulator: Simulator) -> None:
    argv = [*command("devlxd-ready-hold.service", "ExecStart"), "--interval", "0.1"]
    with subprocess.Popen(argv, env=environment(simulator), stderr=subprocess.PIPE) as holding:
        try:
            for _ in range(2):
                wait_for_ready = [PROGRAM, "wait", "host", "--timeout", "60"]
                assert execute(simulator, wait_for_ready) == SUCCESS
                until_ready = f"until {PROGRAM} ready --check; do sleep 0.05; done"
                assert execute(simulator, ["sh", "-c", until_ready]).status == 0
                simulator.restart(0.1)
        finally:
            holding.terminate()
        assert holding.wait(LIMIT) == -signal.SIGTERM
    assert execute(simulator, command("devlxd-ready-hold.service", "ExecStopPost")) == SUCCESS
    assert simulator.ready is False


class Running:
    """The main command of a unit, running, with a directory of programs for it."""

    def __init__(self, simulator: Simulator, path: Path, argv: list[str], programs: Path) -> None:
        self._printed = fifo(path / "printed")
        self._process = subprocess.Popen(argv, env=environment(simulator, programs))

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(LIMIT)
        os.close(self._printed)

    def printed(self) -> bytes:
        """Wait until one of its programs writes to the pipe `printed`, and return that."""
        return os.read(self._printed, 4096)


def application(simulator: Simulator, path: Path) -> Running:
    """app.service with an application that prints its variables, as the user of this process."""
    argv = command("app.service", "ExecStart")
    program = script(path / "app", f'echo "$APP_PORT $APP_NAME" >{path}/printed\nexec sleep 1000')
    assert argv[argv.index("--") + 1] == "setpriv" and argv[-1] == "/usr/local/bin/app"
    return Running(simulator, path, [*argv[: argv.index("--") + 1], str(program)], path)


def test_application_runs_again_once_for_changes_at_the_same_time(
    simulator: Simulator, tmp_path: Path
) -> None:
    with application(simulator, tmp_path) as running:
        assert running.printed() == b"8080 it's one\n"
        simulator.set({"user.app.port": "9090", "user.app.name": "other"})
        assert running.printed() == b"9090 other\n"
        simulator.unset("user.app.port")
        assert running.printed() == b" other\n"


def test_application_starts_once_the_api_is_switched_on(simulator: Simulator, tmp_path: Path) -> None:
    simulator.switch(False)
    with application(simulator, tmp_path) as running:
        simulator.switch(True)
        assert running.printed() == b"8080 it's one\n"


def test_application_does_not_start_with_a_part_of_its_settings(short: Path) -> None:
    """Two keys that make the same variable are one of the causes."""
    with simulated_host(short, {"user.app.a-b": "1", "user.app.a.b": "2"}) as host:
        assert execute(host, command("app.service", "ExecStart")).status == 8


def environment_file(simulator: Simulator, path: Path, is_failed: bool = False) -> Running:
    """app-env.service with a `systemctl` that prints all its arguments and the file when it restarts."""
    (path / "bin").mkdir()
    text = f"""echo "systemctl $*" >>{path}/calls
case $* in
"-q is-failed app.service") exit {0 if is_failed else 1} ;;
"try-restart app.service")
    all=$(cat {path}/calls {path}/app.env)
    rm {path}/calls
    echo "$all" >{path}/printed ;;
esac"""
    script(path / "bin" / "systemctl", text)
    return Running(simulator, path, command("app-env.service", "ExecStart", path), path / "bin")


RESTART = b"""systemctl -q is-failed app.service
systemctl reset-failed app.service
systemctl try-restart app.service
"""


def test_environment_file_is_written_before_the_application_starts(
    simulator: Simulator, tmp_path: Path
) -> None:
    assert execute(simulator, command("app-env.service", "ExecStartPre", tmp_path)) == SUCCESS
    file = tmp_path / "app.env"
    assert file.read_text() == "APP_NAME='it'\"'\"'s one'\nAPP_PORT='8080'\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert settings((EXAMPLES / "app-env.service").read_text(), "Before") == ["app.service"]


def test_boot_does_not_wait_for_an_api_that_is_switched_off(simulator: Simulator, tmp_path: Path) -> None:
    simulator.switch(False)
    for unit in ("app-env.service", "site.service"):
        (line,) = settings((EXAMPLES / unit).read_text(), "ExecStartPre")
        assert line.startswith("-") and "--wait" not in line
    result = execute(simulator, [*command("app-env.service", "ExecStartPre", tmp_path), "--verbose"])
    assert result.status == 5
    assert b"retry" not in result.stderr


def test_application_is_restarted_once_the_api_is_switched_on(simulator: Simulator, tmp_path: Path) -> None:
    simulator.switch(False)
    with environment_file(simulator, tmp_path) as running:
        simulator.switch(True)
        assert running.printed() == RESTART + b"APP_NAME='it'\"'\"'s one'\nAPP_PORT='8080'\n"


def test_application_is_restarted_once_for_changes_at_the_same_time_and_not_for_initial_values(
    simulator: Simulator, tmp_path: Path
) -> None:
    assert execute(simulator, command("app-env.service", "ExecStartPre", tmp_path)) == SUCCESS
    with environment_file(simulator, tmp_path) as running:
        simulator.set({"user.app.port": "9090", "user.app.name": "other"})
        assert running.printed() == RESTART + b"APP_NAME='other'\nAPP_PORT='9090'\n"
        simulator.unset("user.app.port")
        assert running.printed() == RESTART + b"APP_NAME='other'\n"


def test_failure_of_the_application_is_not_hidden(simulator: Simulator, tmp_path: Path) -> None:
    with environment_file(simulator, tmp_path, is_failed=True) as running:
        assert running.printed() == (
            b"systemctl -q is-failed app.service\nsystemctl try-restart app.service\n"
            b"APP_NAME='it'\"'\"'s one'\nAPP_PORT='8080'\n"
        )


# What the user-data does


def runcmd(tmp_path: Path) -> list[str]:
    """Return user-data-config.yaml's command as the script of cloud-init, with `tmp_path` for /etc."""
    (text,) = yaml.safe_load((EXAMPLES / "user-data-config.yaml").read_text())["runcmd"]
    text = text.replace("/etc/", f"{tmp_path}/").replace("--wait 30", "--wait 0.2")
    return [str(script(tmp_path / "runcmd", text))]


@pytest.mark.parametrize(
    ("config", "expected"),
    [({}, "role=web\nport=8080\n"), ({"user.port": ""}, "role=web\nport=80\n")],
    ids=["both set", "only one set"],
)
def test_user_data_reads_the_keys(short: Path, tmp_path: Path, config: dict[str, str], expected: str) -> None:
    with simulated_host(short, config) as host:
        assert execute(host, runcmd(tmp_path)) == SUCCESS
    assert (tmp_path / "instance.conf").read_text() == expected


def test_user_data_ends_at_a_key_that_is_not_set(short: Path, tmp_path: Path) -> None:
    with simulated_host(short, {"user.role": ""}) as host:
        assert execute(host, runcmd(tmp_path)).status == 6
    assert not (tmp_path / "instance.conf").exists()


def test_user_data_ends_where_the_api_is_switched_off(simulator: Simulator, tmp_path: Path) -> None:
    simulator.switch(False)
    assert execute(simulator, runcmd(tmp_path)).status == 124
    assert not (tmp_path / "instance.conf").exists()


# The commands in comments


def commands_in_comments() -> Iterator[Any]:
    for name in [*UNITS, *USER_DATA]:
        for line in (EXAMPLES / name).read_text().splitlines():
            if found := re.match(r"\s*#\s{3}(?:ExecStart=)?(?:/usr/local/bin/)?(devlxdctl .*)", line):
                yield pytest.param(found[1], id=f"{name}: {found[1]}")


@pytest.mark.parametrize("line", list(commands_in_comments()))
def test_command_in_a_comment_of_an_example_works(simulator: Simulator, tmp_path: Path, line: str) -> None:
    app = script(tmp_path / "app", 'echo "$APP_PORT"')
    argv = shlex.split(line.replace("/usr/local/bin/app", str(app)))
    stdout = {"config run": b"8080\n", "wait config": b"web\n", "config watch": None}[" ".join(argv[1:3])]
    if stdout is not None:
        assert execute(simulator, argv) == Result(0, stdout, b"")
        return
    calls = fifo(tmp_path / "calls")
    script(tmp_path / "systemctl", f"echo $* >{tmp_path}/calls")
    with subprocess.Popen(
        [argv[0], "--verbose", *argv[1:]],
        env=environment(simulator, tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as watching:
        assert watching.stdout is not None and watching.stderr is not None
        try:
            # The current values are not printed. Both have been read once the log has the requests.
            log = iter(watching.stderr.readline, b"")
            assert any(b"GET /1.0/config/user.app.port: 200" in line for line in log)
            simulator.set({"user.app.port": "8081"})
            assert watching.stdout.readline() == b"changed\tuser.app.port\t8081\t8080\n"
            assert os.read(calls, 4096) == b"try-reload-or-restart app.service\n"
        finally:
            watching.kill()
            os.close(calls)
