"""What differs between host versions, as data: measured on LXD 5.0.2, LXD 6.9 and Incus 6.0.4."""

from dataclasses import dataclass

SEED_KEYS = frozenset(f"cloud-init.{name}" for name in ("network-config", "user-data", "vendor-data"))
"""The keys of the namespace `cloud-init.` that every host knows."""

SSH_KEYS = "cloud-init.ssh-keys."
"""Keys that a host may merge into the seeds; it leaves them out of the guest's list."""


@dataclass(frozen=True)
class Profile:
    """One kind of host. Times are seconds; texts are bodies of answers, without their newline."""

    name: str
    directory: str
    """The name of the directory that the guest's socket is in."""
    switch_key: str
    """The instance's key that switches the guest API on and off."""
    images_key: str
    """The instance's key that permits image export."""

    reports_state: bool = True
    """`state` is told and PATCH works; else `state` is empty and any method on /1.0 is a GET."""
    location: str | None = None
    """`location` in /1.0, where it does not depend on the guest."""
    extra_state: tuple[tuple[str, object], ...] = ()
    """More fields of /1.0."""

    catch_all: bool = False
    """A path that the host does not know answers as `/` does, instead of 404."""
    redirect: int = 301
    """The status for a path that is not clean (`//`, `..`); 307 has an HTML body."""
    strict_methods: bool = False
    """A wrong method is 501 or 404 everywhere; else it is a GET, besides on /1.0."""
    forbidden: str = "not authorized"
    not_found: str = "not found"
    json_forbidden: bool = False
    """The 403 of an image export is the main API's JSON error."""
    image_not_found: str = "Image not found"
    partial_fingerprints: bool = False
    """The beginning of a fingerprint is enough, in either case."""
    image_headers: tuple[tuple[str, str], ...] = ()
    """More headers of a unified image."""
    body_error_prefix: str = ""
    """Before the complaint about a body that is not the JSON of a state."""
    state_struct: str = "DevLXDPut"
    """The host's name for the type of PATCH's body, as it shows in complaints."""
    ubuntu_pro: bool = False
    tokens: bool = False
    """The host knows bearer tokens."""
    storage: bool = False
    """The host lets a guest with a token manage volumes."""
    root_first: bool = False
    """401 comes before everything else, for unknown paths too."""
    answers_switched_off: frozenset[str] = frozenset({"/", "/1.0"})
    """What a connection that is open still gets while the guest API is off; the rest is 403."""

    metadata_header: str = "#cloud-config\n"
    ssh_keys: bool = False
    """The host accepts `cloud-init.ssh-keys.*`."""
    bare_user_key: bool = True
    """The host accepts the key `user.`."""
    unknown_seed: str = "Unknown configuration key: {key}"
    """Why the host refuses another key in the namespace `cloud-init.`."""

    checks_origin: bool = False
    ping_payload: bytes = b"keepalive"
    nic_updates: bool = True
    """A change of a nic's `limits.*` alone causes an `updated` event; else none at all."""
    stopping: str = "Failed to begin transaction: sql: database is closed"
    """The text of the 500 while the daemon stops."""

    idle_limit: float = 1_000_000.0
    """How long a connection may be idle."""
    body_limit: float | None = None
    """How long the body of a request may take."""
    ping_every: float = 10.0
    pong_limit: float = 30.0
    """A listener that answered no ping for this long is dropped."""
    stall_limit: float = 12.0
    """A listener that took nothing for this long, with data waiting, is dropped."""


LXD_5_0 = Profile(
    name="lxd-5.0",
    directory="lxd",
    switch_key="security.devlxd",
    images_key="security.devlxd.images",
    reports_state=False,
    partial_fingerprints=True,
    location="none",
    answers_switched_off=frozenset({"/"}),
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
    root_first=True,
    answers_switched_off=frozenset(),
    metadata_header="",
    ssh_keys=True,
    bare_user_key=False,
    unknown_seed='"{key}" is not supported for "{type}"',
    checks_origin=True,
    ping_payload=b"",
    nic_updates=False,
    stopping="Process ID not found in container",
    idle_limit=30.0,
    body_limit=3.0,
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
