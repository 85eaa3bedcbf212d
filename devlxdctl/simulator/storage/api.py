"""Responses of the storage API: authentication, entitlements, then the handler of endpoint and method.

The texts and statuses are those of the recordings. A few cases that were not recorded follow LXD's source:
invalid config and sizes, snapshot names, and devices that do not fit their volume.
"""

from collections.abc import Callable, Mapping

from devlxdctl.simulator.instance import Instance
from devlxdctl.simulator.messages import RAW, Response, json_response, text_error
from devlxdctl.simulator.storage import endpoints, instances, volumes
from devlxdctl.simulator.storage.model import OperationPlan, Pool
from devlxdctl.simulator.storage.operations import Operations, StorageError
from devlxdctl.simulator.storage.state import StorageRequest, StorageState

_HANDLERS: dict[tuple[str, str], Callable[[StorageState, StorageRequest], Response]] = {
    (endpoints.INSTANCE, "GET"): instances.show_instance,
    (endpoints.INSTANCE, "PATCH"): instances.change_instance,
    (endpoints.POOL, "GET"): volumes.show_pool,
    (endpoints.VOLUMES, "GET"): volumes.list_volumes,
    (endpoints.VOLUMES, "POST"): volumes.create_volume,
    (endpoints.VOLUMES_OF_TYPE, "GET"): volumes.list_volumes,
    (endpoints.VOLUMES_OF_TYPE, "POST"): volumes.create_volume,
    (endpoints.VOLUME, "GET"): volumes.show_volume,
    (endpoints.VOLUME, "PUT"): volumes.change_volume,
    (endpoints.VOLUME, "PATCH"): volumes.change_volume,
    (endpoints.VOLUME, "DELETE"): volumes.delete_volume,
    (endpoints.SNAPSHOTS, "GET"): volumes.list_snapshots,
    (endpoints.SNAPSHOTS, "POST"): volumes.create_snapshot,
    (endpoints.SNAPSHOT, "GET"): volumes.show_snapshot,
    (endpoints.SNAPSHOT, "DELETE"): volumes.delete_snapshot,
}


class StorageAPI:
    """The storage API for one instance."""

    def __init__(
        self, instance: Instance, pools: Mapping[str, Pool], plans: Mapping[str, OperationPlan]
    ) -> None:
        operations = Operations(plans, instance.profile.operation_lifetime)
        self._state = StorageState(instance, {name: pool.copy() for name, pool in pools.items()}, operations)

    async def respond(self, request: StorageRequest) -> Response:
        """Respond to a request whose method the endpoint has."""
        try:
            return await self._respond(request)
        except StorageError as error:
            return text_error(error.status, error.text)

    def supported_drivers(self) -> list[dict[str, object]]:
        """Return the storage drivers of the host, as `GET /1.0` lists them for a trusted token."""
        drivers = {pool.driver: pool.remote for pool in self._state.pools.values()}
        return [{"name": name, "remote": remote} for name, remote in sorted(drivers.items())]

    def describe(self) -> list[dict[str, object]]:
        """Return all pools with their volumes, for `devlxd-simulator show`."""
        return [
            {"name": pool.name, "driver": pool.driver, "volumes": pool.list_entries()}
            for _, pool in sorted(self._state.pools.items())
        ]

    def finish_operations(self) -> None:
        """End all running operations now."""
        self._state.operations.finish()

    def lose_operations(self) -> None:
        """Lose all operations, as the end of the daemon does."""
        self._state.lose_operations()

    async def _respond(self, request: StorageRequest) -> Response:
        state = self._state
        match request.endpoint, request.method:
            case endpoints.OPERATION_WAIT, _:
                operation = request.parameters["operation"]
                return json_response(await state.operations.wait(operation, request.query_value("timeout")))
            case endpoints.OPERATION, _:
                state.operations.cancel(request.parameters["operation"])
                return Response(200, RAW)
        if "volume" in request.parameters and request.parameters["type"] == "custom":
            state.volume(request)  # a volume that does not exist is 404 without any entitlement
        self._check_entitlement(request)
        if not state.switched_on:
            raise StorageError(403, "Forbidden")
        return _HANDLERS[request.endpoint, request.method](state, request)

    @staticmethod
    def _check_entitlement(request: StorageRequest) -> None:
        match endpoints.ENTITLEMENTS[request.endpoint][request.method]:
            case ("project", entitlement):
                granted = entitlement in request.identity.project
            case ("volume", entitlement):
                granted = entitlement in request.identity.volume
            case ("instance", entitlement):
                granted = entitlement in request.identity.instance
            case _:
                granted = True
        if not granted:
            raise StorageError(403, "Forbidden")
