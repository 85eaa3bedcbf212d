"""Ubuntu Pro as LXD 6 passes it on to its guests."""

import secrets
import time
import uuid

from devlxdctl.simulator import go_json

SETTINGS = ("off", "available", "on")
INSTANCE_KEY = "ubuntu_pro.guest_attach"
NOT_ALLOWED = "Failed getting an Ubuntu Pro guest token: Guest attachment not allowed"
_TOKEN_LIFETIME = 3600
"""Seconds that a token is valid."""


def effective_setting(host: str, instance: str) -> str:
    """Return the setting for a guest: off if the host's is off, else the instance's, else the host's."""
    return host if host == "off" or instance not in SETTINGS else instance


def new_token() -> dict[str, str]:
    """Issue a token as the host does."""
    return {
        "expires": go_json.timestamp((int(time.time()) + _TOKEN_LIFETIME) * 10**9),
        "guest_token": f"C1{secrets.token_hex(14)}",
        "id": str(uuid.uuid4()),
    }
