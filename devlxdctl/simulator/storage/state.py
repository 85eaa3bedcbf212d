"""The state of a host's storage, and requests to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from devlxdctl.simulator import go_json
from devlxdctl.simulator.instance import Instance
from devlxdctl.simulator.storage.model import VOLUMES_SWITCH, Identity, Pool, Volume
from devlxdctl.simulator.storage.operations import Operations, StorageError


@dataclass(frozen=True)
class StorageRequest:
    """A request to the storage API, with decoded parameters."""

    endpoint: str
    method: str
    parameters: Mapping[str, str]
    """The values of the endpoint's placeholders."""
    query: str
    """The raw query string."""
    if_match: str
    body: bytes
    identity: Identity

    def query_value(self, name: str) -> str:
        """Return the first value of a query parameter, empty if it is absent."""
        return next((value for key, value in parse_qsl(self.query) if key == name), "")

    def decode_body(self, struct: str, fields: go_json.Fields) -> dict[str, object]:
        """Decode the body into a Go struct; raises StorageError."""
        try:
            return go_json.decode_struct(self.body, struct, fields)
        except go_json.BodyError as error:
            raise StorageError(500, f"Failed decoding request body: {error}") from error

    def check_if_match(self, etag: str) -> None:
        """Raise StorageError if the request has an If-Match and it does not match."""
        expected = self.if_match.strip('"')
        if expected and expected != etag:
            raise StorageError(
                412,
                f"ETag does not match: {etag} vs {expected}. The configuration has been modified since this "
                "change began. Please retrieve the updated configuration before proceeding.",
            )

    def check_target(self) -> None:
        """Raise StorageError if the request names a cluster member; this host is not a cluster."""
        if self.query_value("target") not in ("", "none"):
            raise StorageError(404, "Cluster member not found")

    def check_recursion(self) -> None:
        """Raise StorageError unless the request asks for a recursive list."""
        recursion = self.query_value("recursion")
        if not recursion.lstrip("+-").isdecimal() or int(recursion) == 0:
            raise StorageError(501, "Only recursive requests are currently supported")


@dataclass
class StorageState:
    """Pools and operations of the host of an instance."""

    instance: Instance
    pools: dict[str, Pool]
    operations: Operations
    pending: set[tuple[str, str]] = field(default_factory=set)
    """Pool and name of each volume, or VOLUME/SNAPSHOT, whose creation is running."""

    @property
    def switched_on(self) -> bool:
        """Whether the instance's config allows the storage API."""
        return self.instance.config.get(VOLUMES_SWITCH, "").lower() in ("true", "1", "yes", "on")

    def pool(self, request: StorageRequest) -> Pool:
        """Return the request's pool; raises StorageError."""
        pool = self.pools.get(request.parameters["pool"])
        if pool is None:
            raise StorageError(404, "Storage pool not found")
        return pool

    def volume(self, request: StorageRequest) -> Volume:
        """Return the request's volume, whoever owns it; raises StorageError."""
        volume = self.pool(request).volumes.get(request.parameters["volume"])
        if volume is None:
            raise StorageError(404, "Storage volume not found")
        return volume

    def owned_volume(self, request: StorageRequest) -> Volume:
        """Return the request's volume if the identity owns it; raises StorageError."""
        if request.parameters["type"] != "custom":
            raise StorageError(400, "Only custom storage volume requests are allowed")
        request.check_target()
        volume = self.volume(request)
        if volume.owner != request.identity.id:
            raise StorageError(404, "Not Found")
        return volume

    def in_use(self, volume: Volume) -> bool:
        """Whether a device of the instance uses the volume."""
        return any(
            (device.get("type"), device.get("pool"), device.get("source"))
            == ("disk", volume.pool, volume.name)
            for device in self.instance.devices.values()
        )

    def lose_operations(self) -> None:
        """Lose all operations, as the end of the daemon does."""
        self.operations.clear()
        self.pending.clear()
