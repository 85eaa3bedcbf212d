"""The examples in README.md and docs/ work as shown, and what these documents refer to exists."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import devlxdctl
from tests.readme import DOCUMENTS, LIMIT, Block, blocks, files, run
from tests.support.program import REPOSITORY

README = REPOSITORY / "README.md"
OTHER_DOCUMENTS = [REPOSITORY / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
INSTALL_LIMIT = 900.0  # seconds; a package index can be slow


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_console_example_prints_what_the_document_shows(block: Block) -> None:
    for program in ("curl", "jq"):
        if re.search(rf"\b{program}\b", block.text) and shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    assert run(block) == block.text


def test_a_console_example_with_another_output_fails() -> None:
    block = Block(README, "console", "$ devlxdctl config get user.role\ndb\n")
    assert run(block) == "$ devlxdctl config get user.role\nweb\n"


def test_output_of_a_background_command_follows_the_command_that_causes_it() -> None:
    text = "$ devlxdctl wait config user.x &\n$ devlxd-simulator set user.x 1\n1\n$ echo 2\n2\n"
    assert run(Block(README, "console", text)) == text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_of_a_document_is_run_by_one_of_its_examples(document: Path) -> None:
    commands = "\n".join(block.text for block in blocks("console", document))
    # Its commands write below the home directory of the reader. Another test runs it.
    named = files(document).keys() - {"completion.sh"}
    assert [name for name in named if name not in commands] == []


def test_every_python_example_is_a_file() -> None:
    assert [str(block) for block in blocks("python") if block.file_name() is None] == []


def test_python_examples_pass_strict_type_checks(tmp_path: Path) -> None:
    for document in DOCUMENTS:
        for name, text in files(document).items():
            if name.endswith(".py"):
                (tmp_path / f"{document.stem.replace('-', '_')}_{name}").write_text(text)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) > 10
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, *names],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=INSTALL_LIMIT,
        check=False,
    )
    assert result.stdout.decode() == f"Success: no issues found in {len(names)} source files\n"


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_shell_example_has_valid_syntax(block: Block) -> None:
    result = subprocess.run(["sh", "-n"], input=block.text.encode(), capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")


def test_reference_has_every_public_name() -> None:
    text = (REPOSITORY / "docs" / "python-reference.md").read_text()
    modules = re.findall(r"^::: (devlxdctl\.[\w.]+)$", text, flags=re.MULTILINE)
    names = [name for module in modules for name in importlib.import_module(module).__all__]
    assert sorted([*names, "__version__"]) == dir(devlxdctl)


@pytest.mark.parametrize("document", [*DOCUMENTS, *OTHER_DOCUMENTS], ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(document: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text()):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in headings(target), link


def headings(document: Path) -> set[str]:
    """The anchors of the headings of a document."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", OTHER_DOCUMENTS, ids=lambda path: path.name)
def test_named_files_exist(document: Path) -> None:
    names = re.findall(r"`((?:devlxdctl|docs|examples|tests|tools)/[\w./-]*)`", document.read_text())
    assert [name for name in names if not (REPOSITORY / name).exists()] == []


def test_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 200


@pytest.mark.timeout(INSTALL_LIMIT)
def test_installation_in_a_virtual_environment_works_as_shown(tmp_path: Path) -> None:
    (block,) = blocks("sh", README)
    script = block.text
    for place in ("/opt", "/usr/local/bin", "/root"):
        assert place in script
        script = script.replace(place, str(tmp_path))
    subprocess.run(
        ["sh", "-c", "git archive --prefix=devlxdctl/ HEAD | tar -x -C $0", tmp_path],
        cwd=REPOSITORY,
        check=True,
    )
    # The directory of the sources has the name of the virtual environment here.
    script = script.replace(
        f"cd {tmp_path}/devlxdctl", f"mv {tmp_path}/devlxdctl {tmp_path}/src; cd {tmp_path}/src"
    )
    subprocess.run(["sh", "-ec", script], capture_output=True, timeout=INSTALL_LIMIT, check=True)
    result = subprocess.run(
        [tmp_path / "devlxdctl" / "bin" / "devlxdctl", "--version"], capture_output=True, check=True
    )
    assert result.stdout.decode() == f"devlxdctl {devlxdctl.__version__}\n"


def test_completion_scripts_can_be_created_as_shown(tmp_path: Path) -> None:
    script = files(REPOSITORY / "docs" / "install.md")["completion.sh"]
    subprocess.run(
        ["sh", "-ec", script],
        env={"HOME": str(tmp_path), "PATH": f"{sys.prefix}/bin:{os.defpath}"},
        capture_output=True,
        timeout=LIMIT,
        check=True,
    )
    for path, word in (
        (".local/share/bash-completion/completions/devlxdctl", "COMP_WORDS"),
        (".local/share/zsh/site-functions/_devlxdctl", "#compdef devlxdctl"),
        (".config/fish/completions/devlxdctl.fish", "complete"),
    ):
        assert word in (tmp_path / path).read_text()


def test_demo_runs_to_its_end() -> None:
    simulator = [f"{sys.prefix}/bin/devlxd-simulator", "run", "--guest", "examples/guest.yaml", "--"]
    result = subprocess.run(
        [*simulator, "sh", "examples/demo.sh"],
        cwd=REPOSITORY,
        env={"PATH": f"{sys.prefix}/bin:{os.defpath}"},
        capture_output=True,
        timeout=LIMIT,
        check=True,
    )
    steps = result.stdout.decode().split("\n\n$ ")
    assert "devlxdctl config get user.role\nweb" in steps
    assert "devlxdctl ready && devlxdctl state state\nReady" in steps
