"""`make zipapp`: builds `dist/devlxdctl.pyz`, the program and its dependencies as one executable file.

The same checkout gives the same bytes. The dependencies are pinned by hash in `zipapp.txt`. The files in the
archive are sorted, have one fixed date, and are not compressed, since compressors differ in what they write.
"""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
RESULT = REPOSITORY / "dist" / "devlxdctl.pyz"

OLDEST = "3.10"
"""The oldest Python that the archive runs on. Its dependencies are pinned for this version."""

_DATE = (1980, 1, 1, 0, 0, 0)
_SHEBANG = b"#!/usr/bin/python3 -IS\n"
"""The system's Python, isolated: PATH, PYTHONPATH and packages below $HOME do not decide what root runs."""

START = "devlxdctl_start.py"
"""The name of bundle/start.py in the archive."""

_LEFT_OUT = (
    *("bin/", "devlxdctl/simulator/", "devlxdctl/testing/", "requests_unixsocket/tests/"),
    *("urllib3/contrib/emscripten/", "websocket/tests/"),
)
"""What the program does not import."""

_PINS = HERE / "zipapp.txt"
_PURE_PYTHON = (
    *("--no-deps", "--only-binary", ":all:", "--platform", "any", "--python-version", OLDEST),
    *("--implementation", "py", "--abi", "none"),
)
"""Options of pip that accept pure Python only, for the oldest version."""

_PACKAGES = (
    *("click", "idna", "multipart", "requests", "requests-unixsocket", "rich", "urllib3"),
    "websocket-client",
)
"""The runtime dependencies, and idna, which requests imports.

charset-normalizer and certifi are left out: no encoding is detected and TLS is not used. So are Pygments and
markdown-it-py: tables and progress bars of rich do not import them.
"""


def pin() -> None:
    """Pin the newest version of each package that supports the oldest Python."""
    lines = []
    with tempfile.TemporaryDirectory() as directory:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*download, *_PURE_PYTHON, "--dest", directory, *_PACKAGES], check=True)
        for path in sorted(Path(directory).iterdir()):
            name, version = path.name.split("-")[:2]
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"{name.replace('_', '-')}=={version} --hash=sha256:{digest}\n")
    _PINS.write_text(
        "# Packages in devlxdctl.pyz. Written by: python -m tools.zipapp --pin\n" + "".join(lines)
    )


def dependencies(target: Path) -> None:
    """Install the pinned dependencies into `target`."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-compile", "--require-hashes", "--requirement", _PINS, "--target", target, *_PURE_PYTHON),
        ],
        check=True,
    )


def contents(site: Path) -> dict[str, bytes]:
    """The files of the archive by name, except `__main__.py`."""
    ours = {"certifi.py": "certifi.py", START: "start.py"}
    found = {name: (HERE / "bundle" / source).read_bytes() for name, source in ours.items()}
    package = subprocess.run(
        ["git", "ls-files", "-z", "devlxdctl"], cwd=REPOSITORY, capture_output=True, check=True
    )
    for name in package.stdout.decode().split("\0")[:-1]:
        found[name] = (REPOSITORY / name).read_bytes()
    for path in site.rglob("*"):
        name = path.relative_to(site).as_posix()
        if path.suffix == ".py" or (".dist-info/" in name and "licen" in name.lower() and path.is_file()):
            found[name] = path.read_bytes()
    found["devlxdctl-licence.txt"] = (REPOSITORY / "LICENSE").read_bytes()
    return {name: found[name] for name in sorted(found) if not name.startswith(_LEFT_OUT)}


def archive(files: dict[str, bytes], result: Path) -> None:
    """Write the executable archive."""
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    files = dict(files)
    start = files.pop(START)
    modules = []
    result.parent.mkdir(exist_ok=True)
    with result.open("wb") as file:
        file.write(_SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as opened:
            for name, data in files.items():
                offset = _add(opened, name, data)
                if name.endswith(".py"):
                    modules.append(f"{name} {offset} {len(data)}")
            start = start.replace(b"@DIGEST@", digest.hexdigest()[:16].encode())
            _add(opened, START, start.replace(b"@MODULES@", "\n".join(modules).encode()))
            _add(opened, "__main__.py", (HERE / "bundle" / "main.py").read_bytes())
    result.chmod(0o755)


def _add(opened: zipfile.ZipFile, name: str, data: bytes) -> int:
    """Add a file to the archive, and return the offset of its data there."""
    entry = zipfile.ZipInfo(name, _DATE)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    opened.writestr(entry, data)
    return entry.header_offset + len(entry.FileHeader())


def main() -> None:
    if sys.argv[1:] == ["--pin"]:
        pin()
    with tempfile.TemporaryDirectory() as directory:
        dependencies(Path(directory))
        archive(contents(Path(directory)), RESULT)
    print(f"{RESULT.relative_to(REPOSITORY)}: {RESULT.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
