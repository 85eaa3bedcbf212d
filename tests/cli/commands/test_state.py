"""`state`, `versions` and `metadata`: whole outputs, in text and in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.guest import parse_guest
from tests.support.program import Result, failure, run
from tests.support.raw_host import RawHost, response

STATE = (
    '{"state":"Started","api_version":"1.0","instance_type":"container","location":"host1",'
    '"auth":"untrusted","supported_storage_drivers":[]}'
)
FIELDS = "state, api_version, instance_type, location, auth, supported_storage_drivers"


@pytest.mark.parametrize(
    ("argv", "stdout"),
    [
        (["versions"], "/1.0\n"),
        (["versions", "-f", "json"], '["/1.0"]\n'),
        (
            ["state"],
            "state\tStarted\napi_version\t1.0\ninstance_type\tcontainer\nlocation\thost1\nauth\tuntrusted\n"
            "supported_storage_drivers\t[]\n",
        ),
        (["state", "-f", "json"], f"{STATE}\n"),
        (["state", "location"], "host1\n"),
        (["state", "location", "-f", "json"], '"host1"\n'),
        (["state", "supported_storage_drivers"], "[]\n"),
    ],
)
def test_state_and_versions_print_what_the_host_sends(
    argv: list[str], stdout: str, simulator: Simulator
) -> None:
    assert run(*argv, socket=simulator.path) == Result(0, stdout.encode(), b"")


def test_state_field_that_does_not_exist_exits_6_and_lists_the_fields(simulator: Simulator) -> None:
    assert run("state", "nope", socket=simulator.path) == failure(
        6, "nope: no such field in the state", f"choose one of: {FIELDS}"
    )


@pytest.mark.parametrize(("profile", "header"), [("lxd-6", ""), ("lxd-5.0", "#cloud-config\n")])
def test_metadata_is_printed_unchanged(profile: str, header: str, socket_directory: Path) -> None:
    guest = """
    config: {user.meta-data: "zone: ü\\t1"}
    simulator: {name: web1, instance_id: i-1}
    """
    text = f"{header}instance-id: i-1\nlocal-hostname: web1\nzone: ü\t1"
    with Simulator(socket_directory / "sock", parse_guest(guest, "test"), profile) as simulator:
        assert run("metadata", socket=simulator.path) == Result(0, text.encode(), b"")
        as_json = json.dumps(text, ensure_ascii=False) + "\n"
        assert run("metadata", "-f", "json", socket=simulator.path) == Result(0, as_json.encode(), b"")


def test_metadata_with_any_bytes_is_printed_unchanged(socket_directory: Path) -> None:
    given = response(b"a: \xff\0\r\n", "application/octet-stream")
    with RawHost(socket_directory / "sock", given) as raw_host:
        assert run("metadata", socket=raw_host.path) == Result(0, b"a: \xff\0\r\n", b"")


@pytest.mark.parametrize(
    ("given", "content_type"),
    [(response(b"x", "text/html"), "text/html"), (response(b'["/1.0"]\n'), "application/json")],
)
def test_metadata_of_another_content_type_is_an_error(
    given: bytes, content_type: str, socket_directory: Path
) -> None:
    with RawHost(socket_directory / "sock", given) as raw_host:
        result = run("metadata", socket=raw_host.path)
    assert result == failure(1, f"/1.0/meta-data: unexpected content type {content_type}")
