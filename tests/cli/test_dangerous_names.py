"""`config env` and `config run`: variables whose names change how programs run."""

from __future__ import annotations

from pathlib import Path

import pytest

from devlxdctl.simulator import Simulator
from tests.config.jobs import Jobs, wait_for_content
from tests.support.program import Result, failure, run

REFUSED = failure(
    8,
    "user.ld_preload: 'LD_PRELOAD' changes how programs run",
    "use another --prefix, or allow such names with --allow-dangerous-names",
)
ALLOWED = ("--prefix", "", "--allow-dangerous-names")


def set_dangerous_key(simulator: Simulator) -> None:
    simulator.set({"user.ld_preload": "/nowhere.so"})


@pytest.mark.parametrize(
    "argv",
    [
        ["env", "user.*_preload"],
        ["env", "user.*_preload", "--export"],
        ["env", "user.*_preload", "-f", "json"],
        ["env", "user.*_preload", "-o", "{file}"],
        ["env", "user.*_preload", "-o", "{file}", "--watch"],
        ["run", "user.*_preload", "--", "touch", "{file}"],
        ["run", "user.*_preload", "--watch", "--", "touch", "{file}"],
    ],
    ids=" ".join,
)
def test_dangerous_name_is_refused(argv: list[str], simulator: Simulator, tmp_path: Path) -> None:
    set_dangerous_key(simulator)
    file = tmp_path / "file"
    words = [word.replace("{file}", str(file)) for word in argv]
    words[2:2] = ["--prefix", ""]
    assert run("config", *words, socket=simulator.path) == REFUSED
    assert not file.exists()


def test_dangerous_name_is_allowed_on_request(simulator: Simulator, tmp_path: Path) -> None:
    set_dangerous_key(simulator)
    assignment = b"LD_PRELOAD='/nowhere.so'\n"
    words = ("config", "env", "user.*_preload", *ALLOWED)
    assert run(*words, socket=simulator.path) == Result(0, assignment, b"")
    file = tmp_path / "file"
    assert run(*words, "-o", file, socket=simulator.path) == Result(0, b"", b"")
    assert file.read_bytes() == assignment
    simulator.set({"user.ld_preload": "", "user.ifs": ":"})
    argv = ["config", "run", "user.ifs", *ALLOWED, "--", "printenv", "IFS"]
    assert run(*argv, socket=simulator.path) == Result(0, b":\n", b"")
    simulator.set({"user.path": "/bin"})
    argv = ["config", "run", "user.path", *ALLOWED, "--watch", "--", "printenv", "PATH"]
    assert run(*argv, socket=simulator.path) == Result(0, b"/bin\n", b"")


def test_file_stays_as_it_is_when_a_dangerous_name_appears(
    simulator: Simulator, jobs: Jobs, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    job = jobs.start("config", "env", "user.[lr]*", "--prefix", "", "-o", str(file), "--watch")
    wait_for_content(file, b"ROLE='web'\n")
    set_dangerous_key(simulator)
    problem = b"devlxdctl: user.ld_preload: 'LD_PRELOAD' changes how programs run; "
    job.wait_for(problem + str(file).encode() + b" is left as it is\n", stderr=True)
    assert file.read_bytes() == b"ROLE='web'\n"
    simulator.set({"user.ld_preload": "", "user.role": "db"})
    wait_for_content(file, b"ROLE='db'\n")


def test_command_keeps_its_values_when_a_dangerous_name_appears(simulator: Simulator, jobs: Jobs) -> None:
    code = "echo role $ROLE; exec sleep 1000"
    job = jobs.start(
        *("config", "run", "user.[lr]*", "--prefix", "", "--watch", "--", "sh", "-c", code),
    )
    job.wait_for(b"role web\n")
    set_dangerous_key(simulator)
    job.wait_for(
        b"devlxdctl: user.ld_preload: 'LD_PRELOAD' changes how programs run; sh keeps its values\n",
        stderr=True,
    )
    simulator.set({"user.ld_preload": "", "user.role": "db"})
    job.wait_for(b"role db\n")
    assert job.stdout() == b"role web\nrole db\n"
