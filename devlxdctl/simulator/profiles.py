"""The differences between host versions as data, measured on LXD 5.0.2, LXD 6.9 and Incus 6.0.4."""

from dataclasses import dataclass

CLOUD_INIT_KEYS = frozenset(f"cloud-init.{name}" for name in ("network-config", "user-data", "vendor-data"))
"""The keys of the namespace `cloud-init.` that every host accepts."""

SSH_KEYS = "cloud-init.ssh-keys."
"""Prefix of keys that LXD 6 merges into cloud-configs and leaves out of the guest's list of keys."""


@dataclass(frozen=True)
class Profile:
    """One kind of host. Times are in seconds. Texts are bodies of responses without the final newline."""

    name: str
    directory: str
    """The name of the directory with the guest's socket."""
    switch_key: str
    """The config key that switches the guest API on and off."""
    images_key: str
    """The config key that allows image export."""

    reports_state: bool = True
    """GET /1.0 reports `state` and PATCH sets it. Else `state` is empty and every method is a GET."""
    location: str | None = None
    """The fixed `location` in /1.0; None: the guest's."""
    extra_state: tuple[tuple[str, object], ...] = ()
    """Additional fields of /1.0."""

    catch_all: bool = False
    """An unknown path gets the response of `/` instead of 404."""
    redirect: int = 301
    """The status for a path with `//` or `..`; 307 has an HTML body."""
    strict_methods: bool = False
    """A wrong method is 501 or 404 everywhere. Else it is treated as a GET, except on /1.0."""
    forbidden: str = "not authorized"
    not_found: str = "not found"
    json_forbidden: bool = False
    """The 403 of an image export is a JSON error."""
    image_not_found: str = "Image not found"
    partial_fingerprints: bool = False
    """A prefix of a fingerprint is accepted, in upper or lower case."""
    image_headers: tuple[tuple[str, str], ...] = ()
    """Additional headers of a unified image."""
    body_error_prefix: str = ""
    """Prefix of the error for a body that is not a valid state."""
    state_struct: str = "DevLXDPut"
    """The name of the Go type of PATCH's body, as error messages show it."""
    ubuntu_pro: bool = False
    """The host has the endpoints of Ubuntu Pro."""
    tokens: bool = False
    """The host supports bearer tokens."""
    storage: bool = False
    """The host has the storage API, for guests with a trusted token."""
    attach_checks_owner: bool = False
    """Only volumes of the identity can be attached; LXD 6.9 allows all, later versions do not."""
    operation_lifetime: float = 5.0
    """A finished operation is removed after this time."""
    root_check_first: bool = False
    """Non-root callers get 401 for unknown paths too."""
    allowed_while_off: frozenset[str] = frozenset({"/", "/1.0"})
    """Endpoints that open connections can still use while the guest API is off; others are 403."""

    metadata_header: str = "#cloud-config\n"
    ssh_keys: bool = False
    """The host accepts `cloud-init.ssh-keys.*`."""
    empty_user_key: bool = True
    """The host accepts the key `user.`."""
    unknown_cloud_init_key: str = "Unknown configuration key: {key}"
    """The error for another key in the namespace `cloud-init.`."""

    checks_origin: bool = False
    """A websocket whose Origin is not the Host is refused."""
    ping_payload: bytes = b"keepalive"
    nic_updates: bool = True
    """A change of only a nic's `limits.*` causes an `updated` event; else it causes none."""
    stopping_error: str = "Failed to begin transaction: sql: database is closed"
    """The text of the 500 while the daemon is stopping."""

    idle_timeout: float = 1_000_000.0
    """An idle connection is closed after this time."""
    body_timeout: float | None = None
    """Time for a client to send a request's body; None: no limit."""
    ping_interval: float = 10.0
    pong_timeout: float = 30.0
    """A listener that sent no pong for this time is dropped."""
    stall_timeout: float = 12.0
    """A listener that read nothing for this time, with data waiting, is dropped."""


LXD_5_0 = Profile(
    name="lxd-5.0",
    directory="lxd",
    switch_key="security.devlxd",
    images_key="security.devlxd.images",
    reports_state=False,
    partial_fingerprints=True,
    location="none",
    allowed_while_off=frozenset({"/"}),
)

LXD_6 = Profile(
    name="lxd-6",
    directory="lxd",
    switch_key="security.devlxd",
    images_key="security.devlxd.images",
    extra_state=(("auth", "untrusted"), ("supported_storage_drivers", [])),
    catch_all=True,
    redirect=307,
    strict_methods=True,
    forbidden="Forbidden",
    not_found="Not Found",
    json_forbidden=True,
    image_not_found="Not Found",
    body_error_prefix="Invalid request body: ",
    ubuntu_pro=True,
    tokens=True,
    storage=True,
    root_check_first=True,
    allowed_while_off=frozenset(),
    metadata_header="",
    ssh_keys=True,
    empty_user_key=False,
    unknown_cloud_init_key='"{key}" is not supported for "{type}"',
    checks_origin=True,
    ping_payload=b"",
    nic_updates=False,
    stopping_error="Process ID not found in container",
    idle_timeout=30.0,
    body_timeout=3.0,
)

INCUS = Profile(
    name="incus",
    directory="incus",
    switch_key="security.guestapi",
    images_key="security.guestapi.images",
    image_headers=(("X-Incus-Type", "incus"),),
    state_struct="DevIncusPut",
)

PROFILES = {profile.name: profile for profile in (LXD_5_0, LXD_6, INCUS)}
DEFAULT_PROFILE = LXD_6.name
