"""The guest file, in the format of `lxc config show --expanded INSTANCE`.

A section `simulator:` adds what that output lacks. `storage.guest_file` documents its parts for storage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import yaml

from devlxdctl.simulator.images import Image, make_image
from devlxdctl.simulator.os_errors import os_reason
from devlxdctl.simulator.storage.guest_file import parse_identities, parse_operations, parse_pools
from devlxdctl.simulator.storage.model import Identity, OperationPlan, Pool
from devlxdctl.simulator.yaml_values import check_choice, check_keys, items, mapping, strings, text

INSTANCE_TYPES = ("container", "virtual-machine")
SIMULATOR_KEYS = (
    *("identities", "images", "instance_id", "location", "name"),
    *("operations", "pools", "pro", "tokens", "type"),
)
_CHOICES = {"pro": ("off", "available", "on"), "type": INSTANCE_TYPES}
_TOKEN_STATES = ("trusted", "expired", "wrong")


class GuestFileError(ValueError):
    """An invalid guest file; the text is `FILE: REASON`."""


@dataclass(frozen=True)
class Guest:
    """An instance at its start, with profiles applied and all values as strings."""

    config: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    name: str = "guest"
    type: str = "container"
    location: str = "simulator"
    instance_id: str | None = None
    """None: the value of `volatile.cloud-init.instance-id`, else a new id."""
    pro: str = "off"
    """The host's setting for attaching guests to Ubuntu Pro."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Bearer tokens and their states: trusted, expired, or wrong (invalid signature)."""
    identities: Mapping[str, Identity] = field(default_factory=dict)
    """The identities of trusted tokens. A trusted token without one has all entitlements."""
    pools: Mapping[str, Pool] = field(default_factory=dict)
    """Storage pools and their volumes, by name."""
    operations: Mapping[str, OperationPlan] = field(default_factory=dict)
    """How storage operations go, by kind. The default: they succeed at once."""
    images: tuple[Image, ...] = ()


def default_guest() -> Guest:
    """Return the guest that is used without a guest file."""
    file = resources.files("devlxdctl.simulator") / "default-guest.yaml"
    return parse_guest(file.read_text(encoding="utf-8"), "default-guest.yaml")


def read_guest(path: Path) -> Guest:
    """Read a guest file; raises GuestFileError."""
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise GuestFileError(f"{path}: {os_reason(error)}") from error
    except UnicodeDecodeError as error:
        raise GuestFileError(f"{path}: not valid UTF-8 at byte {error.start}") from error
    return parse_guest(content, str(path), path.parent)


def parse_guest(content: str, origin: str, directory: Path = Path()) -> Guest:
    """Parse the text of a guest file; raises GuestFileError.

    `origin` is the file's name for error messages. Relative paths of images start at `directory`.
    """
    try:
        # BaseLoader keeps scalars as written: `8080`, `yes` and `1.10` are strings on a host.
        document: object = yaml.load(content, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise GuestFileError(f"{origin}{line}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise GuestFileError(f"{origin}: {' '.join(str(error).split())}") from error
    try:
        return _guest(document, directory)
    except ValueError as error:
        raise GuestFileError(f"{origin}: {error}") from error


def _guest(document: object, directory: Path) -> Guest:
    top = mapping(document, "the file")
    if not top.keys() & {"config", "devices", "simulator"}:
        raise ValueError("no config and no devices; expected the output of `lxc config show --expanded`")
    config = strings(top.get("config", ""), "config")
    devices = {
        name: strings(device, f"devices: {name}")
        for name, device in mapping(top.get("devices", ""), "devices").items()
    }
    for name, device in devices.items():
        if "type" not in device:
            raise ValueError(f"devices: {name}: type is missing")
    section = mapping(top.get("simulator", ""), "simulator")
    check_keys(section, SIMULATOR_KEYS, "simulator")
    images = _images(section.pop("images", ""), directory)
    tokens = strings(section.pop("tokens", ""), "simulator: tokens")
    for state in tokens.values():
        check_choice(state, _TOKEN_STATES, "simulator: tokens")
    identities = {
        token: Identity.with_all_entitlements(token) for token, state in tokens.items() if state == "trusted"
    }
    identities |= parse_identities(section.pop("identities", ""), "simulator: identities")
    tokens |= dict.fromkeys(identities, "trusted")
    pools = {device["pool"]: Pool(device["pool"]) for device in devices.values() if device.get("pool")}
    pools |= parse_pools(section.pop("pools", ""), identities, "simulator: pools")
    operations = parse_operations(section.pop("operations", ""), "simulator: operations")
    extra = strings(section, "simulator")
    for key, choices in _CHOICES.items():
        check_choice(extra.get(key, choices[0]), choices, f"simulator: {key}")
    if "name" in top:
        extra.setdefault("name", text(top["name"], "name"))
    return Guest(
        config=config,
        devices=devices,
        tokens=tokens,
        identities=identities,
        pools=pools,
        operations=operations,
        images=images,
        **extra,
    )


def _images(entries: object, directory: Path) -> tuple[Image, ...]:
    images = []
    for number, entry in enumerate(items(entries, "simulator: images"), 1):
        place = f"simulator: images: entry {number}"
        description = strings(entry, place)
        try:
            images.append(make_image(description, directory))
        except OSError as error:
            raise ValueError(f"{place}: {error.filename}: {os_reason(error)}") from error
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
    return tuple(images)
