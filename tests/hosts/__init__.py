"""Real hosts for tests: a LXD and an Incus, isolated from any other on this machine, each with one guest."""

from tests.support.program import Result

from .base import Host, HostError, StopSignal
from .daemon import DaemonHost, incus, lxd
from .jobs import Job
from .software import INCUS, LXD, Software, unavailable_reason

__all__ = [
    "INCUS",
    "LXD",
    "DaemonHost",
    "Host",
    "HostError",
    "Job",
    "Result",
    "Software",
    "StopSignal",
    "incus",
    "lxd",
    "unavailable_reason",
]
