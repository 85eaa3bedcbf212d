"""What `config env` prints is read by systemd's own reader of EnvironmentFile as the values, exactly."""

from __future__ import annotations

import ctypes
import functools
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devlxdctl.config.environment import format_assignments
from tests.unit.test_quoting import names, values

LIBRARIES = sorted(Path("/usr/lib").glob("**/systemd/libsystemd-shared-*.so"))


@functools.cache
def systemd() -> ctypes.CDLL:
    """systemd's library. What is called in it is no public interface, but the very code of its manager."""
    if not LIBRARIES:
        pytest.skip("systemd is not installed")
    return ctypes.CDLL(str(LIBRARIES[0]))


def read(text: bytes) -> tuple[int, dict[bytes, bytes]]:
    """systemd's status for an EnvironmentFile, below 0 where it refuses it all, and the variables in it."""
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


def is_utf8(named: dict[str, str]) -> bool:
    return not any(re.search("[\ud800-\udfff]", value) for value in named.values())


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, values, min_size=1, max_size=8))
@example({"A": "'", "B": '\\"$x`id`\n\t # ;\r', "C": "\\\n", "D": "", "E": " x ", "F": "a'\"'\"'b"})
def test_it_reads_the_values_back(named: dict[str, str]) -> None:
    """A value that is no UTF-8 makes it refuse the whole file, which it tells in its log."""
    text = format_assignments(named).encode("utf-8", "surrogateescape")
    status, found = read(text)
    if is_utf8(named):
        assert status == 0
        assert found == {name.encode(): value.encode() for name, value in named.items()}
    else:
        assert status < 0


@settings(max_examples=300, deadline=None)
@given(values)
def test_its_manager_takes_any_value_that_is_utf8(value: str) -> None:
    """Control characters included. What is no UTF-8 it would leave out."""
    taken = systemd().env_value_is_valid(ctypes.c_char_p(value.encode("utf-8", "surrogateescape")))
    assert bool(taken & 0xFF) == is_utf8({"A": value})
