"""How hosts differ, and so the output of devlxdctl."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """One kind of host, as measured.

    * `client`: the command of its administrators.
    * `api_key`: the config key that switches the guest API.
    * `generation`: the suffix that `doctor` adds to the product.
    * `initial_state`: the field `state` of a new guest. It is "" on hosts without readiness, which answer a
      PATCH with status 200 and ignore it.
    * `extra_fields`: the fields of the state after `location`.
    * `forbidden`: the text of a response with status 403.
    * `accepts_ssh_keys`: `cloud-init.ssh-keys.*` can be set. They can be read, but are not listed.
    * `has_pro`: Ubuntu Pro can be attached.
    """

    client: str = "lxc"
    product: str = "LXD"
    api_key: str = "security.devlxd"
    generation: str = ""
    initial_state: str = "Started"
    extra_fields: tuple[str, ...] = ()
    forbidden: str = "not authorized"
    accepts_ssh_keys: bool = False
    has_pro: bool = False

    @property
    def has_readiness(self) -> bool:
        return self.initial_state != ""


_LXD_5_0 = Expected(initial_state="", generation=" 5.0")
_LXD_6 = Expected(
    generation=" 6",
    extra_fields=("auth", "supported_storage_drivers"),
    forbidden="Forbidden",
    accepts_ssh_keys=True,
    has_pro=True,
)
_INCUS = Expected(client="incus", product="Incus", api_key="security.guestapi")

EXPECTED = {
    "lxd": _LXD_5_0,
    "incus": _INCUS,
    "simulated lxd-5.0": _LXD_5_0,
    "simulated lxd-6": _LXD_6,
    "simulated incus": _INCUS,
}
"""By the name of the host."""
