"""Tests of tokens, the switch and entitlements for the storage API."""

from pathlib import Path
from typing import Any

import pytest

from devlxdctl.simulator.storage.endpoints import ENTITLEMENTS
from tests.simulator.storage_client import (
    GUEST,
    INSTANCE,
    VOLUMES,
    StorageClient,
    make_storage_simulator,
)

TARGETS = {
    "/1.0/instances/{instance}": INSTANCE,
    "/1.0/operations/{operation}": "/1.0/operations/none",
    "/1.0/operations/{operation}/wait": "/1.0/operations/none/wait",
    "/1.0/storage-pools/{pool}": "/1.0/storage-pools/default",
    "/1.0/storage-pools/{pool}/volumes": f"{VOLUMES.removesuffix('/custom')}?recursion=1",
    "/1.0/storage-pools/{pool}/volumes/{type}": f"{VOLUMES}?recursion=1",
    "/1.0/storage-pools/{pool}/volumes/{type}/{volume}": f"{VOLUMES}/data",
    "/1.0/storage-pools/{pool}/volumes/{type}/{volume}/snapshots": f"{VOLUMES}/data/snapshots?recursion=1",
    "/1.0/storage-pools/{pool}/volumes/{type}/{volume}/snapshots/{snapshot}": f"{VOLUMES}/data/snapshots/s",
}
REQUESTS = [(endpoint, method) for endpoint, methods in ENTITLEMENTS.items() for method in methods]
POOLS = {"default": {"volumes": {"data": {"owner": "ci", "snapshots": {"s": {}}}}}}
BODIES: dict[str, Any] = {"POST": {"name": "new"}, "PUT": {}, "PATCH": {}}
FORBIDDEN = (403, "Forbidden\n")
NOT_FOUND = (404, "Operation not found\n")


def identity(**entitlements: list[str]) -> dict[str, Any]:
    """The identity ci with changed entitlements."""
    return {"ci": {**GUEST["simulator"]["identities"]["ci"], **entitlements}}


@pytest.mark.parametrize(("endpoint", "method"), REQUESTS)
@pytest.mark.parametrize("token", ["", "unknown"])
def test_without_a_trusted_token_every_request_is_refused(
    endpoint: str, method: str, token: str, short: Path
) -> None:
    with make_storage_simulator(short, pools=POOLS) as simulator:
        response = StorageClient(simulator.path, token).send(method, TARGETS[endpoint], BODIES.get(method))
    assert response == (403, "You must be authenticated\n")


@pytest.mark.parametrize(("endpoint", "method"), REQUESTS)
def test_switch_is_needed_except_for_operations_and_works_live(
    endpoint: str, method: str, short: Path
) -> None:
    with make_storage_simulator(short, pools=POOLS) as simulator:
        client = StorageClient(simulator.path)
        simulator.unset("security.devlxd.management.volumes")
        off = client.send(method, TARGETS[endpoint], BODIES.get(method))
        assert off == (NOT_FOUND if "operations" in endpoint else FORBIDDEN)
        simulator.set({"security.devlxd.management.volumes": "true"})
        on = client.send(method, TARGETS[endpoint], BODIES.get(method))
    assert on == NOT_FOUND if "operations" in endpoint else on.status == 200


@pytest.mark.parametrize(("endpoint", "method"), REQUESTS)
def test_request_needs_exactly_its_entitlement(endpoint: str, method: str, short: Path) -> None:
    needed = ENTITLEMENTS[endpoint][method]
    none: dict[str, list[str]] = {"project": [], "volume": [], "instance": []}
    with make_storage_simulator(short, pools=POOLS, identities=identity(**none)) as simulator:
        client = StorageClient(simulator.path)
        response = client.send(method, TARGETS[endpoint], BODIES.get(method))
        if needed is not None:
            assert response == FORBIDDEN
        else:
            assert response == NOT_FOUND if "operations" in endpoint else response.status == 200
    if needed is None:
        return
    entity, entitlement = needed
    only = {**none, entity: [entitlement]}
    with make_storage_simulator(short, pools=POOLS, identities=identity(**only)) as simulator:
        client = StorageClient(simulator.path)
        assert client.send(method, TARGETS[endpoint], BODIES.get(method)).status == 200


def test_list_is_empty_without_the_entitlement_to_view(short: Path) -> None:
    with make_storage_simulator(short, pools=POOLS, identities=identity(volume=["can_edit"])) as simulator:
        assert StorageClient(simulator.path).send("GET", f"{VOLUMES}?recursion=1") == (200, [])


def test_missing_volume_is_not_found_without_any_entitlement(short: Path) -> None:
    with make_storage_simulator(short, pools=POOLS, identities=identity(volume=[])) as simulator:
        response = StorageClient(simulator.path).send("GET", f"{VOLUMES}/none")
    assert response == (404, "Storage volume not found\n")


@pytest.mark.parametrize("profile", ["lxd-5.0", "incus"])
@pytest.mark.parametrize("target", TARGETS.values())
def test_lxd_5_and_incus_have_no_storage_api(profile: str, target: str, short: Path) -> None:
    with make_storage_simulator(short, profile=profile) as simulator:
        response = StorageClient(simulator.path).send("GET", target)
    assert response == (404, "404 page not found\n")
