"""The output of `config env` as an EnvironmentFile, read by systemd's own parser."""

from __future__ import annotations

import ctypes
import functools
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devlxdctl import format_assignments
from tests.support.strategies import variable_names, variable_values

LIBRARIES = sorted(Path("/usr/lib").glob("**/systemd/libsystemd-shared-*.so"))


@functools.cache
def systemd() -> ctypes.CDLL:
    """systemd's shared library. These functions have no public interface, but its manager uses them."""
    if not LIBRARIES:
        pytest.skip("systemd is not installed")
    return ctypes.CDLL(str(LIBRARIES[0]))


def parse_with_systemd(text: bytes) -> tuple[int, dict[bytes, bytes]]:
    """Return systemd's status for an EnvironmentFile, negative if it rejects the file; and the variables."""
    libc = ctypes.CDLL(None)
    libc.fmemopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(libc.fmemopen(ctypes.c_char_p(text), ctypes.c_size_t(len(text)), b"r"))
    found = ctypes.POINTER(ctypes.c_char_p)()
    try:
        status: int = systemd().load_env_file(file, b"test", ctypes.byref(found))
    finally:
        libc.fclose(file)
    variables: dict[bytes, bytes] = {}
    while found and (pair := found[len(variables)]) is not None:
        name, _, value = pair.partition(b"=")
        variables[name] = value
    return status, variables


# Unicode reserves them for use inside programs: 32, and the last two code points of each of the 17 planes.
NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)
)


def is_utf8(variables: dict[str, str]) -> bool:
    """Whether all values are UTF-8 for systemd, which is without noncharacters."""
    return not any(re.search(f"[\ud800-\udfff{NONCHARACTERS}]", value) for value in variables.values())


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(variable_names, variable_values, min_size=1, max_size=8))
@example({"A": "'", "B": '\\"$x`id`\n\t # ;\r', "C": "\\\n", "D": "", "E": " x ", "F": "a'\"'\"'b"})
@example({"A": "\ufffd", "B": "\ufdcf\ufdf0", "C": "\U0010fffd"})
@example({"A": "\ufffe"})
@example({"A": "\ufdd0"})
@example({"A": "\U0010ffff"})
def test_systemd_reads_the_same_values_or_rejects_a_file_that_is_not_utf8(variables: dict[str, str]) -> None:
    text = format_assignments(variables).encode("utf-8", "surrogateescape")
    status, found = parse_with_systemd(text)
    if is_utf8(variables):
        assert status == 0
        assert found == {name.encode(): value.encode() for name, value in variables.items()}
    else:
        assert status < 0


@settings(max_examples=300, deadline=None)
@given(variable_values)
def test_manager_of_systemd_accepts_every_value_that_is_utf8(value: str) -> None:
    """Control characters included."""
    is_valid = systemd().env_value_is_valid(ctypes.c_char_p(value.encode("utf-8", "surrogateescape")))
    assert bool(is_valid & 0xFF) == is_utf8({"A": value})
