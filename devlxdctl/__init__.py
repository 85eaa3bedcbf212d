"""A typed client for the devLXD API, which LXD and Incus hosts offer inside their guests.

>>> from devlxdctl import Client
>>> with Client() as client:
...     role = client.config_value("user.role")

The names below are loaded on first use: importing the package costs nothing, and needs no socket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devlxdctl.client import Client
    from devlxdctl.doctor import Check, examine
    from devlxdctl.errors import (
        BadData,
        DevLXDError,
        ExitStatus,
        InvalidRequest,
        NoHost,
        NotFound,
        NotPermitted,
        NotSupported,
        TimedOut,
        UnexpectedAnswer,
        Unreachable,
    )
    from devlxdctl.images import Export, ExportedFile
    from devlxdctl.models import Device, ProSettings, ProToken, State
    from devlxdctl.query import Query, Reply
    from devlxdctl.tokens import TokenFile

__version__ = "0.1.0"

__all__ = [
    "BadData",
    "Check",
    "Client",
    "DevLXDError",
    "Device",
    "ExitStatus",
    "Export",
    "ExportedFile",
    "InvalidRequest",
    "NoHost",
    "NotFound",
    "NotPermitted",
    "NotSupported",
    "ProSettings",
    "ProToken",
    "Query",
    "Reply",
    "State",
    "TimedOut",
    "TokenFile",
    "UnexpectedAnswer",
    "Unreachable",
    "__version__",
    "examine",
]

_HOMES = {
    "Check": "doctor",
    "Client": "client",
    "Device": "models",
    "Export": "images",
    "ExportedFile": "images",
    "ProSettings": "models",
    "ProToken": "models",
    "Query": "query",
    "Reply": "query",
    "State": "models",
    "TokenFile": "tokens",
    "examine": "doctor",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
