"""What to do about an error: one table of endpoint and cause, in the words of LXD or of Incus.

An endpoint is one of the names that `Client` passes with a request; `*` stands for any. A cause is the HTTP
status, or one of the words below for what happened before there was one. The same status means different
things at different endpoints: a 403 alone has six causes.
"""

from __future__ import annotations

import os
from typing import Final, Literal

Endpoint = Literal[
    "versions",
    "state",
    "ready",
    "config",
    "key",
    "devices",
    "events",
    "image",
    "metadata",
    "pro",
    "pro-token",
    "query",
]
Cause = Literal["absent", "agent", "denied", "ignored", "partial", "private", "refused", "silent", "token"]

_HINTS: Final[dict[tuple[Endpoint | Literal["*"], Cause | int], str]] = {
    ("*", "absent"): "is this a guest of LXD or Incus? If it is, on the host: "
    "{client} config set INSTANCE {switch}=true",
    ("*", "agent"): "this is a virtual machine whose agent has not started: systemctl status {agent}",
    ("*", "denied"): "only root may use it: sudo devlxdctl …",
    ("*", "refused"): "the daemon of the host is down or starting; on the host: {client} info",
    ("*", "silent"): "the daemon of the host hangs; on the host: {client} info",
    ("*", "token"): "the bearer token has expired or was revoked; on the host: "
    "lxc auth identity token issue devlxd/NAME. Or the devLXD API is switched off: "
    "{client} config set INSTANCE {switch}=true",
    ("*", 401): "only root may use it: sudo devlxdctl …",
    ("*", 403): "the devLXD API is switched off; on the host: {client} config set INSTANCE {switch}=true",
    ("*", 404): "the {product} of this host does not offer it: upgrade the host",
    ("*", 500): "a process in a container inside this guest is not known to the host: run it in the guest "
    "itself. Otherwise look at the daemon; on the host: {client} info",
    ("image", "partial"): "on the host, this shows the whole of it: {client} image list --columns lF",
    ("image", "private"): "guests get public images only; on the host, this says whether it is one: "
    "{client} image show {key}",
    ("image", 403): "on the host: {client} config set INSTANCE {switch}.images=true",
    ("key", 403): "guests can read user.* and cloud-init.* only",
    ("key", 404): "on the host: {client} config set INSTANCE {key}=VALUE",
    ("query", 403): "it may take a bearer token that the host trusts: devlxdctl query --token-file FILE …. "
    "Or the devLXD API is switched off; on the host: {client} config set INSTANCE {switch}=true",
    ("ready", "ignored"): "the {product} of this host knows no readiness: upgrade the host",
    ("pro", 404): "newer LXD offers Ubuntu Pro to its guests; Incus does not",
    ("pro-token", 403): "on the host: pro config set lxd_guest_attach=available, and: "
    "{client} config set INSTANCE ubuntu_pro.guest_attach=available",
    ("pro-token", 404): "newer LXD offers Ubuntu Pro to its guests; Incus does not",
    ("pro-token", 500): "the host could not get one; on the host: pro status",
}
# These three say the same: the endpoint is not there.
_SAME: Final = {405: 404, 501: 404, 502: 500, 503: 500, 504: 500}

_WORDS: Final = {
    "lxd": {"product": "LXD", "client": "lxc", "switch": "security.devlxd", "agent": "lxd-agent"},
    "incus": {"product": "Incus", "client": "incus", "switch": "security.guestapi", "agent": "incus-agent"},
}


def words_for(socket: str) -> dict[str, str]:
    """The words for the host behind `socket`: Incus's if its real path is in a directory named `incus`.

    The virtual machines of Incus have `/dev/lxd` as a link to `/dev/incus`, so the real path decides.
    """
    directory = os.path.basename(os.path.dirname(os.path.realpath(socket)))
    return _WORDS["incus" if directory == "incus" else "lxd"]


def hint(socket: str, endpoint: Endpoint, cause: Cause | int, *, key: str = "") -> str | None:
    """What to do about `cause` at `endpoint`, or None where there is no advice."""
    if isinstance(cause, int):
        cause = _SAME.get(cause, cause)
    if cause == "token" and (endpoint, 403) in _HINTS:
        cause = 403
    text = _HINTS.get((endpoint, cause)) or _HINTS.get(("*", cause))
    if endpoint == "key" and cause in (403, 404) and not key.startswith(("user.", "cloud-init.")):
        text = "did you mean user.{key}?"
    return text.format(**words_for(socket), key=key) if text else None
