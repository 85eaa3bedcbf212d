"""`make release-check`: what it reports as missing. The builds themselves are compared by other tests."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from tools.release import (
    REPOSITORY,
    Check,
    check_commit,
    check_copyright,
    check_files,
    check_notices,
    check_versions,
    pinned_packages,
    write_checksums,
)

_CONTROL = """\
Package: devlxdctl
Version: 1
Architecture: all
Maintainer: Nobody <nobody@example.com>
Description: a test
"""


def source(root: Path, changelog: str, debian: str) -> Path:
    """Write what `check_versions` reads, for version 1.2.0."""
    for name, text in {
        "devlxdctl/_version.py": '__version__ = "1.2.0"\n',
        "CHANGELOG.md": f"# Changelog\n\n{changelog}\n\n## 1.1.0 (2026-01-01)\n",
        "debian/changelog": f"{debian}\n\n  * Text.\n",
    }.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return root


def test_dated_changelogs_with_the_version_pass(tmp_path: Path) -> None:
    root = source(tmp_path, "## 1.2.0 (2026-11-26)", "devlxdctl (1.2.0) unstable; urgency=medium")
    assert [check.passed for check in check_versions(root)] == [True, True]


@pytest.mark.parametrize(
    ("changelog", "debian"),
    [
        ("## 1.2.0 (unreleased)", "devlxdctl (1.2.0) UNRELEASED; urgency=medium"),
        ("## 1.3.0 (2026-11-26)", "devlxdctl (1.3.0) unstable; urgency=medium"),
        ("## 1.2.0", "devlxdctl (1.2.0-1) unstable; urgency=medium"),
    ],
)
def test_changelogs_of_another_version_or_without_a_date_are_missing(
    changelog: str, debian: str, tmp_path: Path
) -> None:
    assert [str(check) for check in check_versions(source(tmp_path, changelog, debian))] == [
        f"missing  CHANGELOG.md     ## 1.2.0 (DATE), not {changelog!r}",
        f"missing  debian/changelog devlxdctl (1.2.0) and a distribution, not {debian!r}",
    ]


def test_file_that_is_not_committed_is_missing(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert check_commit(tmp_path) == Check("commit", True, "complete")
    (tmp_path / "file").touch()
    assert check_commit(tmp_path) == Check("commit", False, "1 files are not committed")


def test_builds_that_differ_or_failed_are_missing(tmp_path: Path) -> None:
    for name, same, other in (("first", b"same", b"1"), ("second", b"same", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.whl").write_bytes(same)
        (tmp_path / name / "b.deb").write_bytes(other)
    patterns = {"wheel": "*.whl", "deb": "*.deb", "sdist": "*.gz"}
    assert list(check_files(patterns, tmp_path / "first", tmp_path / "second")) == [
        Check("wheel", True, "a.whl, 0 kB, the same in two builds"),
        Check("deb", False, "b.deb differs between two builds"),
        Check("sdist", False, "*.gz was not built"),
    ]


def test_package_without_a_licence_in_the_one_file_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "devlxdctl.pyz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("devlxdctl-licence.txt", "")
        archive.writestr("requests_unixsocket-0.4.1.dist-info/licenses/LICENSE", "")
        archive.writestr("rich-15.0.0.dist-info/METADATA", "")
    packages = {"requests-unixsocket": "0.4.1", "rich": "15.0.0"}
    assert check_notices(path, packages) == Check("notices in file", False, "no licence of rich")
    del packages["rich"]
    assert check_notices(path, packages) == Check("notices in file", True, "2 licences")


def test_library_that_debian_copyright_does_not_declare_is_missing(tmp_path: Path) -> None:
    files = {
        "DEBIAN/control": _CONTROL,
        "usr/share/doc/devlxdctl/copyright": "Files: usr/share/devlxdctl/rich/*\n",
        "usr/share/devlxdctl/devlxdctl/__init__.py": "",
        "usr/share/devlxdctl/rich/__init__.py": "",
        "usr/share/devlxdctl/multipart.py": "",
    }
    for name, text in files.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(text)
    build = ["dpkg-deb", "--root-owner-group", "--build", f"{tmp_path}/tree", f"{tmp_path}/x.deb"]
    subprocess.run(build, capture_output=True, check=True)
    assert check_copyright(tmp_path / "x.deb") == Check("notices in deb", False, "no licence of multipart")


def test_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"2")
    (tmp_path / "a").write_bytes(b"1")
    assert write_checksums(tmp_path) == Check("SHA256SUMS", True, "2 files")
    assert (tmp_path / "SHA256SUMS").read_text() == "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in (("a", b"1"), ("b", b"2"))
    )


def test_directory_without_files_has_no_checksums(tmp_path: Path) -> None:
    assert not write_checksums(tmp_path).passed


def test_pinned_packages_are_those_of_the_one_file() -> None:
    packages = pinned_packages(REPOSITORY)
    pins = (REPOSITORY / "tools" / "zipapp.txt").read_text()
    assert len(packages) == pins.count("--hash=") > 5
