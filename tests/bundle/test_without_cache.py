"""The program runs from the archive where there can be no cache, and while the archive is replaced."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bundle import small
from tests.bundle.sandbox import PYTHON, USER, Sandbox
from tests.support.program import Result

DONE = Result(0, small.OUTPUT, b"")


def _home_is_missing(sandbox: Sandbox) -> None:
    (sandbox.home / "user").rmdir()


def _home_of_root(sandbox: Sandbox) -> None:
    os.chown(sandbox.home / "user", 0, 0)


def _home_is_a_file(sandbox: Sandbox) -> None:
    (sandbox.home / "user").rmdir()
    (sandbox.home / "user").touch()


def _cache_is_a_file(sandbox: Sandbox) -> None:
    (sandbox.home / "user" / ".cache").touch()


def _cache_is_a_loop_of_links(sandbox: Sandbox) -> None:
    (sandbox.home / "user" / ".cache").symlink_to(".cache")


def _user_is_unknown(sandbox: Sandbox) -> None:
    sandbox.passwd.write_text("root:x:0:0:root:/root:/bin/sh\n")


def _home_is_relative(sandbox: Sandbox) -> None:
    sandbox.passwd.write_text(f"user:x:{USER}:{USER}::home/user:/bin/sh\n")


@pytest.mark.parametrize(
    "prepare",
    [
        *(_home_is_missing, _home_of_root, _home_is_a_file, _cache_is_a_file, _cache_is_a_loop_of_links),
        *(_user_is_unknown, _home_is_relative),
    ],
    ids=lambda prepare: prepare.__name__.strip("_"),
)
def test_program_runs_for_a_user_without_a_cache(
    prepare: Callable[[Sandbox], None], sandbox: Sandbox, program: str
) -> None:
    prepare(sandbox)
    before = sorted(sandbox.home.rglob("*"))
    assert sandbox.run(program, user=USER) == DONE
    assert sorted(sandbox.home.rglob("*")) == before


@pytest.mark.parametrize(
    "mount",
    ["mount -o bind,remount,ro /var/cache", "umount /var/cache; mount -t tmpfs -o size=4k tmpfs /var/cache"],
)
def test_program_runs_as_root_on_a_read_only_or_full_file_system(
    mount: str, sandbox: Sandbox, program: str
) -> None:
    for _ in range(2):
        assert sandbox.run("sh", "-ec", f'{mount}; "$0"; exec "$0"', program) == Result(
            0, small.OUTPUT * 2, b""
        )
    assert list(sandbox.cache.iterdir()) == []


def test_program_runs_with_a_limit_of_file_size(sandbox: Sandbox, program: str) -> None:
    command = ["sh", "-ec", 'ulimit -f 0; "$0" | cat; "$0" | cat', program]
    assert sandbox.run(*command) == Result(0, small.OUTPUT * 2, b"")
    assert sandbox.run(program) == DONE


_STREAMS = b"""
import os

def main():
    found = []
    for number in range(3):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            found.append("closed")
    with open("/home/proof/streams", "w") as file:
        file.write(" ".join(found))
    os._exit(0)
"""


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_closed_standard_streams_stay_closed(
    closed: tuple[int, ...], sandbox: Sandbox, tmp_path: Path
) -> None:
    archive = small.build(tmp_path / "streams.pyz", **{"devlxdctl.__main__": _STREAMS})
    redirections = [f"{number}>&-" if number in closed else f"{number}<>/dev/null" for number in range(3)]
    command = ["sh", "-c", f'exec "$0" {" ".join(redirections)}', sandbox.install(archive)]
    for _ in range(2):
        assert sandbox.run(*command) == Result(0, b"", b"")
        expected = ["closed" if number in closed else "/dev/null" for number in range(3)]
        assert (sandbox.home / "proof" / "streams").read_text().split() == expected


def test_program_continues_from_its_archive_when_that_is_replaced(
    sandbox: Sandbox, program: str, tmp_path: Path
) -> None:
    later = small.build(tmp_path / "later.pyz", third=b"VALUE = 'other'\n")
    with sandbox.start(PYTHON, "-ISB", program) as process:
        assert process.stdout is not None and process.stdout.readline() == small.STARTED
        sandbox.install(later, "later")
        (sandbox.home / "later").rename(sandbox.home / "devlxdctl")
        assert process.communicate(b"\n", timeout=60) == (small.ENDED, b"")


def test_program_says_that_its_archive_was_overwritten(
    sandbox: Sandbox, program: str, tmp_path: Path
) -> None:
    later = small.build(tmp_path / "later.pyz", third=b"VALUE = 'other'\n")
    with sandbox.start(PYTHON, "-ISB", program) as process:
        assert process.stdout is not None and process.stdout.readline() == small.STARTED
        sandbox.install(later)
        output, errors = process.communicate(b"\n", timeout=60)
    assert (process.returncode, output) == (1, b"")
    last = errors.decode().splitlines()[-1]
    assert last == "ImportError: /home/devlxdctl: overwritten while the program was running"


def test_program_continues_from_its_cache_when_its_archive_is_overwritten(
    sandbox: Sandbox, program: str, tmp_path: Path
) -> None:
    assert sandbox.run(program) == DONE
    later = small.build(tmp_path / "later.pyz", third=b"VALUE = 'other'\n")
    with sandbox.start(program) as process:
        assert process.stdout is not None and process.stdout.readline() == small.STARTED
        sandbox.install(later)
        assert process.communicate(b"\n", timeout=60) == (small.ENDED, b"")


_TRACEBACK = b"""\
import traceback

def main():
    try:
        1 / 0
    except ArithmeticError:
        traceback.print_exc()
"""


def test_traceback_has_lines_of_the_source(sandbox: Sandbox, tmp_path: Path) -> None:
    archive = small.build(tmp_path / "traceback.pyz", **{"devlxdctl.__main__": _TRACEBACK})
    result = sandbox.run(sandbox.install(archive))
    assert result.stderr.decode().splitlines()[1:3] == [
        '  File "devlxdctl.pyz/devlxdctl/__main__.py", line 5, in main',
        "    1 / 0",
    ]


def test_neither_the_archive_nor_the_cache_is_in_the_search_path(sandbox: Sandbox, tmp_path: Path) -> None:
    main = b"import sys\n\ndef main():\n    print(*sys.path, sep='\\n')\n"
    archive = small.build(tmp_path / "path.pyz", **{"devlxdctl.__main__": main})
    expected = sandbox.run(PYTHON, "-ISc", "import sys; print(*sys.path, sep='\\n')")
    for _ in range(2):
        assert sandbox.run(sandbox.install(archive)) == expected
