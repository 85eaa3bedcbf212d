"""The guest file, in the format of `lxc config show --expanded INSTANCE`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import yaml

from devlxdctl.simulator.images import Image, make_image
from devlxdctl.simulator.os_errors import os_reason

INSTANCE_TYPES = ("container", "virtual-machine")
SIMULATOR_KEYS = ("images", "instance_id", "location", "name", "pools", "pro", "tokens", "type")
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
    pools: Mapping[str, str] = field(default_factory=dict)
    """Storage pools and their drivers."""
    images: tuple[Image, ...] = ()


def default_guest() -> Guest:
    """Return the guest that is used without a guest file."""
    file = resources.files("devlxdctl.simulator") / "default-guest.yaml"
    return parse_guest(file.read_text(encoding="utf-8"), "default-guest.yaml")


def read_guest(path: Path) -> Guest:
    """Read a guest file; raises GuestFileError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise GuestFileError(f"{path}: {os_reason(error)}") from error
    except UnicodeDecodeError as error:
        raise GuestFileError(f"{path}: not valid UTF-8 at byte {error.start}") from error
    return parse_guest(text, str(path), path.parent)


def parse_guest(text: str, origin: str, directory: Path = Path()) -> Guest:
    """Parse the text of a guest file; raises GuestFileError.

    `origin` is the file's name for error messages. Relative paths of images start at `directory`.
    """
    try:
        # BaseLoader keeps scalars as written: `8080`, `yes` and `1.10` are strings on a host.
        document: object = yaml.load(text, Loader=yaml.BaseLoader)
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
    top = _mapping(document, "the file")
    if not top.keys() & {"config", "devices", "simulator"}:
        raise ValueError("no config and no devices; expected the output of `lxc config show --expanded`")
    config = _strings(top.get("config", ""), "config")
    devices = {
        name: _strings(device, f"devices: {name}")
        for name, device in _mapping(top.get("devices", ""), "devices").items()
    }
    for name, device in devices.items():
        if "type" not in device:
            raise ValueError(f"devices: {name}: type is missing")
    section = _mapping(top.get("simulator", ""), "simulator")
    if unknown := sorted(section.keys() - set(SIMULATOR_KEYS)):
        raise ValueError(f"simulator: unknown key {unknown[0]!r}; known keys: {', '.join(SIMULATOR_KEYS)}")
    images = _images(section.pop("images", ""), directory)
    tokens = _strings(section.pop("tokens", ""), "simulator: tokens")
    for state in tokens.values():
        _check_choice(state, _TOKEN_STATES, "simulator: tokens")
    pools = {device["pool"]: "dir" for device in devices.values() if device.get("pool")}
    pools |= _strings(section.pop("pools", ""), "simulator: pools")
    extra = _strings(section, "simulator")
    for key, choices in _CHOICES.items():
        _check_choice(extra.get(key, choices[0]), choices, f"simulator: {key}")
    if "name" in top:
        extra.setdefault("name", _text(top["name"], "name"))
    return Guest(config=config, devices=devices, tokens=tokens, pools=pools, images=images, **extra)


def _images(entries: object, directory: Path) -> tuple[Image, ...]:
    if entries in (None, ""):
        return ()
    if not isinstance(entries, list):
        raise ValueError(f"simulator: images: expected a list, got {_kind(entries)}")
    images = []
    for number, entry in enumerate(entries, 1):
        what = f"simulator: images: entry {number}"
        description = _strings(entry, what)
        try:
            images.append(make_image(description, directory))
        except OSError as error:
            raise ValueError(f"{what}: {error.filename}: {os_reason(error)}") from error
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from error
    return tuple(images)


def _check_choice(value: str, choices: tuple[str, ...], what: str) -> None:
    if value not in choices:
        raise ValueError(f"{what}: must be one of {', '.join(choices)}, not {value!r}")


def _mapping(value: object, what: str) -> dict[str, object]:
    if value in (None, ""):  # an empty file, or a key without a value
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{what}: expected keys and values, got {_kind(value)}")
    return {_text(key, f"a key of {what}"): item for key, item in value.items()}


def _strings(value: object, what: str) -> dict[str, str]:
    return {key: _text(item, f"{what}: {key}") for key, item in _mapping(value, what).items()}


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what}: expected a string, got {_kind(value)}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{what}: contains an unpaired surrogate")
    return value


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "keys and values"
