"""The instance as its host knows it, and all changes to it."""

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devlxdctl.simulator import ubuntu_pro
from devlxdctl.simulator.guest import Guest
from devlxdctl.simulator.profiles import CLOUD_INIT_KEYS, SSH_KEYS, Profile
from devlxdctl.simulator.storage.model import Identity

READY_KEY = "volatile.last_state.ready"
INSTANCE_ID_KEY = "volatile.cloud-init.instance-id"
GUEST_NAMESPACES = ("user.", "cloud-init.")
HOST_NAMESPACES = (
    *("agent.", "boot.", "cluster.", "environment.", "image.", "limits.", "linux.", "migration."),
    *("nvidia.", "oci.", "placement.", "raw.", "security.", "smbios11.", "snapshots.", "systemd."),
    *("ubuntu_pro.", "volatile."),
)
INSTANCE_ID_SOURCES = CLOUD_INIT_KEYS | {"user.network-config", "user.user-data", "user.vendor-data"}
"""Config keys whose change gives the instance a new instance-id."""


class Refused(ValueError):
    """The host refuses an operation; the text is its error message."""


@dataclass(frozen=True)
class Change:
    """A change that listeners receive: an event without its timestamp."""

    type: str
    """config or device"""
    metadata: Mapping[str, object]


class Instance:
    """The state of one instance. `publish` is called once per update with the changes that cause events."""

    def __init__(self, guest: Guest, profile: Profile, publish: Callable[[list[Change]], None]) -> None:
        self.name = guest.name
        self.type = guest.type
        self.profile = profile
        self.location = guest.location if profile.location is None else profile.location
        self.config = dict(guest.config)
        self.devices = {name: dict(device) for name, device in guest.devices.items()}
        self.tokens = dict(guest.tokens)
        self.identities = {
            token: guest.identities.get(token) or Identity.with_all_entitlements(token)
            for token, state in guest.tokens.items()
            if state == "trusted"
        }
        self._host_pro = guest.pro
        self.images = guest.images
        self._publish = publish
        if guest.instance_id is not None:
            self.config[INSTANCE_ID_KEY] = guest.instance_id
        self.config.setdefault(INSTANCE_ID_KEY, str(uuid.uuid4()))
        # The guest file may show a running instance; this one has just started and is not Ready.
        self.config.pop(READY_KEY, None)

    @property
    def ready(self) -> bool | None:
        """The state that the guest reported; None if it reported none, or the host lost it."""
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
        """The setting for attaching the guest to Ubuntu Pro: off, available or on."""
        return ubuntu_pro.effective_setting(self._host_pro, self.config.get(ubuntu_pro.INSTANCE_KEY, ""))

    def set_ready(self, ready: bool | None) -> None:
        """Store the state that the guest reported; None removes it, as a restart of the daemon does."""
        if ready is None:
            self.config.pop(READY_KEY, None)
        else:
            self.config[READY_KEY] = str(ready).lower()

    def set_config(self, changes: Mapping[str, str]) -> None:
        """Set all these keys in one update; an empty value removes its key. Raises Refused."""
        for key in changes:
            self._check_key(key)
        published = []
        for key in random.sample(list(changes), len(changes)):
            old, new = self.config.get(key, ""), changes[key]
            if new:
                self.config[key] = new
            else:
                self.config.pop(key, None)
            if old == new:
                continue
            if key in INSTANCE_ID_SOURCES or key.startswith(SSH_KEYS):
                self.config[INSTANCE_ID_KEY] = str(uuid.uuid4())
            if key.startswith("user."):
                published.append(Change("config", {"key": key, "old_value": old, "value": new}))
        self._publish(published)

    def unset_config(self, key: str) -> None:
        """Remove a key; raises Refused if it is not set."""
        if key not in self.config:
            raise Refused(f"Can't unset key '{key}', it's not currently set")
        self.set_config({key: ""})

    def set_device(self, name: str, device: Mapping[str, str]) -> None:
        """Add or replace a device. Raises Refused."""
        if not name or not device.get("type"):
            raise Refused(f"device {name!r}: name and type are required")
        old, new = self.devices.get(name), dict(device)
        if old == new:
            return
        self.devices[name] = new
        if new["type"] == "nic" and "hwaddr" not in new:
            tail = ":".join(f"{random.randrange(256):02x}" for _ in range(3))
            self.config.setdefault(f"volatile.{name}.hwaddr", f"00:16:3e:{tail}")
        if old is None:
            self._publish([_device_change("added", name, new)])
        elif _only_limits_differ(old, new):
            self._publish([_device_change("updated", name, new)] if self.profile.nic_updates else [])
        else:
            self._publish([_device_change("removed", name, old), _device_change("added", name, new)])

    def remove_device(self, name: str) -> None:
        """Remove a device; raises Refused if it does not exist."""
        if name not in self.devices:
            raise Refused("Device doesn't exist")
        for key in ("hwaddr", "devlxd.owner"):
            self.config.pop(f"volatile.{name}.{key}", None)
        self._publish([_device_change("removed", name, self.devices.pop(name))])

    def guest_devices(self) -> dict[str, dict[str, str]]:
        """Return the devices as the guest sees them: a nic includes its generated address."""
        devices = {}
        for name, device in sorted(self.devices.items()):
            address = self.config.get(f"volatile.{name}.hwaddr")
            generated = {"hwaddr": address} if device.get("type") == "nic" and address else {}
            devices[name] = dict(sorted({**generated, **device}.items()))
        return devices

    def meta_data(self) -> str:
        """Return the meta-data for cloud-init."""
        return (
            f"{self.profile.metadata_header}instance-id: {self.config[INSTANCE_ID_KEY]}\n"
            f"local-hostname: {self.name}\n{self.config.get('user.meta-data', '')}"
        )

    def describe(self) -> dict[str, object]:
        """Return the whole state as a JSON object, including what the guest cannot see."""
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
            "images": [image.describe() for image in self.images],
        }

    def _flag(self, key: str, default: bool) -> bool:
        value = self.config.get(key, "").lower()
        return value in ("true", "1", "yes", "on") if value else default

    def _check_key(self, key: str) -> None:
        profile = self.profile
        if key.startswith(SSH_KEYS) and profile.ssh_keys and key != SSH_KEYS:
            return
        if key == "user." and not profile.empty_user_key:
            raise Refused(f'Invalid config: "{key}" requires a subkey')
        if key == "cloud-init.":
            raise Refused(f'Invalid config: Unknown configuration key: "{key}"')
        if key.startswith("cloud-init.") and key not in CLOUD_INIT_KEYS:
            reason = profile.unknown_cloud_init_key.format(key=key, type=self.type)
            raise Refused(f"Invalid config: {reason}")
        if not key.startswith((*GUEST_NAMESPACES, *HOST_NAMESPACES)):
            raise Refused(f'Invalid config: Unknown configuration key: "{key}"')


def _device_change(action: str, name: str, device: Mapping[str, str]) -> Change:
    config = dict(sorted(device.items()))
    return Change("device", {"action": action, "config": config, "name": name})


def _only_limits_differ(old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    different = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    return new["type"] == "nic" and all(key.startswith("limits.") for key in different)
