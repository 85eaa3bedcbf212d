"""The instance as its host has it, and everything that changes it."""

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devlxdctl.simulator import pro
from devlxdctl.simulator.guest import Guest
from devlxdctl.simulator.profiles import SEED_KEYS, SSH_KEYS, Profile

READY_KEY = "volatile.last_state.ready"
INSTANCE_ID_KEY = "volatile.cloud-init.instance-id"
GUEST_NAMESPACES = ("user.", "cloud-init.")
HOST_NAMESPACES = (
    *("agent.", "boot.", "cluster.", "environment.", "image.", "limits.", "linux.", "migration."),
    *("nvidia.", "oci.", "placement.", "raw.", "security.", "smbios11.", "snapshots.", "systemd."),
    *("ubuntu_pro.", "volatile."),
)
SEEDS = SEED_KEYS | {"user.network-config", "user.user-data", "user.vendor-data"}
"""A change of any of these gives the instance a new instance-id."""


class Refused(ValueError):
    """The host refuses to do this; the text says why."""


@dataclass(frozen=True)
class Change:
    """A change that listeners are told of: an event without its timestamp."""

    type: str
    """config or device"""
    metadata: Mapping[str, object]


class Instance:
    """The state of one instance; `changed` is called once per update, with the changes it makes known."""

    def __init__(self, guest: Guest, profile: Profile, changed: Callable[[list[Change]], None]) -> None:
        self.name = guest.name
        self.type = guest.type
        self.profile = profile
        self.location = guest.location if profile.location is None else profile.location
        self.config = dict(guest.config)
        self.devices = {name: dict(device) for name, device in guest.devices.items()}
        self.tokens = dict(guest.tokens)
        self._host_pro = guest.pro
        self.images = guest.images
        self._changed = changed
        if guest.instance_id is not None:
            self.config[INSTANCE_ID_KEY] = guest.instance_id
        self.config.setdefault(INSTANCE_ID_KEY, str(uuid.uuid4()))
        # The file may be of an instance that runs; a started one was never ready.
        self.config.pop(READY_KEY, None)

    @property
    def ready(self) -> bool | None:
        """What the host knows: None until the guest said something, or where it cannot."""
        return {"true": True, "false": False}.get(self.config.get(READY_KEY, ""))

    @property
    def api_on(self) -> bool:
        """Whether the guest API is switched on."""
        return self._flag(self.profile.switch_key, True)

    @property
    def images_on(self) -> bool:
        """Whether the guest may export images."""
        return self._flag(self.profile.images_key, False)

    @property
    def pro(self) -> str:
        """Whether the guest may be attached to Ubuntu Pro: off, available or on."""
        return pro.effective(self._host_pro, self.config.get(pro.INSTANCE_KEY, ""))

    def set_ready(self, ready: bool | None) -> None:
        """What the guest said; None forgets it, as a restart of the daemon does."""
        if ready is None:
            self.config.pop(READY_KEY, None)
        else:
            self.config[READY_KEY] = str(ready).lower()

    def set_config(self, changes: Mapping[str, str]) -> None:
        """Set all these keys in one update; an empty value removes its key. Raises Refused."""
        for key in changes:
            self._check_key(key)
        told = []
        for key in random.sample(list(changes), len(changes)):
            old, new = self.config.get(key, ""), changes[key]
            if new:
                self.config[key] = new
            else:
                self.config.pop(key, None)
            if old == new:
                continue
            if key in SEEDS or key.startswith(SSH_KEYS):
                self.config[INSTANCE_ID_KEY] = str(uuid.uuid4())
            if key.startswith("user."):
                told.append(Change("config", {"key": key, "old_value": old, "value": new}))
        self._changed(told)

    def unset_config(self, key: str) -> None:
        """Remove a key; raises Refused where it is not set."""
        if key not in self.config:
            raise Refused(f"Can't unset key '{key}', it's not currently set")
        self.set_config({key: ""})

    def set_device(self, name: str, device: Mapping[str, str]) -> None:
        """Add a device, or replace one by this one. Raises Refused."""
        if not name or not device.get("type"):
            raise Refused(f"device {name!r}: it needs a name and a type")
        old, new = self.devices.get(name), dict(device)
        if old == new:
            return
        self.devices[name] = new
        if new["type"] == "nic" and "hwaddr" not in new:
            tail = ":".join(f"{random.randrange(256):02x}" for _ in range(3))
            self.config.setdefault(f"volatile.{name}.hwaddr", f"00:16:3e:{tail}")
        if old is None:
            self._changed([_device_change("added", name, new)])
        elif _only_limits_differ(old, new):
            self._changed([_device_change("updated", name, new)] if self.profile.nic_updates else [])
        else:
            self._changed([_device_change("removed", name, old), _device_change("added", name, new)])

    def remove_device(self, name: str) -> None:
        """Remove a device; raises Refused where there is none of this name."""
        if name not in self.devices:
            raise Refused("Device doesn't exist")
        self.config.pop(f"volatile.{name}.hwaddr", None)
        self._changed([_device_change("removed", name, self.devices.pop(name))])

    def guest_devices(self) -> dict[str, dict[str, str]]:
        """The devices as the guest sees them: a nic has the address that the host made up for it."""
        seen = {}
        for name, device in sorted(self.devices.items()):
            address = self.config.get(f"volatile.{name}.hwaddr")
            added = {"hwaddr": address} if device.get("type") == "nic" and address else {}
            seen[name] = dict(sorted({**added, **device}.items()))
        return seen

    def meta_data(self) -> str:
        """What cloud-init gets."""
        return (
            f"{self.profile.metadata_header}instance-id: {self.config[INSTANCE_ID_KEY]}\n"
            f"local-hostname: {self.name}\n{self.config.get('user.meta-data', '')}"
        )

    def as_host_sees_it(self) -> dict[str, object]:
        """The whole state as a JSON object, what the guest must not see included."""
        return {
            "name": self.name,
            "type": self.type,
            "profile": self.profile.name,
            "location": self.location,
            "instance_id": self.config[INSTANCE_ID_KEY],
            "ready": self.ready,
            "enabled": self.api_on,
            "config": dict(sorted(self.config.items())),
            "devices": dict(sorted(self.devices.items())),
            "images": [image.as_host_sees_it() for image in self.images],
        }

    def _flag(self, key: str, default: bool) -> bool:
        value = self.config.get(key, "").lower()
        return value in ("true", "1", "yes", "on") if value else default

    def _check_key(self, key: str) -> None:
        if key.startswith(SSH_KEYS) and self.profile.ssh_keys and key != SSH_KEYS:
            return
        if key == "user." and not self.profile.bare_user_key:
            raise Refused(f'Invalid config: "{key}" requires a subkey')
        if key == "cloud-init.":
            raise Refused(f'Invalid config: Unknown configuration key: "{key}"')
        if key.startswith("cloud-init.") and key not in SEED_KEYS:
            raise Refused(f"Invalid config: {self.profile.unknown_seed.format(key=key, type=self.type)}")
        if not key.startswith((*GUEST_NAMESPACES, *HOST_NAMESPACES)):
            raise Refused(f'Invalid config: Unknown configuration key: "{key}"')


def _device_change(action: str, name: str, device: Mapping[str, str]) -> Change:
    config = dict(sorted(device.items()))
    return Change("device", {"action": action, "config": config, "name": name})


def _only_limits_differ(old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    different = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    return new["type"] == "nic" and all(key.startswith("limits.") for key in different)
