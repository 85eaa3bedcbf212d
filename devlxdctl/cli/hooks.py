"""Running the user's commands: before a file is replaced, after it was, and for changes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from devlxdctl import BadData
from devlxdctl.cli.environment import fits_environment, inherited_environment
from devlxdctl.cli.output.render import compact_json
from devlxdctl.cli.output.stdio import print_error

if TYPE_CHECKING:
    from devlxdctl import Change

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
_SIGNALLED: Final = 128
"""The statuses of shells for a command that does not exist, cannot be run, or was killed (128 + signal)."""

_VARIABLES: Final = ("DEVLXD_KEY", "DEVLXD_ACTION", "DEVLXD_VALUE", "DEVLXD_OLD_VALUE")


def run_hook(command: Sequence[str], change: Change[str]) -> None:
    """Run `command` for one change, with the value on its standard input. A failure is printed to stderr."""
    variables = _fitting({"DEVLXD_ACTION": change.action, "DEVLXD_KEY": change.key})
    values = _fitting({"DEVLXD_VALUE": change.value, "DEVLXD_OLD_VALUE": change.old_value})
    stdin = (change.value or "").encode("utf-8", "surrogateescape")
    run_command(command, change.key, stdin, variables, values)


def run_batch(command: Sequence[str], changes: Sequence[Change[str]]) -> None:
    """Run `command` for several changes, as JSON Lines on its standard input."""
    keys = changes[0].key if len(changes) == 1 else f"{changes[0].key} and {len(changes) - 1} more"
    run_command(command, keys, "".join(f"{change_json(each)}\n" for each in changes).encode())


def change_json(change: Change[str]) -> str:
    """Return a change as a line of JSON."""
    fields = {"key": change.key, "value": change.value, "old_value": change.old_value}
    return compact_json({**fields, "action": change.action})


def run_command(
    command: Sequence[str],
    subject: str,
    stdin: bytes = b"",
    variables: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
) -> int:
    """Run `command` to its end and return its exit status, in the way of shells.

    A failure is printed to stderr, as one of `subject`. The environment gets `variables`, and `values` too if
    these fit; it never has the bearer token.
    """
    import subprocess

    own = {name: text for name, text in inherited_environment().items() if name not in _VARIABLES}
    small = {**own, **(variables or {})}
    for environment in ({**small, **(values or {})}, small):
        try:
            status = subprocess.run(command, input=stdin, env=environment, check=False).returncode
        except OSError as error:
            if error.errno == errno.E2BIG and environment is not small:
                continue
            print_error(f"devlxdctl: {_start_error(command, error)}")
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        if status != 0:
            print_error(f"devlxdctl: {subject}: {command[0]} failed with {_how(status)}")
        return status if status >= 0 else _SIGNALLED - status
    raise AssertionError("the loop returns")


def checker(command: Sequence[str], path: str) -> Callable[[str], None]:
    """Return the check of a new file for `path` by a command.

    The command gets the name of the new file in place of `{}`, or at its end. Its output goes to stderr.
    """

    def check(temporary: str) -> None:
        import subprocess
        import sys

        words = [word.replace("{}", temporary) for word in command]
        if words == list(command):
            words.append(temporary)
        try:
            status = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr or subprocess.DEVNULL,
                env=inherited_environment(),
                check=False,
            ).returncode
        except OSError as error:
            raise BadData(path, f"check failed: {_start_error(command, error)}") from error
        if status != 0:
            raise BadData(path, f"check failed: {command[0]} ended with {_how(status)}")

    return check


def _fitting(variables: Mapping[str, str | None]) -> dict[str, str]:
    """The variables that have a value that fits into an environment."""
    return {
        name: text for name, text in variables.items() if text is not None and fits_environment(name, text)
    }


def _start_error(command: Sequence[str], error: OSError) -> str:
    return f"{command[0]}: {os.strerror(error.errno).lower() if error.errno else 'cannot be run'}"


def _how(status: int) -> str:
    return f"exit status {status}" if status > 0 else f"signal {-status}"
