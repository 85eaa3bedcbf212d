"""The Debian package as a file: what is in it, its licences, lintian, and that it is reproducible."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

import devlxdctl
from tests.support.program import REPOSITORY
from tests.test_package import files_in_git
from tools import zipapp

PRIVATE = "usr/share/devlxdctl"

pytestmark = pytest.mark.timeout(300)


def build(directory: Path, *, umask: int, env: Mapping[str, str]) -> Path:
    """Run `make deb` in a copy of the checkout; return the package."""
    for name in files_in_git():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, directory / name)
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=directory, timeout=60, check=True)
    make = subprocess.run(
        ["make", "deb"],
        cwd=directory,
        env={**os.environ, **env},
        umask=umask,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert make.returncode == 0, make.stdout + make.stderr
    left = ["git", "status", "--porcelain", "--ignored"]
    status = subprocess.run(left, cwd=directory, capture_output=True, timeout=60, check=True).stdout.decode()
    assert [line for line in status.splitlines() if not line.startswith("A ")] == ["!! dist/"]
    (path,) = (directory / "dist").iterdir()
    assert path.name == f"devlxdctl_{devlxdctl.__version__}_all.deb"
    return path


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if subprocess.run(["dpkg-checkbuilddeps", "-I"], cwd=REPOSITORY, check=False, timeout=60).returncode != 0:
        pytest.skip("packages that the build needs are not installed")
    return build(tmp_path_factory.mktemp("a"), umask=0o022, env={"TZ": "UTC", "LC_ALL": "C.UTF-8"})


@pytest.fixture(scope="module")
def files(deb: Path) -> dict[str, bytes]:
    """The regular files of the package by path; every owner is root and nothing is writable for others."""
    unpack = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    data = subprocess.run(unpack, capture_output=True, timeout=60, check=True)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data.stdout)) as archive:
        for member in archive.getmembers():
            assert (member.uname, member.gname, member.mode & 0o022) == ("root", "root", 0), member.name
            if file := archive.extractfile(member):
                found[member.name.removeprefix("./")] = file.read()
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pinned dependencies as pip installs them."""
    site = tmp_path_factory.mktemp("site")
    zipapp.dependencies(site)
    return site


def test_package_built_in_another_checkout_has_the_same_bytes(deb: Path, tmp_path: Path) -> None:
    env = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "HOME": str(tmp_path)}
    again = build(tmp_path / "another name", umask=0o077, env=env)
    assert again.read_bytes() == deb.read_bytes()


def test_lintian_reports_no_error_and_no_warning(deb: Path) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    lintian = ["lintian", "--fail-on", "error,warning", "--allow-root", str(deb)]
    done = subprocess.run(lintian, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_package_contains_the_program_its_dependencies_and_nothing_else(
    files: dict[str, bytes], site: Path
) -> None:
    carried = {
        f"{PRIVATE}/{name}": data
        for name, data in zipapp.contents(site).items()
        if name != "devlxdctl_start.py" and "licen" not in name.lower()
    }
    names = [path.removeprefix("man/") for path in files_in_git("man") if path.startswith("man/devlxdctl")]
    assert names
    others = {
        *(f"usr/share/man/man1/{name}.gz" for name in names),
        *(f"usr/lib/systemd/system/devlxd-ready{suffix}.service" for suffix in ("", "-hold")),
        "usr/bin/devlxdctl",
        "usr/share/bash-completion/completions/devlxdctl",
        "usr/share/doc/devlxdctl/changelog.gz",
        "usr/share/doc/devlxdctl/copyright",
        "usr/share/fish/vendor_completions.d/devlxdctl.fish",
        "usr/share/lintian/overrides/devlxdctl",
        "usr/share/python3/runtime.d/devlxdctl.rtupdate",
        "usr/share/zsh/vendor-completions/_devlxdctl",
    }
    assert files.keys() == carried.keys() | others
    assert {name: files[name] for name in carried} == carried


def test_units_of_the_package_run_its_program(files: dict[str, bytes]) -> None:
    for name in ("devlxd-ready", "devlxd-ready-hold"):
        unit = files[f"usr/lib/systemd/system/{name}.service"].decode()
        programs = re.findall(r"^Exec\w+=-?(\S+)", unit, re.MULTILINE)
        assert programs and set(programs) == {"/usr/bin/devlxdctl"}
        assert "/usr/local" not in unit
        # They are where systemd finds them already.
        assert "/etc/systemd" not in unit
        assert f"# To enable it: systemctl enable --now {name}.service\n" in unit
        assert re.search(r"^Documentation=man:devlxdctl-ready\(1\) https:", unit, re.MULTILINE)


def words(text: str) -> str:
    """Return the words of a text without line breaks and the marks of empty lines in debian/copyright."""
    return " ".join(word for word in text.split() if word != ".")


def test_copyright_file_of_the_package_declares_all_contained_libraries(
    files: dict[str, bytes], site: Path
) -> None:
    declaration = files["usr/share/doc/devlxdctl/copyright"].decode()
    declared = set(re.findall(rf"^Files: {PRIVATE}/(\w+)", declaration, re.MULTILINE))
    private = [name.removeprefix(f"{PRIVATE}/") for name in files if name.startswith(f"{PRIVATE}/")]
    carried = {name.partition("/")[0].removesuffix(".py") for name in private}
    assert declared == carried - {"devlxdctl", "certifi"}  # these two are part of this source
    libraries = list(site.glob("*.dist-info"))
    assert len(libraries) == len(declared)
    for library in libraries:
        licences = [path for path in library.rglob("*") if re.match("LICEN|NOTICE", path.name)]
        assert licences, library
        for path in licences:
            text = path.read_text()
            for years, holder in re.findall(r"^ *Copyright (?:\(c\) )?(\d[\d-]*),? (.*?)\.?$", text, re.M):
                assert f"{years} {holder}" in declaration, path
            # Debian has the text of the Apache License itself.
            if terms := re.search(r"^(Permission|Redistribution) .*", text, re.DOTALL | re.MULTILINE):
                assert words(terms[0]) in words(declaration), path
            else:
                assert "Apache License" in text or path.name == "NOTICE", path
