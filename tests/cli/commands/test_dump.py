"""`metadata` and `dump`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from devlxdctl.simulator.guest import parse_guest
from tests.support.program import Result, run
from tests.support.raw_host import RawHost, response

GUEST = """
config: {user.role: web, user.meta-data: "zone: ü\\t1", user.port: "80"}
devices: {root: {type: disk, path: /, pool: default}}
simulator: {name: web1, location: host1, instance_id: i-1}
"""
STATE = (
    '{"state":"Started","api_version":"1.0","instance_type":"container","location":"host1",'
    '"auth":"untrusted","supported_storage_drivers":[]}'
)
CONFIG = '{"user.meta-data":"zone: ü\\t1","user.port":"80","user.role":"web"}'
METADATA = "instance-id: i-1\nlocal-hostname: web1\nzone: ü\t1"
WHOLE = (
    f'{{"versions":["/1.0"],"state":{STATE},"config":{CONFIG},'
    '"devices":{"root":{"path":"/","pool":"default","type":"disk"}},'
    f'"metadata":{json.dumps(METADATA, ensure_ascii=False)}}}\n'
)
NOT_FOUND = response(b"404 page not found\n", "text/plain; charset=utf-8", "404 Not Found")


@pytest.mark.parametrize(("profile", "header"), [("lxd-6", ""), ("lxd-5.0", "#cloud-config\n")])
def test_metadata_is_as_it_came(profile: str, header: str, short: Path) -> None:
    with Simulator(short / "sock", parse_guest(GUEST, "test"), profile) as host:
        text = header + METADATA
        assert run("metadata", socket=host.path) == Result(0, text.encode(), b"")
        as_json = json.dumps(text, ensure_ascii=False) + "\n"
        assert run("metadata", "-f", "json", socket=host.path) == Result(0, as_json.encode(), b"")


def test_metadata_of_any_bytes(short: Path) -> None:
    with RawHost(short / "sock", response(b"a: \xff\0\r\n", "application/octet-stream")) as host:
        assert run("metadata", socket=host.path) == Result(0, b"a: \xff\0\r\n", b"")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (response(b"x", "text/html"), "the answer is text/html, and no value"),
        (response(b'["/1.0"]\n'), "the answer is application/json, and no value"),
    ],
)
def test_metadata_that_is_none(given: bytes, line: str, short: Path) -> None:
    with RawHost(short / "sock", given) as host:
        result = run("metadata", socket=host.path)
    assert result == Result(1, b"", f"devlxdctl: /1.0/meta-data: {line}\n".encode())


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_dump_is_one_document_in_any_format(form: str, short: Path) -> None:
    with Simulator(short / "sock", parse_guest(GUEST, "test")) as host:
        assert run("dump", "-f", form, socket=host.path) == Result(0, WHOLE.encode(), b"")


def test_what_the_host_does_not_offer_is_null(short: Path) -> None:
    with RawHost(short / "sock", NOT_FOUND) as host:
        result = run("dump", socket=host.path)
    assert result == Result(
        0, b'{"versions":null,"state":null,"config":null,"devices":null,"metadata":null}\n', b""
    )


def test_what_the_host_forbids_is_an_error_and_no_hole(short: Path) -> None:
    def script(request: bytes) -> bytes:
        if b"/devices " in request:
            return response(b"not authorized\n", "text/plain; charset=utf-8", "403 Forbidden")
        return response(b'["/1.0"]\n') if b"GET / " in request else NOT_FOUND

    with RawHost(short / "sock", script) as host:
        result = run("dump", socket=host.path)
    assert result == Result(
        4,
        b"",
        b"devlxdctl: /1.0/devices: not permitted: not authorized\n"
        b"hint: the devLXD API is switched off; on the host: lxc config set INSTANCE security.devlxd=true\n",
    )


def test_as_a_local_fact_of_ansible(short: Path) -> None:
    """Ansible takes the stdout of an executable as JSON where its status is 0, and says so if it is not."""
    fact = short / "devlxd.fact"
    fact.write_text("#!/bin/sh\nexec devlxdctl dump\n")
    with Simulator(short / "sock", parse_guest(GUEST, "test")) as host:
        result = run("config", "run", "--", "sh", fact, socket=host.path, env={"PATH": _path()})
    facts = json.loads(result.stdout)
    assert (result.status, result.stderr, facts["config"]["user.role"]) == (0, b"", "web")


def _path() -> str:
    from tests.support.program import PROGRAM

    return f"{Path(PROGRAM).parent}:/usr/bin:/bin"
