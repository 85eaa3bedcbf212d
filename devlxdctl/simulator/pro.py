"""Ubuntu Pro as LXD 6 hands it on to its guests."""

import secrets
import time
import uuid

from devlxdctl.simulator import golang

SETTINGS = ("off", "available", "on")
INSTANCE_KEY = "ubuntu_pro.guest_attach"
NOT_ALLOWED = "Failed getting an Ubuntu Pro guest token: Guest attachment not allowed"
_LIFE = 3600
"""Seconds that a token is good for."""


def effective(host: str, instance: str) -> str:
    """What holds for a guest: where the host's setting is off, it is off; else the instance's goes first."""
    return host if host == "off" or instance not in SETTINGS else instance


def new_token() -> dict[str, str]:
    """A token as the host issues it."""
    return {
        "expires": golang.timestamp((int(time.time()) + _LIFE) * 10**9),
        "guest_token": f"C1{secrets.token_hex(14)}",
        "id": str(uuid.uuid4()),
    }
