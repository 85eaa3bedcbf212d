"""Config keys as environment variables: their names, and assignments that shells read back exactly."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devlxdctl import BadData, environment_variables, format_assignments
from tests.support.strategies import decoded_texts, variable_names, variable_values


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
@pytest.mark.parametrize("export", [False, True])
@settings(max_examples=50, deadline=None)
@given(variables=st.dictionaries(variable_names, variable_values, min_size=1, max_size=8))
def test_shell_reads_the_same_values_from_the_assignments(
    shell: str, export: bool, variables: dict[str, str]
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = ("" if export else "set -a\n") + format_assignments(variables, export) + "exec env -0\n"
    done = subprocess.run(
        [shell, "sh"] if shell == "busybox" else [shell],
        input=script.encode("utf-8", "surrogateescape"),
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=30,
        check=True,
    )
    found = dict(item.split(b"=", 1) for item in done.stdout.split(b"\0")[:-1])
    expected = {name.encode(): value.encode("utf-8", "surrogateescape") for name, value in variables.items()}
    assert {name: found.get(name) for name in expected} == expected
    assert done.stderr == b""


@given(
    st.lists(decoded_texts.map("user.{}".format), unique=True),
    st.none() | st.sampled_from(["", "APP_", "x"]),
)
def test_any_key_becomes_a_valid_variable_name_or_bad_data(keys: list[str], prefix: str | None) -> None:
    try:
        variables = environment_variables(dict.fromkeys(keys, "v"), prefix)
    except BadData:
        return
    assert len(variables) == len(keys)
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) for name in variables)


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
def test_key_becomes_this_variable_name(key: str, prefix: str | None, name: str) -> None:
    assert environment_variables({key: "v"}, prefix) == {name: "v"}


@pytest.mark.parametrize(
    ("values", "prefix", "error"),
    [
        ({"user.a-b": "", "user.a_b": ""}, None, "USER_A_B: is the name for both user.a-b and user.a_b"),
        ({"user.a": "", "cloud-init.a": ""}, "X_", "X_A: is the name for both user.a and cloud-init.a"),
        ({"user.1": ""}, "", "user.1: '1' is not a valid variable name"),
        ({"user.": ""}, "", "user.: '' is not a valid variable name"),
        ({"user.a": ""}, "a b", "user.a: 'a bA' is not a valid variable name"),
        ({"user.a": "x\0y"}, None, "user.a: value contains NUL, which a variable cannot"),
    ],
)
def test_key_without_a_variable_of_its_own_is_bad_data(
    values: dict[str, str], prefix: str | None, error: str
) -> None:
    with pytest.raises(BadData) as caught:
        environment_variables(values, prefix)
    assert str(caught.value) == error


DANGEROUS = """
PATH HOME SHELL IFS ENV BASH_ENV BASH_FUNC_X CDPATH PS4 PROMPT_COMMAND SHELLOPTS GLOBIGNORE ZDOTDIR UID
LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT GCONV_PATH LOCPATH NLSPATH GLIBC_TUNABLES MALLOC_TRACE TMPDIR TZDIR
RES_OPTIONS LOCALDOMAIN HOSTALIASES TERMINFO TERMCAP PYTHONPATH PYTHONSTARTUP PERL5LIB PERL5OPT PERL5DB
RUBYOPT NODE_OPTIONS NODE_PATH LUA_INIT LUA_PATH_5_4 CLASSPATH JAVA_TOOL_OPTIONS _JAVA_OPTIONS
GIT_SSH_COMMAND GIT_EXEC_PATH GIT_CONFIG_COUNT PAGER EDITOR LESSOPEN TAR_OPTIONS OPENSSL_CONF KRB5_CONFIG
XDG_CONFIG_HOME NPM_CONFIG_PREFIX DBUS_SYSTEM_BUS_ADDRESS
"""
HARMLESS = "ROLE USER LANG LC_ALL TZ TERM HOSTNAME HTTPS_PROXY NODE_ROLE GIT_BRANCH LDAP_HOST PATHS"


@pytest.mark.parametrize("name", DANGEROUS.split())
@pytest.mark.parametrize("prefix", ["", "split"])
def test_name_that_changes_how_programs_run_needs_permission(name: str, prefix: str) -> None:
    # The prefix can be a part of the name: `--prefix ld_` makes LD_PRELOAD of user.preload.
    start = "" if prefix == "" else name[:3].lower()
    key = f"user.{name[len(start) :]}"
    variable = start + name[len(start) :]
    with pytest.raises(BadData) as caught:
        environment_variables({key: "v"}, start)
    assert str(caught.value) == f"{key}: {variable!r} changes how programs run"
    assert caught.value.hint == "use another --prefix, or allow such names with --allow-dangerous-names"
    assert environment_variables({key: "v"}, start, allow_dangerous_names=True) == {variable: "v"}


@pytest.mark.parametrize("name", HARMLESS.split())
def test_name_of_data_needs_no_permission(name: str) -> None:
    assert environment_variables({f"user.{name}": "v"}, "") == {name: "v"}


def test_names_with_the_namespace_need_no_permission() -> None:
    keys = [f"{namespace}.{name}" for namespace in ("user", "cloud-init") for name in DANGEROUS.split()]
    assert len(environment_variables(dict.fromkeys(keys, "v"))) == len(keys)
