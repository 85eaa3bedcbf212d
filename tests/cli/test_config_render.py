"""`config render`: templates, printed and written to files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.config.jobs import Jobs, wait_for_content
from tests.support.program import Result, run

TEMPLATE = b"role ${user.role} port ${user.port:-1} none ${user.none:-x y} $$5\n"
RENDERED = b"role web port 8080 none x y $5\n"


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "site.tmpl"
    path.write_bytes(TEMPLATE)
    return path


def test_config_render_prints_the_text_of_the_template(template: Path, simulator: Simulator) -> None:
    assert run("config", "render", template, socket=simulator.path) == Result(0, RENDERED, b"")
    result = run("config", "render", template, "-f", "json", socket=simulator.path)
    assert result == Result(0, b'"role web port 8080 none x y $5\\n"\n', b"")


def test_config_render_reads_a_template_from_stdin(simulator: Simulator) -> None:
    assert run("config", "render", "-", socket=simulator.path, stdin=TEMPLATE) == Result(0, RENDERED, b"")
    result = run("config", "render", "-", socket=simulator.path, stdin=b"a\n$")
    assert (result.status, result.stdout) == (8, b"")
    assert result.stderr.startswith("devlxdctl: stdin:2: $ without ${…}\nhint: write ${user.KEY}, ".encode())


def test_config_render_reads_only_the_keys_of_the_template(template: Path, simulator: Simulator) -> None:
    run("config", "render", template, socket=simulator.path)
    keys = ["user.none", "user.port", "user.role"]
    assert sorted(path for _, path, _ in simulator.requests) == [f"/1.0/config/{key}" for key in keys]


@pytest.mark.parametrize("text", [b"", b"no newline", b"\0\xff\xfe\r\n\x1b[31m\n"])
def test_config_render_keeps_the_bytes_of_a_text_without_references(
    text: bytes, simulator: Simulator, tmp_path: Path
) -> None:
    assert run("config", "render", "-", socket=simulator.path, stdin=text) == Result(0, text, b"")
    argv = ["config", "render", "-", "-o", str(tmp_path / "file")]
    assert run(*argv, socket=simulator.path, stdin=text) == Result(0, b"", b"")
    assert (tmp_path / "file").read_bytes() == text


@pytest.mark.parametrize("value", ["${user.port}", "$$", "a\0b\udcff\n", "$user.port ${"])
def test_references_in_values_are_not_expanded(value: str, simulator: Simulator) -> None:
    simulator.set({"user.key": value})
    result = run("config", "render", "-", socket=simulator.path, stdin=b"<${user.key}>")
    assert result == Result(0, f"<{value}>".encode("utf-8", "surrogateescape"), b"")


@pytest.mark.parametrize(
    "key", ["user.with space/and%25", "user.Quote's", "user.a*b?[c]", 'user.q?x=1#h+;"\\<&>ü☃']
)
def test_template_can_name_keys_with_unusual_characters(
    key: str, simulator: Simulator, jobs: Jobs, tmp_path: Path
) -> None:
    simulator.set({key: "1", "user.axbyc": "another key"})
    text = f"${{{key}}}\n".encode()
    assert run("config", "render", "-", socket=simulator.path, stdin=text) == Result(0, b"1\n", b"")
    (tmp_path / "template").write_bytes(text)
    jobs.start("config", "render", tmp_path / "template", "-o", tmp_path / "file", "--watch")
    wait_for_content(tmp_path / "file", b"1\n")
    simulator.set({key: "2"})
    wait_for_content(tmp_path / "file", b"2\n")


def test_config_render_names_all_keys_that_are_not_set(simulator: Simulator, tmp_path: Path) -> None:
    text = b"${user.b} ${user.role} ${user.a} ${user.c:-x}"
    error = b"devlxdctl: user.a, user.b: not set on this instance\n"
    for options in ([], ["-o", str(tmp_path / "file")], ["-o", str(tmp_path / "file"), "--watch"]):
        result = run("config", "render", "-", *options, socket=simulator.path, stdin=text)
        assert (result.status, result.stdout) == (6, b"")
        assert result.stderr.startswith(error)
    assert list(tmp_path.iterdir()) == []


def test_config_render_with_optional_prints_nothing_and_keeps_the_file(
    simulator: Simulator, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    argv = ["config", "render", "-", "--optional"]
    for options in ([], ["-o", str(file)]):
        result = run(*argv, *options, socket=simulator.path, stdin=b"${user.nope}")
        assert result == Result(0, b"", b"")
        assert file.read_bytes() == b"old"
    result = run(*argv, "-o", str(file), "--remove", socket=simulator.path, stdin=b"${user.nope}")
    assert result == Result(0, b"", b"")
    assert not file.exists()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"${limits.cpu}", "1: limits.cpu is not a key that guests can read"),
        (b"a\n${user.role", "2: ${ without } on this line"),
    ],
)
def test_invalid_template_is_an_error_with_file_and_line_before_any_request(
    text: bytes, error: str, template: Path, simulator: Simulator, tmp_path: Path
) -> None:
    template.write_bytes(text)
    for options in ([], ["-o", str(tmp_path / "file"), "--watch"]):
        result = run("config", "render", template, *options, socket=simulator.path)
        assert (result.status, result.stdout) == (8, b"")
        assert result.stderr.decode().splitlines()[0] == f"devlxdctl: {template}:{error}"
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("name", "status", "problem"), [("nope", 8, "no such file or directory"), (".", 8, "is a directory")]
)
def test_template_that_cannot_be_read_is_an_error(
    name: str, status: int, problem: str, simulator: Simulator
) -> None:
    result = run("config", "render", name, socket=simulator.path)
    assert result == Result(status, b"", f"devlxdctl: {name}: {problem}\n".encode())


def test_rendered_file_follows_the_keys(
    template: Path, simulator: Simulator, jobs: Jobs, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    job = jobs.start("config", "render", template, "-o", file, "--watch", "--", "cat", file)
    job.wait_for(RENDERED)
    simulator.set({"user.role": "db", "user.none": "set"})
    job.wait_for(b"role db port 8080 none set $5\n")
    simulator.set({"user.port": "", "user.none": ""})
    job.wait_for(b"role db port 1 none x y $5\n")
    assert job.stdout().count(b"\n") == 3


def test_rendered_text_on_a_terminal_has_no_control_characters(simulator: Simulator) -> None:
    from tests.support.terminal import Terminal

    env = {"DEVLXD_SOCKET": str(simulator.path), "PATH": os.defpath, "PS1": "ready> "}
    simulator.set({"user.key": "a\x1b[2Jb"})
    from tests.support.program import PROGRAM

    with Terminal(["sh"], env) as shell:
        printed = shell.run(f"echo 'v: ${{user.key}}' | {PROGRAM} config render -")
    assert printed == "v: a\\x1b[2Jb\n"
