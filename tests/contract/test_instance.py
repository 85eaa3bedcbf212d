"""The instance on every host: versions, state, readiness, devices, meta-data, Ubuntu Pro."""

from __future__ import annotations

import json

from tests.contract.commands import devlxdctl, failure, stdout_of
from tests.contract.expected import EXPECTED
from tests.hosts import DaemonHost, Host
from tests.support.program import PROGRAM, Result


def test_versions_are_printed_one_per_line_or_as_a_list(any_host: Host) -> None:
    assert stdout_of(any_host, "versions") == b"/1.0\n"
    assert stdout_of(any_host, "versions", "-f", "json") == b'["/1.0"]\n'


def test_state_prints_all_fields_or_one(any_host: Host) -> None:
    expected = EXPECTED[any_host.name]
    document = json.loads(stdout_of(any_host, "-f", "json", "state"))
    fields = ("state", "api_version", "instance_type", "location", *expected.extra_fields)
    assert tuple(document) == fields
    assert document["state"] == expected.initial_state
    assert document["instance_type"] == "container"
    lines = stdout_of(any_host, "state").decode().splitlines()
    assert [line.split("\t")[0] for line in lines] == list(fields)
    assert stdout_of(any_host, "state", "location") == f"{document['location']}\n".encode()
    assert stdout_of(any_host, "state", "state") == f"{expected.initial_state}\n".encode()


def test_ready_changes_what_the_host_records(any_host: Host) -> None:
    expected = EXPECTED[any_host.name]
    if not expected.has_readiness:
        hint = f"upgrade {expected.product} on the host: this version does not support readiness"
        ignored = failure(3, "ready", "ignored by this host", hint)
        assert devlxdctl(any_host, "ready") == ignored
        assert devlxdctl(any_host, "ready", "--unset") == ignored
        not_supported = failure(3, "ready", "not supported by this host", hint)
        assert devlxdctl(any_host, "ready", "--check") == not_supported
        assert any_host.ready() is None
        return
    assert devlxdctl(any_host, "ready", "--check") == Result(6, b"", b"")
    assert stdout_of(any_host, "ready") == b""
    assert any_host.ready() is True
    assert stdout_of(any_host, "ready", "--check") == b""
    assert stdout_of(any_host, "state", "state") == b"Ready\n"
    assert stdout_of(any_host, "ready", "--unset") == b""
    assert not any_host.ready()
    assert devlxdctl(any_host, "ready", "--check") == Result(6, b"", b"")


def test_devices_are_those_of_the_instance(any_host: Host) -> None:
    options = {"type": "disk", "source": "/usr", "path": "/mnt/with space", "readonly": "true"}
    before = json.loads(stdout_of(any_host, "devices", "-f", "json"))
    assert before["root"] == {"path": "/", "pool": "default", "type": "disk"}
    any_host.add_device("data", options)
    after = json.loads(stdout_of(any_host, "devices", "-f", "json"))
    assert after == {**before, "data": options}
    assert json.loads(stdout_of(any_host, "devices", "data", "-f", "json")) == options
    cells = ("data", "disk", "-", "path=/mnt/with space", "readonly=true", "source=/usr")
    assert stdout_of(any_host, "devices", "data").decode() == "\t".join(cells) + "\n"
    any_host.remove_device("data")
    assert json.loads(stdout_of(any_host, "devices", "-f", "json")) == before
    missing = failure(6, "data", "no such device", "list the devices: devlxdctl devices")
    assert devlxdctl(any_host, "devices", "data") == missing


def test_devices_print_the_interface_of_a_nic_in_the_guest(real_host: DaemonHost) -> None:
    real_host.add_device("uplink", {"type": "nic", "nictype": "p2p", "name": "eth0"})
    name, kind, interface, *options = (
        stdout_of(real_host, "devices", "uplink").decode().rstrip("\n").split("\t")
    )
    assert (name, kind, interface) == ("uplink", "nic", "eth0")
    assert "name=eth0" in options
    # Without the hardware address that the host gave it, the interface cannot be identified.
    changed = real_host.run("ip", "link", "set", "dev", "eth0", "address", "02:00:00:00:00:01")
    assert changed == Result(0, b"", b"")
    assert stdout_of(real_host, "devices", "uplink").startswith(b"uplink\tnic\t-\t")


def test_metadata_ends_with_that_of_the_user_and_is_part_of_the_dump(any_host: Host) -> None:
    any_host.set({"user.meta-data": "zone: ü\ttab", "user.b/c": "1\n"})
    metadata = stdout_of(any_host, "metadata").decode()
    assert "\nlocal-hostname: " in f"\n{metadata}"
    assert metadata.endswith("\nzone: ü\ttab")
    dump = json.loads(stdout_of(any_host, "dump"))
    assert list(dump) == ["versions", "state", "config", "devices", "metadata"]
    assert dump["versions"] == ["/1.0"]
    assert dump["state"]["api_version"] == "1.0"
    assert dump["config"] == {"user.b/c": "1\n", "user.meta-data": "zone: ü\ttab"}
    assert dump["devices"]["root"] == {"path": "/", "pool": "default", "type": "disk"}
    assert dump["metadata"] == metadata


def test_pro_is_not_supported_except_by_lxd_6(any_host: Host) -> None:
    if EXPECTED[any_host.name].has_pro:
        assert stdout_of(any_host, "pro", "status") == b"guest_attach\toff\n"
        result = devlxdctl(any_host, "pro", "token", "-o", "/tmp/never")
        assert (result.status, result.stdout) == (4, b"")
        return
    problem = "not supported by this host"
    hint = "use a host with LXD 5.21 or later: Incus and older LXD do not offer Ubuntu Pro"
    for command, path in (("status", "/1.0/ubuntu-pro"), ("token", "/1.0/ubuntu-pro/token")):
        assert devlxdctl(any_host, "pro", command) == failure(3, path, problem, hint)


def test_user_other_than_root_is_not_permitted(any_host: Host) -> None:
    problem = "permission denied: Access denied for non-root user"
    expected = failure(4, "/1.0", problem, "only root can use it: sudo devlxdctl …")
    assert devlxdctl(any_host, "state", user=65534) == expected


def test_verbose_logs_each_request_to_stderr(any_host: Host) -> None:
    result = devlxdctl(any_host, "-v", "versions")
    assert result.stderr.startswith(b"devlxdctl: GET /: 200 application/json, 9 bytes, ")
    assert result.stdout == b"/1.0\n"


def test_program_works_the_same_through_the_exec_of_the_host(real_host: DaemonHost) -> None:
    real_host.set({"user.role": "web"})
    assert real_host.execute(PROGRAM, "config", "get", "user.role") == Result(0, b"web\n", b"")
    result = real_host.execute(PROGRAM, "state", user=65534)
    assert (result.status, result.stdout) == (4, b"")
