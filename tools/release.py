"""`make release-check`: builds all files of a release in dist/, and prints what is missing for a release.

Everything is built twice from the last commit, in clones with other names, umasks and time zones, with the
same result.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DIST = REPOSITORY / "dist"
SUMS = "SHA256SUMS"
_PRIVATE = "usr/share/devlxdctl"


@dataclass(frozen=True)
class Check:
    """The result of one check. `detail` is what was found, or what is missing."""

    name: str
    passed: bool
    detail: str

    def __str__(self) -> str:
        return f"{'ok' if self.passed else 'missing':8} {self.name:16} {self.detail}"


def version_of(root: Path) -> str:
    """Return the version in the package."""
    found = re.search(r'__version__ = "([^"]+)"', (root / "devlxdctl/_version.py").read_text())
    assert found is not None
    return found[1]


def check_versions(root: Path) -> Iterator[Check]:
    """Check that both changelogs have the version of the package, with a date."""
    version = version_of(root)
    heading = next(
        (line for line in (root / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")), ""
    )
    expected = rf"## {re.escape(version)} \((20\d\d-\d\d-\d\d)\)"
    dated = re.fullmatch(expected, heading)
    yield Check(
        "CHANGELOG.md", dated is not None, heading if dated else f"## {version} (DATE), not {heading!r}"
    )
    first = (root / "debian/changelog").read_text().partition("\n")[0]
    is_released = first.startswith(f"devlxdctl ({version}) ") and "UNRELEASED" not in first
    wanted = f"devlxdctl ({version}) and a distribution, not {first!r}"
    yield Check("debian/changelog", is_released, first if is_released else wanted)


def check_commit(root: Path) -> Check:
    """Check that everything is committed: a release is built from the last commit."""
    command = ["git", "status", "--porcelain"]
    changed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.decode().splitlines()
    return Check("commit", not changed, f"{len(changed)} files are not committed" if changed else "complete")


def build(commands: Mapping[str, list[str]], clone: Path, umask: int, zone: str) -> dict[str, str]:
    """Run the builds in a clone. Return the last line of the output of those that failed."""
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, clone], check=True)
    failed = {}
    for kind, command in commands.items():
        done = subprocess.run(
            command,
            cwd=clone,
            env={**os.environ, "TZ": zone, "PYTHONDONTWRITEBYTECODE": "1"},
            umask=umask,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode != 0:
            failed[kind] = (done.stdout.decode(errors="replace").strip().splitlines() or ["failed"])[-1]
    return failed


def check_files(patterns: Mapping[str, str], first: Path, second: Path) -> Iterator[Check]:
    """Check that both directories have one file for each pattern, with the same content."""
    for kind, pattern in patterns.items():
        found = [next(iter(sorted(directory.glob(pattern))), None) for directory in (first, second)]
        if found[0] is None or found[1] is None:
            yield Check(kind, False, f"{pattern} was not built")
        elif found[0].name != found[1].name or found[0].read_bytes() != found[1].read_bytes():
            yield Check(kind, False, f"{found[0].name} differs between two builds")
        else:
            size = found[0].stat().st_size / 1000
            yield Check(kind, True, f"{found[0].name}, {size:.0f} kB, the same in two builds")


def pinned_packages(root: Path) -> dict[str, str]:
    """Return the packages in the one file and the Debian package, with their versions."""
    pins = (root / "tools/zipapp.txt").read_text()
    return dict(re.findall(r"^([\w-]+)==(\S+)", pins, re.MULTILINE))


def check_notices(archive: Path, packages: Mapping[str, str]) -> Check:
    """Check that the one file has the licence of each package in it."""
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
    without = []
    for package, version in packages.items():
        start = f"{package.replace('-', '_')}-{version}.dist-info/".lower()
        if not any(name.lower().startswith(start) and "licen" in name.lower() for name in names):
            without.append(package)
    if "devlxdctl-licence.txt" not in names:
        without.append("devlxdctl")
    detail = f"no licence of {', '.join(without)}" if without else f"{len(packages) + 1} licences"
    return Check("notices in file", not without, detail)


def check_copyright(package: Path) -> Check:
    """Check that the copyright file of the Debian package declares each library in it."""
    unpack = ["dpkg-deb", "--fsys-tarfile", str(package)]
    data = subprocess.run(unpack, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(data)) as archive:
        names = [name.removeprefix("./") for name in archive.getnames()]
        file = archive.extractfile("./usr/share/doc/devlxdctl/copyright")
        text = file.read().decode() if file is not None else ""
    carried = {name.split("/")[3].removesuffix(".py") for name in names if name.startswith(f"{_PRIVATE}/")}
    carried -= {"devlxdctl", "certifi", "__main__"}  # these are part of this source
    declared = set(re.findall(rf"^Files: {_PRIVATE}/(\w+)", text, re.MULTILINE))
    without = sorted(carried - declared)
    detail = f"no licence of {', '.join(without)}" if without else f"{len(carried)} libraries declared"
    return Check("notices in deb", not without, detail)


def write_sbom(program: str, root: Path, path: Path) -> Check:
    """Write the bill of materials of the one file and the Debian package, as CycloneDX."""
    command = [
        *(program, "requirements", "--output-reproducible", "--validate", "--output-format", "JSON"),
        *("--pyproject", str(root / "pyproject.toml"), "--output-file", str(path)),
        str(root / "tools/zipapp.txt"),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        return Check("SBOM", False, (done.stdout.decode().strip().splitlines() or ["failed"])[-1])
    document = json.loads(path.read_text())
    document["metadata"]["component"]["version"] = version_of(root)  # pyproject.toml has none of its own
    path.write_text(json.dumps(document, indent=2) + "\n")
    return Check("SBOM", True, f"{path.name}, valid CycloneDX, {len(document['components'])} packages")


def write_checksums(directory: Path) -> Check:
    """Write the checksums of all files in a directory, in the form of sha256sum."""
    paths = sorted(path for path in directory.iterdir() if path.is_file() and path.name != SUMS)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths]
    (directory / SUMS).write_text("".join(lines))
    command = ["sha256sum", "--check", "--strict", "--quiet", SUMS]
    passed = subprocess.run(command, cwd=directory, check=False).returncode == 0
    return Check(SUMS, passed and bool(paths), f"{len(paths)} files")


PATTERNS = {
    "wheel": "devlxdctl-*.whl",
    "sdist": "devlxdctl-*.tar.gz",
    "one file": "devlxdctl.pyz",
    "deb": "devlxdctl_*_all.deb",
}


def commands() -> dict[str, list[str]]:
    """Return the commands that build the files, run in a clone."""
    return {
        "wheel and sdist": [sys.executable, "-m", "build", "--no-isolation"],
        "one file": [sys.executable, "-m", "tools.zipapp"],
        "deb": ["make", "deb"],
    }


def checks() -> Iterator[Check]:
    """Make all checks, and leave the files of the release in dist/."""
    yield from check_versions(REPOSITORY)
    yield check_commit(REPOSITORY)
    with tempfile.TemporaryDirectory() as top:
        first, second = Path(top, "first"), Path(top, "the second")
        failed = build(commands(), first, 0o022, "UTC") | build(commands(), second, 0o077, "Asia/Tokyo")
        for kind, line in failed.items():
            yield Check(f"build of {kind}", False, line)
        yield from check_files(PATTERNS, first / "dist", second / "dist")
        shutil.rmtree(DIST, ignore_errors=True)
        DIST.mkdir()
        for pattern in PATTERNS.values():
            for path in (first / "dist").glob(pattern):
                shutil.copy2(path, DIST)
    for_pypi = sorted(str(path) for path in DIST.iterdir() if path.suffix in {".whl", ".gz"})
    twine = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *for_pypi], capture_output=True, check=False
    )
    yield Check("twine check", bool(for_pypi) and twine.returncode == 0, f"{len(for_pypi)} files")
    for archive in DIST.glob(PATTERNS["one file"]):
        yield check_notices(archive, pinned_packages(REPOSITORY))
    for package in DIST.glob(PATTERNS["deb"]):
        yield check_copyright(package)
    sbom = DIST / f"devlxdctl-{version_of(REPOSITORY)}.cdx.json"
    yield write_sbom(str(Path(sys.executable).with_name("cyclonedx-py")), REPOSITORY, sbom)
    yield write_checksums(DIST)


def main() -> None:
    missing = 0
    for check in checks():
        print(check, flush=True)
        missing += not check.passed
    print(f"{missing} missing" if missing else f"ready: {DIST.relative_to(REPOSITORY)}/ has the release")
    sys.exit(missing != 0)


if __name__ == "__main__":
    main()
