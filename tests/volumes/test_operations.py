"""Tests of operations: failure, timeout, interrupt, lost response, restart, forgotten by the host."""

from __future__ import annotations

import dataclasses
import re
import signal
from functools import partial
from pathlib import Path

import pytest

from devlxdctl import Client, HostUnavailable, OperationFailed, TimedOut, UnexpectedResponse
from devlxdctl.simulator.profiles import LXD_6
from tests.simulator.simhost import wait_until
from tests.support.raw_host import RawHost, response
from tests.volumes.support import VOLUMES_OF_CI, Host, StartHost, finish

ID = r"[0-9a-f]{8}-[0-9a-f-]{27}"
CHANGES = {
    "create": ("volume", "create", "default", "new"),
    "copy": ("volume", "create", "default", "new", "--from", "data"),
    "set": ("volume", "set", "default", "data", "--size", "2GiB"),
    "delete": ("volume", "delete", "default", "disk"),
    "snapshot create": ("volume", "snapshot", "create", "default", "data", "new"),
    "snapshot delete": ("volume", "snapshot", "delete", "default", "data", "snap0"),
}
SUBJECTS = {
    "create": "new",
    "copy": "new",
    "set": "data",
    "delete": "disk",
    "snapshot create": "new",
    "snapshot delete": "snap0",
}


@pytest.mark.parametrize("change", CHANGES)
def test_failed_operation_exits_with_1_and_the_text_of_the_host(change: str, start_host: StartHost) -> None:
    host = start_host("operation-fails=423:The volume is locked", pools=VOLUMES_OF_CI)
    done = host.run(*CHANGES[change])
    assert done == (1, b"", f"devlxdctl: {SUBJECTS[change]}: The volume is locked\n".encode())


def test_operation_that_failed_with_status_500_is_not_reported_as_unavailable_host(
    start_host: StartHost,
) -> None:
    host = start_host("operation-fails=Disk is full", pools=VOLUMES_OF_CI)
    operation = host.client.create_volume("default", "new")
    for _ in range(2):  # waiting again has the same result
        with pytest.raises(OperationFailed) as caught:
            operation.wait()
        error = caught.value
        assert (str(error), error.exit_status, error.http_status) == ("new: Disk is full", 1, 500)
    assert not operation.done


@pytest.mark.parametrize("change", CHANGES)
def test_operation_that_runs_at_the_timeout_exits_with_124_and_its_id(change: str, slow_host: Host) -> None:
    done = slow_host.run(*CHANGES[change], "--timeout", "0.5")
    assert (done.status, done.stdout) == (124, b"")
    text = (
        rf"devlxdctl: {SUBJECTS[change]}: operation ({ID}) is still running after 0\.5 s\n"
        r"hint: wait for it: devlxdctl query '/1\.0/operations/\1/wait\?timeout=60'\n"
    )
    assert re.fullmatch(text, done.stderr.decode())


def test_operation_can_be_waited_for_again_after_a_timeout(slow_host: Host) -> None:
    operation = slow_host.client.create_volume("default", "new", size="1MiB")
    with pytest.raises(TimedOut):
        operation.wait(timeout=0)
    assert not operation.done
    slow_host.simulator.finish_operations()
    assert operation.wait()["config"]["size"] == "1MiB"
    assert operation.done
    assert re.fullmatch(rf"<Operation {ID} of 'new'>", repr(operation))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupt_leaves_the_operation_running_and_prints_its_id(number: int, slow_host: Host) -> None:
    program = slow_host.start(*CHANGES["create"])
    program.send_signal(number)
    done = finish(program)
    assert (done.status, done.stdout) == (-number, b"")
    text = (
        rf"devlxdctl: new: operation ({ID}) continues on the host\n"
        r"hint: wait for it: devlxdctl query '/1\.0/operations/\1/wait\?timeout=60'\n"
    )
    assert re.fullmatch(text, done.stderr.decode())
    slow_host.simulator.finish_operations()
    assert slow_host.client.volume("default", "new")["name"] == "new"
    assert slow_host.count("DELETE", "") == 0


def test_restart_of_the_daemon_during_an_operation_is_not_a_success(slow_host: Host) -> None:
    program = slow_host.start(*CHANGES["create"])
    slow_host.simulator.restart(0.2)
    done = finish(program)
    assert (done.status, done.stdout) == (1, b"")
    text = rf"devlxdctl: new: the host does not know operation {ID} any more, and its change is not visible\n"
    assert re.fullmatch(text, done.stderr.decode())
    assert slow_host.count("POST", "") == 1


@pytest.mark.parametrize("change", CHANGES)
def test_effect_of_a_forgotten_operation_is_looked_up(change: str, start_host: StartHost) -> None:
    # The host forgets an operation before the first wait can ask for it.
    profile = dataclasses.replace(LXD_6, operation_lifetime=0.0)
    host = start_host(pools=VOLUMES_OF_CI, profile=profile)
    done = host.run(*CHANGES[change])
    assert (done.status, done.stderr) == (0, b"")
    assert bool(done.stdout) is ("delete" not in change)


@pytest.mark.parametrize("change", ["create", "copy", "snapshot create"])
def test_lost_response_to_a_post_is_looked_up_and_nothing_is_created_twice(
    change: str, start_host: StartHost
) -> None:
    host = start_host("lost-response", pools=VOLUMES_OF_CI)
    done = host.run("-f", "json", *CHANGES[change])
    assert done.status == 0
    assert b'"name":"new"' in done.stdout
    socket = host.simulator.path
    assert done.stderr.decode() == (
        f"devlxdctl: {socket}: connection closed without a response; "
        "the response was lost, the change was made\n"
    )
    assert host.count("POST", "") == 1


def test_lost_response_of_an_existing_volume_is_not_reported_as_created(start_host: StartHost) -> None:
    host = start_host("lost-response", pools=VOLUMES_OF_CI)
    done = host.run("volume", "create", "default", "data")
    assert done == (8, b"", b"devlxdctl: data: volume exists already\n")
    assert host.count("POST", "") == 0


def test_change_that_never_shows_after_a_lost_response_is_an_error(start_host: StartHost) -> None:
    host = start_host("lost-response", "operation-fails=Disk is full", pools=VOLUMES_OF_CI)
    with pytest.raises(HostUnavailable) as caught:
        host.client.create_volume("default", "new")
    problem = "connection closed without a response; the change is not visible after 10 s"
    assert caught.value.problem == problem
    assert host.count("POST", "") == 1


def test_slow_operation_of_a_lost_response_is_found_when_it_ends(start_host: StartHost) -> None:
    host = start_host("lost-response", "operation-seconds=1", pools=VOLUMES_OF_CI)
    assert host.client.create_volume("default", "new").wait()["name"] == "new"


def answer_creation(operation: bytes, request: bytes) -> bytes:
    """Accept the creation of the volume `new` with `operation`."""
    if request.startswith(b"POST"):
        return response(operation)
    if b" /1.0 " in request:
        return response(b'{"auth":"trusted","supported_storage_drivers":[]}')
    if b"volumes/custom/new " in request:
        return response(b"Storage volume not found\n", "text/plain", "404 Not Found")
    return response(b'{"name":"default"}')


def test_cancelled_operation_is_a_failure(socket_directory: Path) -> None:
    started = b'{"id":"1","status":"Running","status_code":103,"err":""}'
    cancelled = b'{"id":"1","status":"Cancelled","status_code":401,"err":""}'

    def answer(request: bytes) -> bytes:
        return response(cancelled) if b"/wait?" in request else answer_creation(started, request)

    with RawHost(socket_directory / "sock", answer), Client(socket_directory / "sock", token="x") as client:
        with pytest.raises(OperationFailed) as caught:
            client.create_volume("default", "new").wait()
        assert str(caught.value) == "new: Cancelled"


def test_operation_id_is_checked_before_it_is_put_into_a_path(socket_directory: Path) -> None:
    answer = partial(answer_creation, b'{"id":"../config/user.x","status_code":103}')
    with RawHost(socket_directory / "sock", answer), Client(socket_directory / "sock", token="x") as client:
        with pytest.raises(UnexpectedResponse) as caught:
            client.create_volume("default", "new")
        assert str(caught.value) == "new: response has no valid ID of an operation"


def test_waiting_requests_are_shorter_than_the_timeout_of_proxies(slow_host: Host) -> None:
    program = slow_host.start(*CHANGES["create"])
    wait_until(lambda: slow_host.count("GET", "/wait?timeout=10") == 1)
    slow_host.simulator.finish_operations()
    assert finish(program).status == 0
