"""A typed client for the devLXD API, which LXD and Incus hosts offer inside their guests.

>>> from devlxdctl import Client
>>> with Client() as client:
...     role = client.config_get("user.role")

The public names are those in the `__all__` of the modules below. They are imported on first use: importing
the package itself costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devlxdctl._version import __version__ as __version__

if TYPE_CHECKING:
    from devlxdctl.atomic_files import *
    from devlxdctl.client import *
    from devlxdctl.config.bursts import *
    from devlxdctl.config.environment import *
    from devlxdctl.config.files import *
    from devlxdctl.config.template import *
    from devlxdctl.doctor.report import *
    from devlxdctl.errors import *
    from devlxdctl.events.stream import *
    from devlxdctl.events.watch import *
    from devlxdctl.guest import *
    from devlxdctl.http.raw import *
    from devlxdctl.http.tokens import *
    from devlxdctl.images.export import *
    from devlxdctl.models import *
    from devlxdctl.volumes.names import *
    from devlxdctl.volumes.operation import *

_PUBLIC_MODULES = (
    *("errors", "atomic_files", "models", "config.environment", "guest", "http.tokens", "client"),
    *("config.template", "config.files", "http.raw", "volumes.names", "volumes.operation"),
    *("events.stream", "events.watch", "config.bursts", "images.export", "doctor.report"),
)
"""In the order in which `__getattr__` looks: the modules that are cheap to import come first."""


def __getattr__(name: str) -> Any:
    # Without this, asking for `__path__` and the like would import everything.
    if not name.startswith("_"):
        from importlib import import_module

        for module in _PUBLIC_MODULES:
            home = import_module(f"{__name__}.{module}")
            if name in home.__all__:
                return getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    from importlib import import_module

    modules = (import_module(f"{__name__}.{module}") for module in _PUBLIC_MODULES)
    return sorted({"__version__", *(name for module in modules for name in module.__all__)})
