"""What hosts do differently, and what the program therefore shall say: the one place for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """One kind of host, as measured."""

    client: str = "lxc"
    """What its administrators type."""
    product: str = "LXD"
    switch: str = "security.devlxd"
    state: str = "Started"
    """`state` at first; "" where there is no readiness, and PATCH is answered with 200 and ignored."""
    more_fields: tuple[str, ...] = ()
    """Of GET /1.0, after `location`."""
    forbidden: str = "not authorized"
    takes_ssh_keys: bool = False
    """`cloud-init.ssh-keys.*` can be set; they are not listed, but can be read."""


_LXD_5_0 = Expected(state="")
_LXD_6 = Expected(
    forbidden="Forbidden", more_fields=("auth", "supported_storage_drivers"), takes_ssh_keys=True
)
_INCUS = Expected(client="incus", product="Incus", switch="security.guestapi")

EXPECTED = {
    "lxd": _LXD_5_0,
    "incus": _INCUS,
    "simulated lxd-5.0": _LXD_5_0,
    "simulated lxd-6": _LXD_6,
    "simulated incus": _INCUS,
}
