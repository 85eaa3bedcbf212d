"""The archive, a small one, and the sandbox to run them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bundle import sandbox as sandboxes
from tests.bundle import small
from tools import zipapp


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the dependencies have been installed into."""
    site = tmp_path_factory.mktemp("site")
    zipapp.dependencies(site)
    return site


@pytest.fixture(scope="session")
def archive(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """devlxdctl.pyz."""
    path = tmp_path_factory.mktemp("archive") / "devlxdctl.pyz"
    zipapp.archive(zipapp.contents(site), path)
    return path


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with the program of `tests.bundle.small`."""
    return small.build(tmp_path_factory.mktemp("small") / "small.pyz")


@pytest.fixture
def sandbox(tmp_path: Path) -> sandboxes.Sandbox:
    """An empty sandbox; skips the test where there can be none."""
    sandboxes.require()
    return sandboxes.Sandbox(tmp_path / "sandbox")


@pytest.fixture
def program(sandbox: sandboxes.Sandbox, small_archive: Path) -> str:
    """The path in the sandbox of the small program."""
    return sandbox.install(small_archive)
