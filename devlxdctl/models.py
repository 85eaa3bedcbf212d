"""The shapes of what hosts say. Hosts add fields as they grow: what is handed out is always all of it."""

from __future__ import annotations

from typing import Literal, TypedDict


class State(TypedDict, total=False):
    """`GET /1.0`: the instance as its host sees it."""

    state: Literal["Started", "Ready", ""]
    """Empty on hosts that know no readiness (LXD 5.0)."""
    api_version: str
    instance_type: Literal["container", "virtual-machine"]
    location: str
    """Name of the host or cluster member; "none" on LXD 5.0."""
    auth: Literal["trusted", "untrusted"]
    """Whether the host trusts the bearer token of this request. LXD 6 only."""
    supported_storage_drivers: list[object]
    """LXD 6 only."""


class ProSettings(TypedDict, total=False):
    """`GET /1.0/ubuntu-pro`: whether this guest may be attached to the Ubuntu Pro of its host. LXD 6 only."""

    guest_attach: Literal["off", "on", "available"]
    """"on": the Ubuntu Pro client of the guest attaches by itself; "available": when it is told to."""


class ProToken(TypedDict, total=False):
    """`POST /1.0/ubuntu-pro/token`: a secret, to be attached with. LXD 6 only."""

    expires: str
    """RFC 3339."""
    guest_token: str
    id: str


Device = dict[str, str]
"""One of `GET /1.0/devices`: its options as configured on the host, `type` among them."""
