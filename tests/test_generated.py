"""The completion scripts, the man pages and the lists in the documents are up to date and valid."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.generate import DOCUMENTS, REPOSITORY, files

PAGES = sorted((REPOSITORY / "man").glob("*.1"))


def test_generated_files_are_up_to_date() -> None:
    expected = files()
    found = {
        str(path.relative_to(REPOSITORY)): path.read_text()
        for directory in ("completions", "man")
        for path in (REPOSITORY / directory).iterdir()
    }
    found |= {path: (REPOSITORY / path).read_text() for path in DOCUMENTS}
    assert sorted(found) == sorted(expected)
    assert [path for path in expected if found[path] != expected[path]] == [], "run make generate"


@pytest.fixture
def man() -> str:
    path = shutil.which("man")
    if path is None or shutil.which("mandb") is None:
        pytest.skip("man-db is not installed: make hosts")
    return path


@pytest.mark.parametrize("width", ["60", "80", "132"])
def test_man_formats_every_page_without_warnings(man: str, width: str) -> None:
    done = subprocess.run(
        [man, "--warnings=w", "--encoding=UTF-8", "--local-file", *PAGES],
        env={"LC_ALL": "C.UTF-8", "MANWIDTH": width, "PATH": os.defpath, "MANROFFOPT": "-ww"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == b""
    assert done.stdout.count(b"EXIT STATUS") == len(PAGES)


def test_whatis_lists_every_page(man: str, tmp_path: Path) -> None:
    section = tmp_path / "man1"
    section.mkdir()
    for page in PAGES:
        shutil.copy(page, section)
    env = {"LC_ALL": "C.UTF-8", "PATH": os.defpath, "MANPATH": str(tmp_path)}
    subprocess.run(["mandb", "--quiet", "--user-db", tmp_path], env=env, timeout=60, check=True)
    done = subprocess.run(
        ["whatis", "--long", *(page.stem for page in PAGES)],
        env=env,
        capture_output=True,
        timeout=60,
        check=True,
    )
    found = dict(line.split(" (1)", 1) for line in done.stdout.decode().splitlines())
    assert sorted(found) == sorted(page.stem for page in PAGES)
    assert found["devlxdctl"].strip() == "- talk to the LXD or Incus host from inside a guest"


def test_page_of_the_root_command_has_its_options_and_all_sections() -> None:
    page = (REPOSITORY / "man" / "devlxdctl.1").read_text().replace("\\-", "-")
    for word in ("--socket", "--format", "--wait", "--token-file", "--verbose", "--version"):
        assert word in page
    for title in ("NAME", "SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"):
        assert f".SH {title}\n" in page
