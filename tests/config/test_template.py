"""Templates: what is inserted, and what is an error."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devlxdctl import BadData, Template

VALUES = {"user.role": "web", "user.port": "8080", "cloud-init.user-data": "#cloud-config\n"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("no keys\n", "no keys\n"),
        ("${user.role}", "web"),
        ("a${user.role}b${user.port}c", "awebb8080c"),
        ("${user.role}${user.role}", "webweb"),
        ("${user.nope:-8081}", "8081"),
        ("${user.port:-8081}", "8080"),
        ("${user.nope:-}", ""),
        ("${user.nope:-a:-b}", "a:-b"),
        ("${user.nope:-with space, \\ and 'quotes'}", "with space, \\ and 'quotes'"),
        ("${user.nope:-a{b}}", "a{b}"),
        ("${cloud-init.user-data}", "#cloud-config\n"),
        ("$$", "$"),
        ("$$$$", "$$"),
        ("$${user.role}", "${user.role}"),
        ("$$${user.role}", "$web"),
        ("5 $$ {user.role} }", "5 $ {user.role} }"),
        ("\0\udcff\r\n${user.role}\r\n", "\0\udcff\r\nweb\r\n"),
    ],
)
def test_substitute_replaces_references(text: str, expected: str) -> None:
    assert Template(text).substitute(VALUES) == expected


@pytest.mark.parametrize(
    "value", ["${user.port}", "$$", "$", "$user.port", "}", "\\", "\0", "\udcff", "a\nb"]
)
def test_values_are_inserted_unchanged(value: str) -> None:
    template = Template("<${user.role}${user.nope:-}>")
    assert template.substitute({"user.role": value}) == f"<{value}>"


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("$", 1, "$ without ${…}"),
        ("a $ b", 1, "$ without ${…}"),
        ("$user.role", 1, "$ without ${…}"),
        ("$(user.role)", 1, "$ without ${…}"),
        ("$$$", 1, "$ without ${…}"),
        ("\n\n${user.role}\n$x\n", 4, "$ without ${…}"),
        ("a\n${user.role", 2, "${ without } on this line"),
        ("${user.role\n}", 1, "${ without } on this line"),
        ("${user.nope:-a\nb}", 1, "${ without } on this line"),
        ("${", 1, "${ without } on this line"),
        ("${user.nope:-${user.role}}", 1, "$ inside ${user.nope:-${user.role}"),
        ("${user.nope:-$$}", 1, "$ inside ${user.nope:-$$}"),
        ("${user.a$b}", 1, "$ inside ${user.a$b}"),
        ("${}", 1, "'' is not a key that guests can read"),
        ("${:-x}", 1, "'' is not a key that guests can read"),
        ("${role}", 1, "role is not a key that guests can read"),
        ("a\r\n${limits.cpu}", 2, "limits.cpu is not a key that guests can read"),
        ("${limits.cpu:-2}", 1, "limits.cpu is not a key that guests can read"),
        ("${ user.role }", 1, " user.role  is not a key that guests can read"),
    ],
)
def test_other_dollar_sign_in_a_template_is_an_error_with_its_line(
    text: str, place: int, problem: str
) -> None:
    with pytest.raises(BadData) as caught:
        Template(text, "site.tmpl")
    assert str(caught.value) == f"site.tmpl:{place}: {problem}"
    assert caught.value.hint is not None


def test_template_lists_required_and_optional_keys() -> None:
    template = Template("${user.b} ${user.a} ${user.b:-x} ${user.d:-} ${user.c:-y} ${user.a}")
    assert (template.required, template.optional) == (["user.a", "user.b"], ["user.c", "user.d"])


def test_a_missing_required_key_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Template("${user.nope}").substitute(VALUES)


def test_keys_can_have_all_characters_but_those_of_the_syntax() -> None:
    key = "user." + "".join(each for each in string.printable if each not in "}$\n") + "ü☃\x9b\udcff"
    template = Template(f"${{{key}}}")
    assert template.required == [key]
    assert template.substitute({key: "v"}) == "v"


keys = st.text(st.characters(exclude_characters="}$\n:")).map(lambda name: f"user.{name}")


@settings(deadline=None)
@given(st.lists(st.text() | st.tuples(keys, st.none() | st.text(st.characters(exclude_characters="}$\n")))))
def test_any_text_can_be_written_as_a_template(parts: list[str | tuple[str, str | None]]) -> None:
    text = ""
    values = {}
    for part in parts:
        if isinstance(part, str):
            text += part.replace("$", "$$")
        elif part[1] is None:
            text += f"${{{part[0]}}}"
            values[part[0]] = f"<${{{part[0]}}}>"
        else:
            text += f"${{{part[0]}:-{part[1]}}}"
    expected = "".join(
        part if isinstance(part, str) else values.get(part[0], part[1] or "") for part in parts
    )
    assert Template(text).substitute(values) == expected
