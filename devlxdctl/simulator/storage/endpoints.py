"""The endpoints of the storage API: the methods of each, and the entitlement that a method needs."""

INSTANCE = "/1.0/instances/{instance}"
OPERATION = "/1.0/operations/{operation}"
OPERATION_WAIT = "/1.0/operations/{operation}/wait"
POOL = "/1.0/storage-pools/{pool}"
VOLUMES = "/1.0/storage-pools/{pool}/volumes"
VOLUMES_OF_TYPE = "/1.0/storage-pools/{pool}/volumes/{type}"
VOLUME = "/1.0/storage-pools/{pool}/volumes/{type}/{volume}"
SNAPSHOTS = "/1.0/storage-pools/{pool}/volumes/{type}/{volume}/snapshots"
SNAPSHOT = "/1.0/storage-pools/{pool}/volumes/{type}/{volume}/snapshots/{snapshot}"

ENTITLEMENTS: dict[str, dict[str, tuple[str, str] | None]] = {
    INSTANCE: {"GET": ("instance", "can_view"), "PATCH": ("instance", "can_edit")},
    OPERATION: {"DELETE": None},
    OPERATION_WAIT: {"GET": None},
    POOL: {"GET": None},
    VOLUMES: {"GET": None, "POST": ("project", "can_create_storage_volumes")},
    VOLUMES_OF_TYPE: {"GET": None, "POST": ("project", "can_create_storage_volumes")},
    VOLUME: {
        "GET": ("volume", "can_view"),
        "PUT": ("volume", "can_edit"),
        "PATCH": ("volume", "can_edit"),
        "DELETE": ("volume", "can_delete"),
    },
    SNAPSHOTS: {"GET": ("volume", "can_view"), "POST": ("volume", "can_manage_snapshots")},
    SNAPSHOT: {"GET": ("volume", "can_view"), "DELETE": ("volume", "can_delete")},
}
"""Entity and entitlement per endpoint and method; None: any trusted token."""
