"""What is imported when: start-up time, and which layer may know which."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import devlxdctl
from devlxdctl.simulator import Simulator
from tests.support.program import PROGRAM

HEAVY = {
    *("aiohttp", "asyncio", "charset_normalizer.api", "chardet.universaldetector", "concurrent.futures"),
    *("dataclasses", "http.client", "json", "logging", "multipart", "requests", "rich", "subprocess"),
    *("urllib3", "websocket", "yaml"),
}
"""What takes milliseconds, or tens of them. Of what guesses character sets, a part that only it has."""
if sys.version_info < (3, 11):
    HEAVY.discard("subprocess")  # Click imports uuid, and with that platform, which imports it there

HTTP = {"http.client", "json", "logging", "requests", "urllib3"}
EVENTS = {*HTTP, "websocket"}
MODULES = sorted(
    path.stem
    for path in Path(devlxdctl.__file__).parent.glob("*.py")
    if path.stem not in ("__init__", "__main__")
)


def modules(code: str, *argv: str, env: Mapping[str, str] | None = None) -> set[str]:
    """The modules that are loaded after `code` has run in a process of its own."""
    tell = "\nimport json, sys; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code + tell, *argv], capture_output=True, timeout=60, check=True, env=env or {}
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def loaded_by(*argv: str, **env: str) -> set[str]:
    """The modules that the whole program loads, told by the interpreter: it ends too fast to be asked."""
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
def test_help_and_version_import_nothing_heavy(argv: str) -> None:
    assert loaded_by(*argv.split()) & HEAVY == set()


def completing(shell: str, line: str) -> dict[str, str]:
    """The environment of a TAB in that shell at the end of that line."""
    words = f"devlxdctl {line}"
    position = line.rpartition(" ")[2] if shell == "fish" else str(words.count(" "))
    return {"_DEVLXDCTL_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": position}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    "line", ["dev", "config ", "config ls --", "events --type d", "-f ", "help c", "--socket "]
)
def test_a_tab_that_needs_no_host_imports_nothing_heavy(line: str, shell: str) -> None:
    assert loaded_by(**completing(shell, line)) & HEAVY == set()


def test_a_tab_that_asks_the_host_imports_neither_rich_nor_websocket(short: Path) -> None:
    with Simulator(short / "sock") as host:
        for question in ("config get ", "devices ", "devices --type "):
            assert loaded_by(**completing("fish", f"--socket {host.path} {question}")) & HEAVY == HTTP


@pytest.mark.parametrize(
    ("argv", "heavy"),
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
        ("query /1.0", {"http.client", "logging"}),  # its bytes are its own
        ("wait host", HTTP),
        ("events --for 0.01", EVENTS),
        ("wait device root", {*EVENTS, "dataclasses"}),
        ("doctor", {*EVENTS, "dataclasses"}),
    ],
)
def test_a_command_imports_what_it_needs(argv: str, heavy: set[str], short: Path) -> None:
    with Simulator(short / "sock") as host:
        assert loaded_by("--socket", str(host.path), *argv.split()) & HEAVY == heavy


def test_the_library_lets_requests_be_as_it_is() -> None:
    """To do without the detection of character sets is for a program of our own to decide."""
    assert "charset_normalizer.api" in modules("import devlxdctl.http.transport")


@pytest.mark.parametrize("module", MODULES)
def test_the_library_knows_no_command_line(module: str) -> None:
    loaded = modules(f"import devlxdctl.{module}")
    assert loaded & {"click", "rich", "devlxdctl.cli", "devlxdctl.simulator"} == set()


def test_the_package_itself_loads_nothing_of_it() -> None:
    assert {name for name in modules("import devlxdctl") if name.startswith("devlxdctl")} == {"devlxdctl"}
