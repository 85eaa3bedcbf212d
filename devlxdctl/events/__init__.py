"""Events of the host, and what depends on changes: watching, waiting, holding Ready."""

from __future__ import annotations

from devlxdctl.events.stream import Dropped, Event, EventStream, Gap
from devlxdctl.events.watch import Change

__all__ = ["Change", "Dropped", "Event", "EventStream", "Gap"]
