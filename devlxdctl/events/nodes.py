"""Waiting for a device to appear in the guest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from devlxdctl.errors import NotFound, TimedOut
from devlxdctl.events.watch import wait_for_device
from devlxdctl.guest import NODE_TYPES, find_node
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session
from devlxdctl.models import Device

_PAUSE: Final = 0.1  # seconds between two looks at the guest: udev sends events to root only
_REREAD_INTERVAL: Final = 5.0  # seconds after which the device is read again: it can be removed meanwhile


def wait_for_node(
    session: Session,
    read_devices: Callable[[RetryPolicy], Mapping[str, Device]],
    name: str,
    timeout: float | None,
) -> str:
    """See `Client.wait_for_node`."""
    end = None if timeout is None else time.monotonic() + timeout
    devices: dict[str, Device] = {}

    def read(retry: RetryPolicy) -> Mapping[str, Device]:
        devices.clear()
        devices.update(read_devices(retry))
        return devices

    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        device = wait_for_device(session, read, name, False, left)
        assert device is not None
        if device.get("type") not in NODE_TYPES:
            raise NotFound(name, f"devices of type {device.get('type')} have no node")
        until = time.monotonic() + _REREAD_INTERVAL
        while time.monotonic() < until:
            node = find_node(name, device, names=devices)
            if node is not None:
                return node
            if end is not None and time.monotonic() >= end:
                raise TimedOut(name, f"device has no node after {timeout:g} s")
            time.sleep(_PAUSE)
