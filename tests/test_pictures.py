"""The pictures in docs/pictures show what the program prints now."""

from __future__ import annotations

import re

import pytest

from devlxdctl.guest import guest_signs
from tests.readme import DOCUMENTS
from tests.support.program import REPOSITORY
from tools.pictures import COLUMNS, DIRECTORY, LIGHT, PICTURES, draw


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_up_to_date(name: str) -> None:
    if name == "doctor" and guest_signs():
        pytest.skip("the checks of the guest find a real guest")
    assert draw(name) == (DIRECTORY / f"{name}.svg").read_text(), "run make generate"


def test_directory_has_no_other_pictures() -> None:
    assert sorted(path.stem for path in DIRECTORY.iterdir()) == sorted(PICTURES)


def test_pictures_load_nothing_from_a_server() -> None:
    for path in DIRECTORY.iterdir():
        found = re.findall(r"https?:[^\s\"<)]*", path.read_text())
        assert set(found) == {"http://www.w3.org/2000/svg"}, path


def test_every_picture_is_used_by_a_document() -> None:
    linked = {
        (document.parent / path).resolve()
        for document in DOCUMENTS
        for path in re.findall(r"!\[[^]]*\]\(([^)]*\.svg)\)", document.read_text())
    }
    assert all(path.is_file() for path in linked)
    assert {path.stem for path in linked if path.parent == DIRECTORY} == set(PICTURES)
    assert DIRECTORY.is_relative_to(REPOSITORY / "docs")


def test_light_picture_differs_in_colors_only() -> None:
    dark, light = draw("error"), draw("error", COLUMNS, LIGHT)
    assert re.sub("#[0-9a-f]{6}", "", dark) == re.sub("#[0-9a-f]{6}", "", light) != dark
