"""What is quoted can be read back exactly, whatever it holds."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devlxdctl.cli.output.render import Table, tab_separated
from devlxdctl.cli.output.stdio import escape
from devlxdctl.config.environment import format_assignments
from devlxdctl.errors import BadData

# Any text that bytes can be decoded to with surrogateescape.
texts = st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")) | st.text(
    st.characters(exclude_categories=["Cs"])
)
values = texts.filter(lambda text: "\0" not in text)
names = st.from_regex("[A-Z_][A-Z0-9_]{0,8}", fullmatch=True).map("X_{}".format)


def unescaped(cell: bytes) -> bytes:
    """What `\\t`, `\\n`, `\\\\` and `\\xNN` in a cell stand for."""

    def meant(match: re.Match[bytes]) -> bytes:
        short = {b"t": b"\t", b"n": b"\n", b"\\": b"\\"}.get(match[1])
        return bytes([int(match[2], 16)]) if short is None else short

    return re.sub(rb"\\(t|n|\\|x([0-9a-f]{2}))", meant, cell)


@given(st.lists(st.lists(texts, min_size=2, max_size=2), max_size=4))
def test_tab_separated_text_can_be_read_back(rows: list[list[str]]) -> None:
    written = tab_separated(Table(None, ("A", "B"), rows)).encode("utf-8")
    assert re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", written) is None
    lines = written.split(b"\n")[:-1]
    read = [[unescaped(cell) for cell in line.split(b"\t")] for line in lines]
    assert read == [[cell.encode("utf-8", "surrogateescape") for cell in row] for row in rows]


@given(st.text() | texts)
def test_clean_text_is_printable_but_for_what_is_kept(text: str) -> None:
    assert re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", escape(text)) is None
    assert re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", escape(text, keep="\t\n")) is None


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
@pytest.mark.parametrize("export", [False, True])
@settings(max_examples=50, deadline=None)
@given(named=st.dictionaries(names, values, min_size=1, max_size=8))
def test_a_shell_reads_the_values_back(shell: str, export: bool, named: dict[str, str]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = ("" if export else "set -a\n") + format_assignments(named, export) + "exec env -0\n"
    argv = [shell, "sh"] if shell == "busybox" else [shell]
    done = subprocess.run(
        argv,
        input=script.encode("utf-8", "surrogateescape"),
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=30,
        check=True,
    )
    read = dict(item.split(b"=", 1) for item in done.stdout.split(b"\0")[:-1])
    expected = {name.encode(): value.encode("utf-8", "surrogateescape") for name, value in named.items()}
    assert {name: read.get(name) for name in expected} == expected
    assert done.stderr == b""


@given(st.lists(texts.map("user.{}".format), unique=True), st.none() | st.sampled_from(["", "APP_", "x"]))
def test_every_name_is_one_that_shells_take_or_there_is_an_error(keys: list[str], prefix: str | None) -> None:
    try:
        named = environment_variables(dict.fromkeys(keys, "v"), prefix)
    except BadData:
        return
    assert len(named) == len(keys)
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) for name in named)


@pytest.mark.parametrize(
    ("key", "prefix", "name"),
    [
        ("user.role", None, "USER_ROLE"),
        ("cloud-init.user-data", None, "CLOUD_INIT_USER_DATA"),
        ("user.role", "APP_", "APP_ROLE"),
        ("cloud-init.user-data", "APP_", "APP_USER_DATA"),
        ("user.a.b", "", "A_B"),
        ("user.Straße 1", None, "USER_STRA_E_1"),
        ("user.ünï☃", None, "USER__N__"),
    ],
)
def test_names(key: str, prefix: str | None, name: str) -> None:
    assert environment_variables({key: "v"}, prefix) == {name: "v"}


@pytest.mark.parametrize(
    ("values", "prefix", "error"),
    [
        ({"user.a-b": "", "user.a_b": ""}, None, "USER_A_B: both user.a-b and user.a_b make this name"),
        ({"user.a": "", "cloud-init.a": ""}, "X_", "X_A: both user.a and cloud-init.a make this name"),
        ({"user.1": ""}, "", "user.1: no variable can be named '1'"),
        ({"user.": ""}, "", "user.: no variable can be named ''"),
        ({"user.a": ""}, "a b", "user.a: no variable can be named 'a bA'"),
        ({"user.a": "x\0y"}, None, "user.a: its value holds a NUL, which no variable can"),
    ],
)
def test_names_that_cannot_be(values: dict[str, str], prefix: str | None, error: str) -> None:
    with pytest.raises(BadData) as caught:
        environment_variables(values, prefix)
    assert str(caught.value) == error
