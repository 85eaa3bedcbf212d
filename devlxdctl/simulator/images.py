"""The images of a simulated host: existing files, or generated data of a given size."""

import hashlib
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 16
_UNITS = {
    "": 1,
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
}
_KEYS = ("file", "metadata", "public", "rootfs", "rootfs.img", "size", "type")
_METADATA_SIZE = 512


@dataclass(frozen=True)
class Part:
    """A file of an image. Without a path its bytes are generated and differ in each block."""

    name: str
    """metadata, rootfs or rootfs.img; empty in a unified image"""
    size: int
    suffix: str
    path: Path | None = None

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from one offset to another in pieces."""
        if self.path is None:
            return _generate(start, end)
        return _read(self.path, start, end)


@dataclass(frozen=True)
class Image:
    """An image and its fingerprint, the SHA-256 of its concatenated parts."""

    fingerprint: str
    parts: tuple[Part, ...]
    public: bool

    @property
    def split(self) -> bool:
        return len(self.parts) > 1

    def file_name(self, part: Part) -> str:
        """Return the file name that the host sends for a part."""
        return f"{'meta-' if part.name == 'metadata' else ''}{self.fingerprint}{part.suffix}"

    def describe(self) -> dict[str, object]:
        """Return the image as a JSON object, as `devlxd-simulator show` prints it."""
        return {
            "fingerprint": self.fingerprint,
            "type": "split" if self.split else "unified",
            "public": self.public,
            "size": sum(part.size for part in self.parts),
        }


def make_image(description: Mapping[str, str], directory: Path) -> Image:
    """Make an image from its entry in the guest file. Relative paths start at `directory`.

    Raises ValueError for an invalid entry, OSError for a file that cannot be read.
    """
    if unknown := sorted(description.keys() - set(_KEYS)):
        raise ValueError(f"unknown key {unknown[0]!r}; known keys: {', '.join(_KEYS)}")
    public = description.get("public", "true")
    if public not in ("true", "false"):
        raise ValueError(f"public: must be true or false, not {public!r}")
    parts = _parts(description, directory)
    digest = hashlib.sha256()
    for part in parts:
        for piece in part.read(0, part.size):
            digest.update(piece)
    return Image(digest.hexdigest(), parts, public == "true")


def _parts(description: Mapping[str, str], directory: Path) -> tuple[Part, ...]:
    def file(name: str, path: str) -> Part:
        full_path = directory / path
        suffix = re.search(r"(\.tar)?\.[A-Za-z0-9]+$", path)
        return Part(name, full_path.stat().st_size, suffix[0] if suffix else "", full_path)

    match {key: value for key, value in description.items() if key != "public"}:
        case {"file": path, **rest} if not rest:
            return (file("", path),)
        case {"metadata": metadata, "rootfs": rootfs, **rest} if not rest:
            return file("metadata", metadata), file("rootfs", rootfs)
        case {"metadata": metadata, "rootfs.img": disk, **rest} if not rest:
            return file("metadata", metadata), file("rootfs.img", disk)
        case {"size": size, **rest} if not rest or rest == {"type": "unified"}:
            return (Part("", _bytes(size), ".tar"),)
        case {"size": size, **rest} if rest == {"type": "split"}:
            return Part("metadata", _METADATA_SIZE, ".tar"), Part("rootfs", _bytes(size), ".squashfs")
    raise ValueError("must have file, or metadata and rootfs, or size and optionally type: unified or split")


def _bytes(text: str) -> int:
    number = re.fullmatch(r"(\d{1,15}) ?([A-Za-z]*)", text, re.ASCII)
    if number is None or number[2] not in _UNITS:
        raise ValueError(f"size: not a size such as 10MiB: {text!r}")
    return int(number[1]) * _UNITS[number[2]]


@cache
def _noise() -> bytes:
    return random.Random(1).randbytes(_BLOCK - 8)


def _generate(start: int, end: int) -> Iterator[bytes]:
    for number in range(start // _BLOCK, -(-end // _BLOCK)):
        first = number * _BLOCK
        yield (number.to_bytes(8, "big") + _noise())[max(start - first, 0) : end - first]


def _read(path: Path, start: int, end: int) -> Iterator[bytes]:
    file: BinaryIO
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (piece := file.read(min(_BLOCK, end - start))):
            start += len(piece)
            yield piece
