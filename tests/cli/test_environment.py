"""The environment of the program: proxies, `.netrc`, certificates and cookies change no request."""

from __future__ import annotations

from pathlib import Path

import pytest

from devlxdctl import Client
from devlxdctl.simulator import Simulator
from tests.support.program import Result, run
from tests.support.raw_host import RawHost, response


@pytest.fixture
def misleading(socket_directory: Path) -> dict[str, str]:
    """Variables that HTTP libraries read: a proxy that does not exist, a `.netrc`, missing certificates."""
    (socket_directory / ".netrc").write_text("default login a password b\n")
    env = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    env |= {"HOME": str(socket_directory), "REQUESTS_CA_BUNDLE": "/none", "CURL_CA_BUNDLE": "/none"}
    return env


def test_proxy_variables_netrc_and_ca_bundles_are_ignored(
    misleading: dict[str, str], simulator: Simulator
) -> None:
    assert run("state", "state", socket=simulator.path, env=misleading) == Result(0, b"Started\n", b"")


def test_proxy_variables_and_netrc_change_no_byte_of_a_request(
    misleading: dict[str, str], socket_directory: Path
) -> None:
    with RawHost(socket_directory / "sock", response(b"{}")) as raw_host:
        for env in ({}, misleading):
            assert run("-f", "json", "state", socket=raw_host.path, env=env) == Result(0, b"{}\n", b"")
        assert raw_host.requests[0] == raw_host.requests[1]


def test_cookies_of_the_host_are_not_sent_back(socket_directory: Path) -> None:
    given = response(b'["/1.0"]', extra="Set-Cookie: a=b; Path=/\r\n")
    with RawHost(socket_directory / "sock", given) as raw_host, Client(raw_host.path) as client:
        for _ in range(2):
            client.versions()
        assert raw_host.requests[0] == raw_host.requests[1]


def test_no_variable_at_all_is_needed(simulator: Simulator) -> None:
    result = run("--socket", simulator.path, "state", "state", env={})
    assert result == Result(0, b"Started\n", b"")
