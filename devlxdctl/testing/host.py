"""A simulated host for one `with` block of a test, and what the test can do with it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest

if TYPE_CHECKING:
    from devlxdctl.simulator import Simulator

_PATH_LIMIT = 107
"""The maximum length in bytes of a Unix socket's path."""
_LONGEST_NAME = "/devlxd-xxxxxxxx/incus/sock.control"
"""The longest path of a socket in the temporary directory."""


class Request(NamedTuple):
    """A request that the host received, for comparisons such as `("GET", "/1.0") in host.requests`."""

    method: str
    path: str
    """The path as sent, percent-encoded, with its query."""


class SimulatedHost:
    """A running simulated host with one instance: the guest that the test's program runs in.

    Methods change the instance as `lxc config` does on a real host, and return when it is done. They raise
    ValueError, with the host's message, where a real host refuses.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def __repr__(self) -> str:
        return f"<SimulatedHost at {self.socket}>"

    @property
    def socket(self) -> Path:
        """The path of the host's socket, which is also in DEVLXD_SOCKET."""
        return self._simulator.path

    @property
    def ready(self) -> bool | None:
        """The state that the guest reported: True for Ready, False for Started.

        None if it reported none. A restart of the daemon loses the state. LXD 5.0 does not support states.
        """
        return self._simulator.ready

    @property
    def requests(self) -> list[Request]:
        """The requests that the host received so far, oldest first."""
        return [Request(method, path) for method, path, _ in self._simulator.requests]

    def set(self, changes: Mapping[str, str]) -> None:
        """Set config keys in one update. An empty value removes its key."""
        self._simulator.set(changes)

    def unset(self, key: str) -> None:
        """Remove a config key. A key that is not set is an error."""
        self._simulator.unset(key)

    def device(self, name: str, config: Mapping[str, str]) -> None:
        """Add a device, or replace the one with this name. `config` must have a `type`."""
        self._simulator.device(name, config)

    def remove_device(self, name: str) -> None:
        """Remove a device."""
        self._simulator.remove_device(name)

    def switch(self, on: bool) -> None:
        """Switch the guest API on or off, as `security.devlxd` (LXD) or `security.guestapi` (Incus) does."""
        self._simulator.switch(on)

    def restart(self, down: float = 1.0, *, wait: bool = True) -> None:
        """Restart the host's daemon.

        Connections break and the socket is missing for `down` seconds. Shortly after the daemon responds
        again, it loses the state Ready. With `wait`, return after that; else return at once.
        """
        self._simulator.restart(down, wait=wait)


class SimulatedHostFactory(Protocol):
    """The type of the fixture `devlxd_host`."""

    def __call__(
        self,
        *,
        config: Mapping[str, str] | None = None,
        devices: Mapping[str, Mapping[str, str]] | None = None,
        guest: str | os.PathLike[str] | None = None,
        profile: str = "lxd-6",
        faults: Iterable[str] = (),
    ) -> AbstractContextManager[SimulatedHost]:
        """Start a host, and stop it at the end of the `with` block.

        - config: the instance's config keys and their values. Guests can read those that begin with `user.`
          or `cloud-init.`.
        - devices: the instance's devices by name. Each needs a `type`.
        - guest: instead of these two, a file with the output of `lxc config show --expanded INSTANCE`. It can
          also have images and tokens; see devlxd-simulator(1).
        - profile: the kind of host: "lxd-5.0", "lxd-6" or "incus".
        - faults: what goes wrong, as for the option `--fault` of devlxd-simulator, such as "boot-500=2".

        Raises TypeError for a value that is not a string, and ValueError for other invalid arguments. Fails
        the test if the extra `testing` is not installed.
        """
        ...


@contextmanager
def simulated_host(
    *,
    config: Mapping[str, str] | None = None,
    devices: Mapping[str, Mapping[str, str]] | None = None,
    guest: str | os.PathLike[str] | None = None,
    profile: str = "lxd-6",
    faults: Iterable[str] = (),
) -> Iterator[SimulatedHost]:
    """Start a host, and stop it at the end of the `with` block; see `SimulatedHostFactory`."""
    try:
        from devlxdctl.simulator import Simulator
        from devlxdctl.simulator.guest import Guest
        from devlxdctl.simulator.profiles import PROFILES
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "devlxdctl":
            raise
        pytest.fail(
            f"devlxd_host: {error.name} is not installed: pip install 'devlxdctl[testing]'", pytrace=False
        )
    if guest is not None and (config is not None or devices is not None):
        raise ValueError("guest: cannot be combined with config or devices")
    if profile not in PROFILES:
        raise ValueError(f"profile: unknown value {profile!r}; known values: {', '.join(PROFILES)}")
    config, devices = config or {}, devices or {}
    _check(config, devices)
    with tempfile.TemporaryDirectory(prefix="devlxd-", dir=_temporary_directory()) as directory:
        Path(directory).chmod(0o755)  # programs that the test starts as another user can connect
        path = Path(directory) / PROFILES[profile].directory / "sock"
        instance = Guest(config=config, devices=devices) if guest is None else guest
        with Simulator(path, instance, profile, faults) as simulator:
            with pytest.MonkeyPatch.context() as environment:
                environment.setenv("DEVLXD_SOCKET", str(path))
                yield SimulatedHost(simulator)


def _check(config: Mapping[str, str], devices: Mapping[str, Mapping[str, str]]) -> None:
    """Check what a guest file's parser checks in a file."""
    for where, mapping in {
        "config": config,
        **{f"devices: {name}": devices[name] for name in devices},
    }.items():
        for key, value in mapping.items():
            if not isinstance(value, str):
                raise TypeError(f"{where}: {key}: expected a string, got {value!r}")
    for name, device in devices.items():
        if not device.get("type"):
            raise ValueError(f"devices: {name}: has no type")


def _temporary_directory() -> str:
    """The usual temporary directory, or /tmp if a socket's path there would be too long."""
    directory = tempfile.gettempdir()
    return directory if len(os.fsencode(directory + _LONGEST_NAME)) <= _PATH_LIMIT else "/tmp"
