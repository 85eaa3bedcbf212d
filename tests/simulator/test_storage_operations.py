"""Tests of operations: running, failed, timed out, removed, cancelled, lost in a restart."""

import dataclasses
from pathlib import Path

import pytest

from devlxdctl.simulator.faults import FaultError, parse_faults
from devlxdctl.simulator.profiles import LXD_6
from tests.simulator.simhost import RawConnection, wait_until
from tests.simulator.storage_client import (
    VOLUMES,
    StorageClient,
    make_storage_simulator,
    result,
    succeeded,
)

NOT_FOUND = (404, "Operation not found\n")
TIMED_OUT = (500, "context deadline exceeded\n")
POOLS = {"default": {"volumes": {"data": {"owner": "ci"}}}}


def test_wait_without_timeout_returns_at_the_end_of_the_operation(short: Path) -> None:
    with make_storage_simulator(short, "operation-seconds=0.2") as simulator:
        client = StorageClient(simulator.path)
        operation = client.start("POST", VOLUMES, {"name": "a"})
        for query in ("", "?timeout=", "?timeout=-1", "?timeout=5"):
            response = client.send("GET", f"/1.0/operations/{operation}/wait{query}")
            assert response == succeeded(operation)


def test_creation_is_visible_only_after_its_end(short: Path) -> None:
    with make_storage_simulator(short, "operation-seconds=600") as simulator:
        client = StorageClient(simulator.path)
        client.start("POST", VOLUMES, {"name": "a"})
        assert client.send("GET", f"{VOLUMES}?recursion=1") == (200, [])
        exists = (409, "Volume by that name already exists\n")
        assert client.send("POST", VOLUMES, {"name": "a"}) == exists


def test_wait_times_out_while_the_operation_runs(short: Path) -> None:
    with make_storage_simulator(short, "operation-seconds=600") as simulator:
        client = StorageClient(simulator.path)
        operation = client.start("POST", VOLUMES, {"name": "a"})
        assert client.wait(operation, "0") == TIMED_OUT
        assert client.wait(operation, "1") == TIMED_OUT


@pytest.mark.parametrize("timeout", ["x", "1.5", "1s", "%20", "9" * 400])
def test_invalid_timeout_is_an_error(timeout: str, short: Path) -> None:
    with make_storage_simulator(short) as simulator:
        response = StorageClient(simulator.path).wait("none", timeout)
    assert response == (400, "Invalid timeout value\n")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("operation-fails=Disk is full", (500, "Disk is full\n")),
        ("operation-fails=423:Volume is locked", (423, "Volume is locked\n")),
        ("operation-fails=400:a: b", (400, "a: b\n")),
    ],
)
def test_failed_operation_has_its_own_status_and_text(
    fault: str, expected: tuple[int, str], short: Path
) -> None:
    with make_storage_simulator(short, fault, pools=POOLS) as simulator:
        client = StorageClient(simulator.path)
        operation = client.start("POST", VOLUMES, {"name": "a"})
        assert [client.wait(operation), client.wait(operation, "0")] == [expected, expected]
        assert client.send("GET", f"{VOLUMES}/a") == (404, "Storage volume not found\n")
        assert client.wait(client.start("DELETE", f"{VOLUMES}/data")) == expected
        assert client.send("GET", f"{VOLUMES}/data").status == 200
        assert client.wait(client.start("POST", VOLUMES, {"name": "a"})) == expected


def test_slow_operation_fails_at_its_end(short: Path) -> None:
    faults = ("operation-seconds=0.2", "operation-fails=400:too late")
    with make_storage_simulator(short, *faults) as simulator:
        client = StorageClient(simulator.path)
        operation = client.start("POST", VOLUMES, {"name": "a"})
        assert client.wait(operation) == (400, "too late\n")


def test_guest_file_plans_operations_by_kind(short: Path) -> None:
    operations = {"copy": {"seconds": "600"}, "delete": {"error": "locked", "status": "423"}}
    with make_storage_simulator(short, pools=POOLS, operations=operations) as simulator:
        client = StorageClient(simulator.path)
        client.run("POST", VOLUMES, {"name": "a"})
        source = {"type": "copy", "name": "a", "pool": "default"}
        copy = client.start("POST", VOLUMES, {"name": "cp", "source": source})
        assert client.wait(copy, "0") == TIMED_OUT
        assert client.wait(client.start("DELETE", f"{VOLUMES}/a")) == (423, "locked\n")
        client.run("POST", f"{VOLUMES}/a/snapshots", {})
        client.run("DELETE", f"{VOLUMES}/a/snapshots/snap0")
        client.run("PATCH", f"{VOLUMES}/a", {"description": "x"})


def test_finished_operation_is_removed_after_its_lifetime(short: Path) -> None:
    assert LXD_6.operation_lifetime == 5.0
    profile = dataclasses.replace(LXD_6, operation_lifetime=0.3)
    with make_storage_simulator(short, profile=profile) as simulator:
        client = StorageClient(simulator.path)
        operation = client.start("POST", VOLUMES, {"name": "a"})
        wait_until(lambda: client.wait(operation) == NOT_FOUND)
        assert client.send("DELETE", f"/1.0/operations/{operation}") == NOT_FOUND
        assert client.send("GET", f"{VOLUMES}/a").status == 200


def test_cancellation_is_accepted_only_while_the_operation_runs(short: Path) -> None:
    with make_storage_simulator(short, "operation-seconds=600") as simulator:
        client = StorageClient(simulator.path)
        operation = client.start("POST", VOLUMES, {"name": "a"})
        assert client.send("DELETE", f"/1.0/operations/{operation}") == (200, "")
        assert client.wait(operation, "0") == TIMED_OUT
    with make_storage_simulator(short) as simulator:
        client = StorageClient(simulator.path)
        operation = client.start("POST", VOLUMES, {"name": "a"})
        ended = (400, "Only running operations can be cancelled\n")
        assert client.send("DELETE", f"/1.0/operations/{operation}") == ended


def test_cancelled_operation_succeeds_nevertheless(short: Path) -> None:
    with make_storage_simulator(short, "operation-seconds=600") as simulator:
        client = StorageClient(simulator.path)
        operation = client.start("POST", VOLUMES, {"name": "a"})
        client.send("DELETE", f"/1.0/operations/{operation}")
        simulator.finish_operations()
        assert client.wait(operation) == succeeded(operation)
        assert client.send("GET", f"{VOLUMES}/a").status == 200


def test_waiting_request_returns_when_operations_are_finished(short: Path) -> None:
    with make_storage_simulator(short, "operation-seconds=600") as simulator:
        client = StorageClient(simulator.path)
        operation = client.start("POST", VOLUMES, {"name": "a"})
        with RawConnection(simulator.path) as connection:
            headers = [("Host", "x"), ("Authorization", "Bearer ci-token")]
            connection.send(f"/1.0/operations/{operation}/wait", headers=headers)
            wait_until(lambda: len(simulator.requests) == 2)
            simulator.finish_operations()
            assert result(connection.read_response()) == succeeded(operation)


def test_get_of_an_operation_is_not_implemented(short: Path) -> None:
    with make_storage_simulator(short) as simulator:
        client = StorageClient(simulator.path)
        operation = client.start("POST", VOLUMES, {"name": "a"})
        assert client.send("GET", f"/1.0/operations/{operation}") == (501, "Not Implemented\n")


def test_restart_of_the_daemon_loses_running_operations(short: Path) -> None:
    with make_storage_simulator(short, "operation-seconds=600") as simulator:
        client = StorageClient(simulator.path)
        operation = client.start("POST", VOLUMES, {"name": "a"})
        simulator.restart(0.05)
        assert client.wait(operation) == NOT_FOUND
        assert client.send("GET", f"{VOLUMES}/a") == (404, "Storage volume not found\n")
        client.start("POST", VOLUMES, {"name": "a"})


def test_simulator_ends_while_operations_run(short: Path) -> None:
    with make_storage_simulator(short, "operation-seconds=600") as simulator:
        StorageClient(simulator.path).start("POST", VOLUMES, {"name": "a"})
    assert list(short.iterdir()) == []


def test_second_deletion_of_a_volume_fails_in_its_operation(short: Path) -> None:
    with make_storage_simulator(short, "operation-seconds=600", pools=POOLS) as simulator:
        client = StorageClient(simulator.path)
        first, second = (client.start("DELETE", f"{VOLUMES}/data") for _ in range(2))
        simulator.finish_operations()
        assert client.wait(first) == succeeded(first)
        assert client.wait(second) == (404, "Storage volume not found\n")


@pytest.mark.parametrize("fault", ["operation-fails", "operation-fails=", "operation-fails=423:"])
def test_operation_fails_fault_needs_a_text(fault: str) -> None:
    with pytest.raises(FaultError) as caught:
        parse_faults([fault])
    assert str(caught.value) == (
        "operation-fails=[STATUS:]TEXT: every storage operation fails with TEXT and HTTP STATUS (500)"
    )
