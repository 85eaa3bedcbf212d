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

HEAVY = {"requests", "urllib3", "rich", "websocket", "aiohttp", "yaml", "http.client", "logging", "json"}
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


def loaded_by(*argv: str, completing: tuple[str, str] | None = None) -> set[str]:
    """What a command line loads, or with `completing`, a TAB in that shell at the end of that line."""
    code = "try:\n from devlxdctl.cli import devlxdctl as c; c.main()\nexcept SystemExit: pass"
    env = {}
    if completing is not None:
        env = {"_DEVLXDCTL_COMPLETE": f"{completing[0]}_complete", "COMP_WORDS": f"devlxdctl {completing[1]}"}
    return modules(code, *argv, env=env) - modules("")


@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["config", "ls", "--help"]])
def test_help_and_version_import_nothing_heavy(argv: list[str]) -> None:
    assert loaded_by(*argv) & (HEAVY - {"json"}) == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    "line", ["dev", "config ", "config ls --", "events --type d", "-f ", "help c", "--socket "]
)
def test_a_tab_that_needs_no_host_imports_nothing_heavy(line: str, shell: str) -> None:
    assert loaded_by(completing=(shell, line)) & (HEAVY - {"json"}) == set()


def test_a_tab_that_asks_the_host_imports_neither_rich_nor_websocket(short: Path) -> None:
    with Simulator(short / "sock") as host:
        for question in ("config get ", "devices ", "devices --type "):
            loaded = loaded_by(completing=("fish", f"--socket {host.path} {question}"))
            assert "requests" in loaded
            assert loaded & {"rich", "websocket", "aiohttp", "yaml", "devlxdctl.simulator"} == set()


def test_a_question_in_json_imports_neither_rich_nor_websocket(short: Path) -> None:
    with Simulator(short / "sock") as host:
        for argv in (["-f", "json", "state"], ["config", "ls"], ["ready"], ["config", "env"]):
            loaded = loaded_by("--socket", str(host.path), *argv)
            assert "requests" in loaded
            assert loaded & {"rich", "websocket", "aiohttp", "yaml", "devlxdctl.simulator"} == set()


@pytest.mark.parametrize("module", MODULES)
def test_the_library_knows_no_command_line(module: str) -> None:
    loaded = modules(f"import devlxdctl.{module}")
    assert loaded & {"click", "rich", "devlxdctl.cli", "devlxdctl.simulator"} == set()


def test_the_package_itself_loads_nothing_of_it() -> None:
    assert {name for name in modules("import devlxdctl") if name.startswith("devlxdctl")} == {"devlxdctl"}
