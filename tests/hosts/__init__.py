"""Real hosts to test against: a LXD and an Incus of this machine's own, each with one guest."""

from .base import PROGRAM, Host, HostError, Result
from .daemon import DaemonHost, available, incus, lxd
from .jobs import Job

__all__ = ["PROGRAM", "DaemonHost", "Host", "HostError", "Job", "Result", "available", "incus", "lxd"]
