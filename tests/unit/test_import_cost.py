"""Slow imports: help, version and TAB do without them, and each command loads only those it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import devlxdctl
from devlxdctl.simulator import Simulator
from tests.support.program import PROGRAM

SLOW = {
    *("aiohttp", "asyncio", "charset_normalizer.api", "chardet.universaldetector", "concurrent.futures"),
    *("dataclasses", "http.client", "json", "logging", "multipart", "requests", "rich", "subprocess"),
    *("urllib3", "websocket", "yaml"),
}
"""Modules that take milliseconds to import; of the libraries that detect character sets, one module each."""
if sys.version_info < (3, 11):
    SLOW.discard("subprocess")  # Click imports uuid, which imports platform, which imports it there

HTTP = {"http.client", "json", "logging", "requests", "urllib3"}
WATCH = {*HTTP, "dataclasses", "websocket"}


def library_modules() -> list[str]:
    package = Path(devlxdctl.__file__).parent
    paths = [path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.py")]
    apart = ("__main__", "cli", "simulator", "startup", "testing")
    return sorted(".".join(path.parts) for path in paths if not set(path.parts) & set(apart))


def modules_after(code: str) -> set[str]:
    """The modules that are loaded after `code` has run in a new process."""
    code += "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True, env={})
    return set(json.loads(done.stdout))


def modules_loaded_by(*argv: str, **env: str) -> set[str]:
    """The modules that the program loads in a whole run, as the interpreter reports them."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", PROGRAM, *argv],
        capture_output=True,
        timeout=60,
        check=True,
        env=env,
    )
    lines = done.stderr.decode().splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


@pytest.mark.parametrize("argv", ["--version", "--help", "config ls --help", "image export --help"])
def test_help_and_version_import_nothing_slow(argv: str) -> None:
    assert modules_loaded_by(*argv.split()) & SLOW == set()


def completion_environment(shell: str, line: str) -> dict[str, str]:
    """The environment of the program when TAB is pressed at the end of `line`."""
    words = f"devlxdctl {line}"
    position = line.rpartition(" ")[2] if shell == "fish" else str(words.count(" "))
    return {"_DEVLXDCTL_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": position}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    "line", ["dev", "config ", "config ls --", "events --type d", "-f ", "help c", "--socket "]
)
def test_completion_without_a_request_imports_nothing_slow(line: str, shell: str) -> None:
    assert modules_loaded_by(**completion_environment(shell, line)) & SLOW == set()


@pytest.mark.parametrize("line", ["config get ", "devices ", "devices --type "])
def test_completion_with_a_request_imports_only_http(line: str, simulator: Simulator) -> None:
    environment = completion_environment("fish", f"--socket {simulator.path} {line}")
    assert modules_loaded_by(**environment) & SLOW == HTTP


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("versions", HTTP),
        ("state", HTTP),
        ("-f json state", HTTP),
        ("ready", HTTP),
        ("config ls", HTTP),
        ("config ls -l", HTTP),
        ("config get user.ssh-keys --default x", HTTP),
        ("config env", HTTP),
        ("devices", HTTP),
        ("metadata", HTTP),
        ("dump", HTTP),
        ("query /1.0", {"http.client", "logging"}),
        ("wait host", HTTP),
        ("events --for 0.01", {"http.client", "json", "logging", "websocket"}),
        ("wait device root", WATCH),
        ("doctor", WATCH),
    ],
)
def test_command_imports_only_what_it_needs(argv: str, expected: set[str], socket_directory: Path) -> None:
    with Simulator(socket_directory / "sock") as simulator:
        assert modules_loaded_by("--socket", str(simulator.path), *argv.split()) & SLOW == expected


def test_library_leaves_the_detection_of_character_sets_in_requests() -> None:
    """Only the command line may replace modules of other libraries in its process."""
    assert "charset_normalizer.api" in modules_after("import devlxdctl.http.transport")


def test_library_imports_neither_click_nor_rich_nor_the_command_line() -> None:
    modules = library_modules()
    assert len(modules) > 30
    loaded = modules_after("import " + ", ".join(modules))
    assert loaded >= set(modules) - {module for module in modules if module.endswith("__init__")}
    assert loaded & {"click", "rich", "devlxdctl.cli", "devlxdctl.simulator", "devlxdctl.testing"} == set()


def test_import_of_the_package_loads_only_its_version() -> None:
    loaded = {name for name in modules_after("import devlxdctl") if name.startswith("devlxdctl")}
    assert loaded == {"devlxdctl", "devlxdctl._version"}
