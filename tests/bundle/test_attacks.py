"""Other users of the guest cannot make root run their code through links, directories or the environment.

The attacks with HOME or XDG_CACHE_HOME succeeded while the cache was there.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.bundle import small
from tests.bundle.sandbox import ATTACKER, PYTHON, ROOT, USER, Sandbox, plant
from tests.support.program import Result

RACE_SECONDS = 10.0
EVIL = "/home/attacker/evil/devlxdctl"

other_users_directories = pytest.mark.parametrize(
    "env",
    [{"HOME": "/home/attacker"}, {"XDG_CACHE_HOME": "/home/attacker/.cache"}],
    ids=lambda env: next(iter(env)),
)


def fill_cache_of_root(sandbox: Sandbox, program: str) -> None:
    """Let root run the program once with a home directory of its own."""
    (sandbox.home / "root").mkdir()
    assert sandbox.run(program, env={"HOME": "/home/root"}) == Result(0, small.OUTPUT, b"")


def run_script_while_root_waits(sandbox: Sandbox, program: str, env: dict[str, str], script: str) -> bytes:
    """Let root start the program, the attacker run a script, and the program import more modules."""
    with sandbox.start(program, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == small.STARTED
        sandbox.python(script, user=ATTACKER)
        output, errors = process.communicate(b"\n", timeout=60)
    assert errors == b""
    return output


@other_users_directories
def test_link_replaced_after_the_start_runs_no_code_as_root(
    env: dict[str, str], sandbox: Sandbox, program: str, small_archive: Path
) -> None:
    fill_cache_of_root(sandbox, program)
    plant(sandbox, small_archive, EVIL)
    sandbox.python("import os; os.symlink('/home/root/.cache', '/home/attacker/.cache')", user=ATTACKER)
    script = "import os; os.chdir('/home/attacker'); os.symlink('evil', 'new'); os.rename('new', '.cache')"
    output = run_script_while_root_waits(sandbox, program, env, script)
    assert (sandbox.proofs(), output) == ([], small.ENDED)


@other_users_directories
def test_cache_created_by_root_and_replaced_by_its_parents_owner_runs_no_code_as_root(
    env: dict[str, str], sandbox: Sandbox, program: str, small_archive: Path
) -> None:
    plant(sandbox, small_archive, EVIL)
    script = (
        "import os; os.chdir('/home/attacker')\n"
        "if os.path.exists('.cache'): os.rename('.cache', 'old')\n"
        "os.symlink('evil', '.cache')"
    )
    output = run_script_while_root_waits(sandbox, program, env, script)
    assert (sandbox.proofs(), output) == ([], small.ENDED)


EXCHANGE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
first, second = map(os.fsencode, sys.argv[1:])
if libc.renameat2(-100, first, -100, second, 2):  # AT_FDCWD and RENAME_EXCHANGE
    sys.exit(os.strerror(ctypes.get_errno()))
print("exchanging", flush=True)
while True:
    libc.renameat2(-100, first, -100, second, 2)
"""


def run_while_two_links_are_exchanged(
    sandbox: Sandbox, program: str, links: tuple[str, str], user: int, env: dict[str, str]
) -> list[Result]:
    """Let a user run the program again and again while the attacker exchanges two links.

    Ends after RACE_SECONDS, or once the attacker's code has run. Returns the results without repetitions.
    """
    results: list[Result] = []
    with sandbox.start(PYTHON, "-IS", "-c", EXCHANGE, *links, user=ATTACKER) as attacker:
        try:
            assert attacker.stdout is not None and attacker.stdout.readline() == b"exchanging\n"
            end = time.monotonic() + RACE_SECONDS
            while not results or (time.monotonic() < end and not sandbox.proofs()):
                result = sandbox.run(program, user=user, env=env)
                if result not in results:
                    results.append(result)
        finally:
            attacker.terminate()
            attacker.communicate(timeout=10)
    return results


@other_users_directories
def test_exchanged_links_run_no_code_as_root(
    env: dict[str, str], sandbox: Sandbox, program: str, small_archive: Path
) -> None:
    fill_cache_of_root(sandbox, program)
    plant(sandbox, small_archive, EVIL)
    links = ("/home/attacker/.cache", "/home/attacker/other")
    sandbox.python("import os, sys; os.symlink('/home/root/.cache', sys.argv[1])", links[0], user=ATTACKER)
    sandbox.python("import os, sys; os.symlink('evil', sys.argv[1])", links[1], user=ATTACKER)
    results = run_while_two_links_are_exchanged(sandbox, program, links, ROOT, env)
    assert (sandbox.proofs(), results) == ([], [Result(0, small.OUTPUT, b"")])


def test_python_packages_of_another_user_run_no_code_as_root(sandbox: Sandbox, program: str) -> None:
    script = (
        "import os, sys\n"
        "site = '/home/attacker/.local/lib/python%d.%d/site-packages' % sys.version_info[:2]\n"
        "os.makedirs(site)\n"
        "with open(site + '/attack.pth', 'w') as file:\n"
        "    file.write(\"import os; open('/home/proof/' + str(os.geteuid()), 'w')\\n\")"
    )
    sandbox.python(script, user=ATTACKER)
    env = {"HOME": "/home/attacker", "PYTHONPATH": "/home/attacker/evil"}
    result = sandbox.run(program, env=env)
    assert (sandbox.proofs(), result) == ([], Result(0, small.OUTPUT, b""))


def test_exchanged_links_to_a_home_directory_run_no_code_of_their_owner(
    sandbox: Sandbox, program: str, small_archive: Path
) -> None:
    plant(sandbox, small_archive, "/home/attacker/evil/.cache/devlxdctl")
    (sandbox.home / "user").rename(sandbox.home / "real")
    (sandbox.home / "user").symlink_to("attacker/user")
    links = ("/home/attacker/user", "/home/attacker/other")
    sandbox.python("import os, sys; os.symlink('/home/real', sys.argv[1])", links[0], user=ATTACKER)
    sandbox.python("import os, sys; os.symlink('evil', sys.argv[1])", links[1], user=ATTACKER)
    assert sandbox.run(program, user=USER) == Result(0, small.OUTPUT, b"")
    assert (sandbox.home / "real" / ".cache" / "devlxdctl").is_dir()
    results = run_while_two_links_are_exchanged(sandbox, program, links, USER, {})
    assert (sandbox.proofs(), results) == ([], [Result(0, small.OUTPUT, b"")])
