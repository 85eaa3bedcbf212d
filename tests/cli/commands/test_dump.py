"""`dump`: one JSON document, and what becomes of parts that cannot be read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from devlxdctl import Client, InvalidRequest
from devlxdctl.simulator import Simulator
from devlxdctl.simulator.guest import parse_guest
from tests.support.program import PROGRAM, Result, failure, run
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
DOCUMENT = (
    f'{{"versions":["/1.0"],"state":{STATE},"config":{CONFIG},'
    '"devices":{"root":{"path":"/","pool":"default","type":"disk"}},'
    f'"metadata":{json.dumps(METADATA, ensure_ascii=False)}}}\n'
)
NOT_FOUND = response(b"404 page not found\n", "text/plain; charset=utf-8", "404 Not Found")


@pytest.mark.parametrize("form", ["text", "json"])
def test_dump_is_the_same_json_document_in_every_format(form: str, socket_directory: Path) -> None:
    with Simulator(socket_directory / "sock", parse_guest(GUEST, "test")) as simulator:
        assert run("dump", "-f", form, socket=simulator.path) == Result(0, DOCUMENT.encode(), b"")


def test_dump_has_null_for_what_the_host_does_not_support(socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", NOT_FOUND) as raw_host:
        result = run("dump", socket=raw_host.path)
    document = b'{"versions":null,"state":null,"config":null,"devices":null,"metadata":null}\n'
    assert result == Result(0, document, b"")


def test_dump_fails_if_the_host_forbids_a_part(socket_directory: Path) -> None:
    def script(request: bytes) -> bytes:
        if b"/devices " in request:
            return response(b"not authorized\n", "text/plain; charset=utf-8", "403 Forbidden")
        return response(b'["/1.0"]\n') if b"GET / " in request else NOT_FOUND

    (socket_directory / "lxd").mkdir()
    with RawHost(socket_directory / "lxd" / "sock", script) as raw_host:
        result = run("dump", socket=raw_host.path)
    hint = "on the host: lxc config set INSTANCE security.devlxd=true"
    assert result == failure(4, "/1.0/devices: permission denied", hint)


def test_dump_of_some_parts_requests_only_these(socket_directory: Path) -> None:
    with RawHost(socket_directory / "sock", response(b'{"state":"Started"}\n')) as raw_host:
        assert run("dump", "--only", "state", socket=raw_host.path) == Result(
            0, b'{"state":{"state":"Started"}}\n', b""
        )
        with Client(raw_host.path) as client:
            assert client.dump(only=["state"]) == {"state": {"state": "Started"}}
    assert [request.split(b"\r\n")[0] for request in raw_host.requests] == [b"GET /1.0 HTTP/1.1"] * 2


def test_dump_of_some_parts_has_them_in_the_order_of_the_document(socket_directory: Path) -> None:
    with Simulator(socket_directory / "sock", parse_guest(GUEST, "test")) as simulator:
        result = run("dump", "--only", "config,state", socket=simulator.path)
    assert result == Result(0, f'{{"state":{STATE},"config":{CONFIG}}}\n'.encode(), b"")


@pytest.mark.parametrize("parts", ["", "state,", "state,profiles"])
def test_dump_rejects_a_part_that_does_not_exist_and_names_all(parts: str) -> None:
    part = parts.rpartition(",")[2]
    problem = f"invalid value for '--only': {part!r} is not a part of the document:"
    names = "versions, state, config, devices, metadata"
    expected = failure(2, f"dump: {problem} {names}", "see the help: devlxdctl dump --help")
    assert run("dump", "--only", parts) == expected
    with pytest.raises(InvalidRequest) as caught:
        Client().dump(only=parts.split(","))
    assert str(caught.value) == f"dump: no such part: {part}"


def test_dump_serves_as_local_fact_of_ansible(socket_directory: Path) -> None:
    """Ansible runs executable fact files, and reads their stdout as JSON."""
    fact = socket_directory / "devlxd.fact"
    fact.write_text("#!/bin/sh\nexec devlxdctl dump\n")
    env = {"PATH": f"{Path(PROGRAM).parent}:{os.defpath}"}
    with Simulator(socket_directory / "sock", parse_guest(GUEST, "test")) as simulator:
        result = run("config", "run", "--", "sh", fact, socket=simulator.path, env=env)
    assert (result.status, result.stderr) == (0, b"")
    assert json.loads(result.stdout)["config"]["user.role"] == "web"
