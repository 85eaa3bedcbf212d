"""The plugin in the tests of another project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

READ_ROLE = """\
import subprocess, sys

def role():
    command = [sys.executable, "-m", "devlxdctl", "config", "get", "user.role"]
    return subprocess.run(command, capture_output=True, timeout=60, check=True).stdout.decode().strip()
"""


def test_importing_the_plugin_imports_no_dependency() -> None:
    script = "import sys, devlxdctl.testing.plugin; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=True)
    dependencies = {"aiohttp", "click", "multipart", "requests", "rich", "urllib3", "websocket", "yaml"}
    assert set(done.stdout.decode().split()) & {*dependencies, "asyncio"} == set()


def test_fixture_is_listed_with_its_description(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--fixtures")
    result.stdout.re_match_lines(
        [
            r"devlxd_host \[session scope\] -- .*devlxdctl/testing/plugin\.py:\d+",
            r" +Simulate an LXD or Incus host: `with devlxd_host\(",
        ]
    )


def test_tests_of_a_project_use_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        READ_ROLE
        + """
def test_role(devlxd_host):
    with devlxd_host(config={"user.role": "db"}) as host:
        assert role() == "db"
        host.set({"user.role": "web"})
        assert role() == "web"
        assert ("GET", "/1.0/config/user.role") in host.requests
"""
    )
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=1)


def test_fixture_of_a_module_can_use_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        READ_ROLE
        + """
import os, pytest

@pytest.fixture(scope="module")
def host(devlxd_host):
    with devlxd_host(config={"user.role": "db"}) as host:
        yield host

def test_first(host):
    assert role() == "db"
    host.set({"user.role": "web"})

def test_second(host):
    assert role() == "web"
"""
    )
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=2)


@pytest.mark.parametrize("missing", ["aiohttp", "yaml"])
def test_missing_extra_fails_the_tests_that_use_the_fixture(missing: str, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(f"import sys; sys.modules[{missing!r}] = None")
    pytester.makepyfile(
        """
def test_with_fixture(devlxd_host):
    with devlxd_host():
        pass

def test_without_fixture():
    pass
"""
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [f"devlxd_host: {missing} is not installed: pip install 'devlxdctl[[]testing]'"]
    )


def test_annotated_test_passes_a_strict_type_check(tmp_path: Path) -> None:
    (tmp_path / "test_typed.py").write_text(
        """
from devlxdctl.testing import Request, SimulatedHost, SimulatedHostFactory


def change(host: SimulatedHost) -> list[Request]:
    host.set({"user.role": "web"})
    return host.requests


def test_typed(devlxd_host: SimulatedHostFactory) -> None:
    with devlxd_host(config={"user.role": "db"}, profile="incus") as host:
        reveal_type(host)
        assert change(host) == []
"""
    )
    check = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(tmp_path / "cache"),
        "test_typed.py",
    ]
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, timeout=110, check=False)
    assert done.stdout.decode().splitlines() == [
        'test_typed.py:12: note: Revealed type is "devlxdctl.testing.host.SimulatedHost"',
        "Success: no issues found in 1 source file",
    ]
