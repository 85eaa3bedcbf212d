"""Tests of what `volume` and `devices` print."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator.simhost import wait_until
from tests.support.program import PROGRAM
from tests.volumes.support import CONFIG, TOKEN, VOLUMES_OF_CI, Host, make_host

OWNER, UUID = CONFIG["volatile.devlxd.owner"], CONFIG["volatile.uuid"]


@pytest.fixture
def host(socket_directory: Path) -> Iterator[Host]:
    with make_host(socket_directory, pools=VOLUMES_OF_CI) as host:
        yield host


def test_list_has_name_type_size_and_description_and_no_snapshots(host: Host) -> None:
    expected = b"data\tfilesystem\t1GiB\tthe database\ndisk\tblock\t\t\n"
    assert host.run("volume", "ls", "default") == (0, expected, b"")
    assert host.run("volume", "ls", "fast") == (0, b"", b"")


def test_json_list_is_what_the_host_sends_without_snapshots(host: Host) -> None:
    entry = {
        "name": "data",
        "description": "the database",
        "pool": "default",
        "type": "custom",
        "content_type": "",
        "config": CONFIG,
        "location": "none",
    }
    disk_config = {key: value for key, value in CONFIG.items() if key != "size"}
    disk = {**entry, "name": "disk", "description": "", "config": disk_config}
    expected = json.dumps([entry, disk], separators=(",", ":")).encode() + b"\n"
    before = len(host.simulator.requests)
    assert host.run("-f", "json", "volume", "ls", "default") == (0, expected, b"")
    assert len(host.simulator.requests) == before + 1


def test_show_prints_each_config_key_on_its_line(host: Host) -> None:
    expected = (
        "name\tdata\ndescription\tthe database\npool\tdefault\ntype\tcustom\ncontent_type\tfilesystem\n"
        f"config.size\t1GiB\nconfig.volatile.devlxd.owner\t{OWNER}\nconfig.volatile.uuid\t{UUID}\n"
        "location\tnone\n"
    )
    assert host.run("volume", "show", "default", "data") == (0, expected.encode(), b"")


def test_snapshots_are_listed_without_the_name_of_the_volume(host: Host) -> None:
    assert host.run("volume", "snapshot", "ls", "default", "data") == (0, b"snap0\t1GiB\tfirst\n", b"")
    done = host.run("-f", "json", "volume", "snapshot", "ls", "default", "data")
    assert [each["name"] for each in json.loads(done.stdout)] == ["data/snap0"]


def test_deleting_and_detaching_print_nothing(host: Host) -> None:
    row = b"data\tdisk\t-\tpath=/srv\tpool=default\treadonly=true\tsource=data\n"
    argv = ("volume", "attach", "default", "data", "/srv", "--option", "readonly=true")
    assert host.run(*argv) == (0, row, b"")
    for command in (
        ("volume", "detach", "data"),
        ("volume", "snapshot", "delete", "default", "data", "snap0"),
        ("volume", "snapshot", "delete", "default", "data", "snap0", "--if-exists"),
        ("volume", "delete", "default", "data"),
        ("volume", "delete", "default", "data", "--if-exists"),
    ):
        assert host.run(*command) == (0, b"", b"")
    done = host.run("volume", "detach", "data")
    expected = b"devlxdctl: data: no such device\nhint: list the devices: devlxdctl devices --type disk\n"
    assert done == (6, b"", expected)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("volume create default", "volume create: missing argument 'VOLUME'"),
        (
            "volume create default v --config x",
            "volume create: invalid value for '--config': 'x' is not of the form KEY=VALUE",
        ),
        (
            "volume create default v --config =x",
            "volume create: invalid value for '--config': '=x' is not of the form KEY=VALUE",
        ),
        ("volume create default v --config a=1 --config a=2", "volume create: a is given twice"),
        ("volume set default data", "volume set: missing KEY=VALUE, --size or --description"),
        (
            "volume set default data x",
            "volume set: invalid value for '[KEY=VALUE]...': 'x' is not of the form KEY=VALUE",
        ),
        ("volume set default data a=1 a=1", "volume set: a is given twice"),
        (
            "volume attach default data /srv --option x",
            "volume attach: invalid value for '--option': 'x' is not of the form KEY=VALUE",
        ),
        ("devices --path", "devices: --path needs NAME, and cannot be combined with FIELD"),
        ("devices root pool --path", "devices: --path needs NAME, and cannot be combined with FIELD"),
        ("wait device root --path --gone", "wait device: --path cannot be combined with --gone"),
    ],
)
def test_wrong_arguments_are_usage_errors(argv: str, message: str, host: Host) -> None:
    done = host.run(*argv.split())
    command = message.partition(":")[0]
    expected = f"devlxdctl: {message}\nhint: see the help: devlxdctl {command} --help\n"
    assert done == (2, b"", expected.encode())
    assert host.simulator.requests == []


def test_device_prints_one_option_or_its_node(host: Host) -> None:
    host.simulator.device("null", {"type": "unix-char", "path": "/dev/null", "mode": "0666"})
    host.simulator.device("gone", {"type": "unix-char", "path": "/dev/does-not-exist"})
    assert host.run("devices", "null", "mode") == (0, b"0666\n", b"")
    assert host.run("-f", "json", "devices", "null", "mode") == (0, b'"0666"\n', b"")
    assert host.run("devices", "null", "--path") == (0, b"/dev/null\n", b"")
    assert host.run("-f", "json", "devices", "null", "--path") == (0, b'"/dev/null"\n', b"")
    assert host.run("wait", "device", "null", "--path") == (0, b"/dev/null\n", b"")
    missing = b"devlxdctl: modes: no such option of this device\nhint: did you mean mode?\n"
    assert host.run("devices", "null", "modes") == (6, b"", missing)
    without = b"devlxdctl: gone: device has no node in this guest\n"
    assert host.run("devices", "gone", "--path") == (6, b"", without)
    late = b"devlxdctl: gone: device has no node after 0.2 s\n"
    assert host.run("wait", "device", "gone", "--path", "--timeout", "0.2") == (124, b"", late)
    rows = host.run("devices", "--type", "unix-char").stdout
    assert [line.split(b"\t")[:3] for line in rows.splitlines()] == [
        [b"gone", b"unix-char", b"-"],
        [b"null", b"unix-char", b"/dev/null"],
    ]


def test_waiting_for_a_node_of_a_type_without_nodes_fails_at_once(host: Host) -> None:
    host.simulator.device("p", {"type": "proxy"})
    expected = b"devlxdctl: p: devices of type proxy have no node\n"
    assert host.run("wait", "device", "p", "--path") == (6, b"", expected)


def test_node_that_appears_later_is_waited_for(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "node"
    host.simulator.device("late", {"type": "unix-char", "path": str(path)})
    argv = [PROGRAM, "--socket", str(host.simulator.path), "wait", "device", "late", "--path"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as program:
        wait_until(lambda: host.count("GET", "/1.0/devices") > 0)
        path.touch()
        assert program.communicate(timeout=60)[0] == f"{path}\n".encode()


def test_progress_is_shown_on_a_terminal_and_removed(socket_directory: Path) -> None:
    with make_host(socket_directory, "operation-seconds=600", pools=VOLUMES_OF_CI) as host:
        terminal, stderr = os.openpty()
        env = {"DEVLXD_SOCKET": str(host.simulator.path), "DEVLXD_BEARER_TOKEN": TOKEN, "TERM": "xterm"}
        argv = [PROGRAM, "volume", "delete", "default", "data"]
        shown = b""
        with subprocess.Popen(argv, env=env, stderr=stderr) as program:
            os.close(stderr)
            while b"data: waiting for the host" not in shown:
                shown += os.read(terminal, 65536)
            host.simulator.finish_operations()
            assert program.wait(timeout=60) == 0
        os.close(terminal)
    with make_host(socket_directory, pools=VOLUMES_OF_CI) as host:
        assert host.run("volume", "delete", "default", "data").stderr == b""


def completions(host: Host, *words: str) -> list[str]:
    """What a TAB at the end of these words completes, in fish."""
    env = {
        "DEVLXD_SOCKET": str(host.simulator.path),
        "DEVLXD_BEARER_TOKEN": TOKEN,
        "_DEVLXDCTL_COMPLETE": "fish_complete",
        "COMP_WORDS": " ".join(("devlxdctl", *words)),
        "COMP_CWORD": words[-1],
    }
    done = subprocess.run([PROGRAM], env=env, capture_output=True, timeout=60, check=True)
    return done.stdout.decode().splitlines()


def test_pools_volumes_snapshots_and_disks_are_completed(host: Host) -> None:
    host.client.attach_volume("default", "data", "/srv")
    for words, expected in (
        (("pool", "show", ""), "default"),
        (("volume", "show", ""), "default"),
        (("volume", "show", "default", "da"), "data"),
        (("volume", "snapshot", "show", "default", "data", ""), "snap0"),
        (("volume", "detach", ""), "data"),
        (("devices", "data", "so"), "source"),
    ):
        found = completions(host, *words)
        assert len(found) == 1, (words, found)
        assert expected in found[0]
