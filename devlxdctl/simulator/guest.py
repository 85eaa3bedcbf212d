"""The guest file: the output of `lxc config show --expanded INSTANCE`, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import yaml

from devlxdctl.simulator.images import Image, make_image

INSTANCE_TYPES = ("container", "virtual-machine")
SIMULATOR_KEYS = ("images", "instance_id", "location", "name", "pools", "pro", "tokens", "type")
_CHOICES = {"pro": ("off", "available", "on"), "type": INSTANCE_TYPES}
_TOKENS = ("trusted", "expired", "wrong")


class GuestFileError(ValueError):
    """A guest file that cannot be used; the text names the file and says why."""


@dataclass(frozen=True)
class Guest:
    """An instance as its host has it at the start: profiles applied, values as strings."""

    config: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    name: str = "guest"
    type: str = "container"
    location: str = "simulator"
    instance_id: str | None = None
    """None: what `volatile.cloud-init.instance-id` says, else a new one."""
    pro: str = "off"
    """The host's own setting for the attaching of its guests."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """The bearer tokens that the host knows: trusted, expired, or wrong, one with a bad signature."""
    pools: Mapping[str, str] = field(default_factory=dict)
    """The storage pools that the guest can use with a token, and their drivers."""
    images: tuple[Image, ...] = ()


def default_guest() -> Guest:
    """The guest that comes with the simulator."""
    file = resources.files("devlxdctl.simulator") / "default-guest.yaml"
    return parse_guest(file.read_text(encoding="utf-8"), "default-guest.yaml")


def read_guest(path: Path) -> Guest:
    """Read a guest file; raises GuestFileError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise GuestFileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise GuestFileError(f"{path}: not UTF-8 text: byte {error.start}") from error
    return parse_guest(text, str(path), path.parent)


def parse_guest(text: str, origin: str, directory: Path = Path()) -> Guest:
    """Read a guest from the text of a file; `origin` names it in errors. Raises GuestFileError.

    The paths of images begin at `directory`.
    """
    try:
        # Every scalar stays as it is written: `8080`, `yes` and `1.10` are strings on a host.
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
        raise ValueError("neither config nor devices: is it the output of `lxc config show --expanded`?")
    config = _strings(top.get("config", ""), "config")
    devices = {
        name: _strings(device, f"devices: {name}")
        for name, device in _mapping(top.get("devices", ""), "devices").items()
    }
    for name, device in devices.items():
        if "type" not in device:
            raise ValueError(f"devices: {name}: it has no type")
    section = _mapping(top.get("simulator", ""), "simulator")
    if unknown := sorted(section.keys() - set(SIMULATOR_KEYS)):
        raise ValueError(f"simulator: unknown key {unknown[0]!r}, it knows {', '.join(SIMULATOR_KEYS)}")
    images = _images(section.pop("images", ""), directory)
    tokens = _strings(section.pop("tokens", ""), "simulator: tokens")
    for state in tokens.values():
        if state not in _TOKENS:
            raise ValueError(f"simulator: tokens: {state!r} is none of {', '.join(_TOKENS)}")
    pools = {device["pool"]: "dir" for device in devices.values() if device.get("pool")}
    pools |= _strings(section.pop("pools", ""), "simulator: pools")
    extra = _strings(section, "simulator")
    for key, choices in _CHOICES.items():
        if extra.get(key, choices[0]) not in choices:
            raise ValueError(f"simulator: {key}: {extra[key]!r} is none of {', '.join(choices)}")
    if "name" in top:
        extra.setdefault("name", _text(top["name"], "name"))
    return Guest(config=config, devices=devices, tokens=tokens, pools=pools, images=images, **extra)


def _images(entries: object, directory: Path) -> tuple[Image, ...]:
    if entries in (None, ""):
        return ()
    if not isinstance(entries, list):
        raise ValueError(f"simulator: images: a list is expected, not {_kind(entries)}")
    images = []
    for number, entry in enumerate(entries, 1):
        what = f"simulator: images: number {number}"
        description = _strings(entry, what)
        try:
            images.append(make_image(description, directory))
        except OSError as error:
            raise ValueError(f"{what}: {error.filename}: {error.strerror}") from error
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from error
    return tuple(images)


def _mapping(value: object, what: str) -> dict[str, object]:
    if value in (None, ""):  # an empty file, a heading with nothing below it
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{what}: keys and values are expected, not {_kind(value)}")
    return {_text(key, f"a key of {what}"): item for key, item in value.items()}


def _strings(value: object, what: str) -> dict[str, str]:
    return {key: _text(item, f"{what}: {key}") for key, item in _mapping(value, what).items()}


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what}: a string is expected, not {_kind(value)}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{what}: half of a surrogate pair is no character")
    return value


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "keys and values"
