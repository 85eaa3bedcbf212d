"""The cache of compiled modules: where it is, what is in it, and that damage to it is repaired."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bundle import small
from tests.bundle.sandbox import PYTHON, ROOT, USER, Sandbox, digest, tree
from tests.support.program import Result

DONE = Result(0, small.OUTPUT, b"")


def only_cache(directory: Path) -> Path:
    (cache,) = directory.iterdir()
    return cache


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_root_has_its_cache_in_var(sandbox: Sandbox, program: str, small_archive: Path) -> None:
    for _ in range(2):
        assert sandbox.run(program, env={"HOME": "/home/user"}) == DONE
    cache = only_cache(sandbox.cache / "devlxdctl")
    assert cache.name.startswith(f"{digest(small_archive)}-cpython-3")
    assert names(cache) == small.CACHED
    assert names(sandbox.home / "user") == []


def test_user_has_a_cache_in_the_home_directory_of_the_password_database(
    sandbox: Sandbox, program: str
) -> None:
    env = {"HOME": "/home/proof", "XDG_CACHE_HOME": "/home/proof/cache"}
    for _ in range(2):
        assert sandbox.run(program, user=USER, env=env) == DONE
    assert names(only_cache(sandbox.home / "user" / ".cache" / "devlxdctl")) == small.CACHED
    assert names(sandbox.home / "proof") == []


def test_link_to_a_directory_of_the_user_is_followed(sandbox: Sandbox, program: str) -> None:
    (sandbox.home / "user" / "large").mkdir()
    os.chown(sandbox.home / "user" / "large", USER, USER)
    (sandbox.home / "user" / ".cache").symlink_to("large")
    assert sandbox.run(program, user=USER) == DONE
    assert names(only_cache(sandbox.home / "user" / "large" / "devlxdctl")) == small.CACHED


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("user", [ROOT, USER])
def test_cache_is_private_whatever_the_umask(umask: int, user: int, sandbox: Sandbox, program: str) -> None:
    assert sandbox.run(program, user=user, umask=umask) == DONE
    top = sandbox.cache if user == ROOT else sandbox.home / "user"
    modes = {name: mode for name, (_, mode, _) in tree(top).items()}
    assert len(modes) == len(small.CACHED) + (2 if user == ROOT else 3)
    assert {oct(mode) for mode in modes.values()} == {"0o40700", "0o100600"}


def test_complete_cache_is_only_read(sandbox: Sandbox, program: str) -> None:
    assert sandbox.run(program) == DONE
    before = tree(sandbox.cache)
    assert sandbox.run(program) == DONE
    assert tree(sandbox.cache) == before


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def _truncate_in_the_checksum(path: Path) -> None:
    os.truncate(path, 7)


def _fill_with_zeros(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, 0)
    os.truncate(path, size)


def _zero_the_end(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, size // 2)
    os.truncate(path, size)


def _change_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"0")


def _link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def _deny(path: Path) -> None:
    path.chmod(0)


@pytest.mark.parametrize(
    "damage",
    [
        *(_empty, _truncate, _truncate_in_the_checksum, _fill_with_zeros, _zero_the_end, _change_a_byte),
        *(_append, Path.unlink, _link_to_nothing, _deny),
    ],
    ids=lambda damage: damage.__name__.strip("_"),
)
def test_damaged_files_are_replaced(damage: Callable[[Path], None], sandbox: Sandbox, program: str) -> None:
    assert sandbox.run(program, user=USER) == DONE
    cache = only_cache(sandbox.home / "user" / ".cache" / "devlxdctl")
    before = {path.name: path.stat().st_size for path in cache.iterdir()}
    for path in cache.iterdir():
        damage(path)
    assert sandbox.run(program, user=USER) == DONE
    repaired = tree(cache)
    assert {path.name: path.stat().st_size for path in cache.iterdir()} == before
    assert sandbox.run(program, user=USER) == DONE
    assert tree(cache) == repaired


def test_directory_in_the_place_of_a_file_is_left_alone(sandbox: Sandbox, program: str) -> None:
    assert sandbox.run(program) == DONE
    cache = only_cache(sandbox.cache / "devlxdctl")
    (cache / "third").unlink()
    (cache / "third" / "more").mkdir(parents=True)
    before = tree(sandbox.cache)
    assert sandbox.run(program) == DONE
    assert tree(sandbox.cache) == before


def test_cache_of_an_earlier_archive_is_removed_while_a_program_runs_from_it(
    sandbox: Sandbox, program: str, tmp_path: Path
) -> None:
    later = small.build(tmp_path / "later.pyz", additional=b"")
    top = sandbox.cache / "devlxdctl"
    foreign = ["0123456789abcdef", "my-notes"]
    for name in foreign:
        (top / name).mkdir(parents=True)
        (top / name / "file").touch()
    (top / f"{'0' * 16}-link").symlink_to("my-notes")
    with sandbox.start(program) as process:
        assert process.stdout is not None and process.stdout.readline() == small.STARTED
        assert sandbox.run(sandbox.install(later, "later")) == DONE
        (cache,) = top.glob(f"{digest(later)}-*")
        assert names(top) == sorted([*foreign, cache.name, f"{'0' * 16}-link"])
        assert process.communicate(b"\n", timeout=60) == (small.ENDED, b"")
    assert [names(top / name) for name in foreign] == [["file"], ["file"]]


def test_other_optimization_has_a_cache_of_its_own(sandbox: Sandbox, program: str) -> None:
    assert sandbox.run(program) == DONE
    assert sandbox.run(PYTHON, "-IS", "-O", program) == DONE
    assert [name[-1] for name in names(sandbox.cache / "devlxdctl")] == ["0", "1"]


def test_no_cache_is_written_if_python_may_not_write_bytecode(sandbox: Sandbox, program: str) -> None:
    assert sandbox.run(PYTHON, "-ISB", program) == DONE
    assert names(sandbox.cache) == []
    (sandbox.cache / "devlxdctl").mkdir()
    assert sandbox.run(PYTHON, "-ISB", program) == DONE
    assert names(sandbox.cache / "devlxdctl") == []
    assert sandbox.run(program) == DONE
    cache = only_cache(sandbox.cache / "devlxdctl")
    (cache / "third").unlink()
    assert sandbox.run(PYTHON, "-ISB", program) == DONE
    assert "third" not in names(cache)


def test_program_killed_during_its_first_start_leaves_nothing_that_the_next_does_not_replace(
    sandbox: Sandbox, program: str
) -> None:
    top = sandbox.cache / "devlxdctl"
    for count in range(len(small.CACHED)):
        with sandbox.start(program) as process:
            assert process.stdin is not None
            process.stdin.close()  # the program reads a line before it imports the last modules
            end = time.monotonic() + 30
            while len(list(top.glob("*/*"))) < count and process.poll() is None and time.monotonic() < end:
                time.sleep(0.0005)
            process.kill()
            process.wait(30)
        assert sandbox.run(program) == DONE
        cache = only_cache(top)
        assert names(cache) == small.CACHED
        for path in cache.iterdir():
            path.unlink()
        cache.rmdir()
