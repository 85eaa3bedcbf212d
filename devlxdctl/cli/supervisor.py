"""The parent of a command that is run again with new values when config keys change."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from devlxdctl import BadData, DevLXDError
from devlxdctl.cli.environment import fits_environment, inherited_environment
from devlxdctl.cli.output.stdio import print_error
from devlxdctl.cli.signals import die_by_signal

if TYPE_CHECKING:
    from devlxdctl import Burst

_ENDING: Final = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
_PASSED_ON: Final = _ENDING | {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
_UPDATED: Final = signal.SIGRTMIN
"""Sent by the thread that follows the keys."""
_AWAITED: Final = _PASSED_ON | {signal.SIGCHLD, _UPDATED}

_SI_KERNEL: Final = 0x80
"""The code of a signal from a terminal, which sends it to all processes in the foreground."""
_POLL: Final = 0.05  # seconds between two looks for processes whose end causes no signal here
_ARGUMENT_SIZE: Final = 16  # bytes that a string of an environment takes besides its text


class Process:
    """A running command. With `has_group`, it has a process group of its own."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], mask: set[Any], has_group: bool
    ) -> None:
        """Start it, with the signals of `mask` blocked. Raises `OSError`."""
        program = command[0]
        if "/" not in program:
            found = shutil.which(program, path=environment.get("PATH", os.defpath))
            if found is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            program = found
        group: dict[str, Any] = {"setpgroup": 0} if has_group else {}
        # Python ignores these two signals, and the command would inherit that. Not subprocess: it starts
        # commands with all signals blocked that are blocked here.
        defaults = {signal.SIGPIPE, signal.SIGXFSZ}
        self.pid = os.posix_spawn(program, command, environment, setsigmask=mask, setsigdef=defaults, **group)
        self.status: int | None = None
        """The exit status, or the negative number of the signal that ended it. None while it runs."""
        self._has_group = has_group

    def send(self, number: int) -> None:
        """Send a signal to the command itself."""
        if self.status is None:
            os.kill(self.pid, number)

    def send_all(self, number: int) -> None:
        """Send a signal to all processes of its group, as far as it has one."""
        if not self._has_group:
            self.send(number)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # none is left, or none of this user
            os.killpg(self.pid, number)

    def is_gone(self) -> bool:
        """Whether the command and all processes of its group have ended."""
        if self.status is None or not self._has_group:
            return self.status is not None
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return True
        return False


class Supervisor:
    """Runs a command, again after each change, until it ends by itself. Only for the main thread.

    * `command`: the command and its arguments.
    * `make_variables`: returns the variables of config keys with their values. Raises `BadData`.
    * `change_signal`: send this signal after a change, and do not restart the command.
    * `kill_after`: seconds between TERM and KILL.

    At a terminal, the command stays in the process group of this process, so that Ctrl-C and Ctrl-Z reach
    both. Otherwise it has its own, and all processes in it are stopped with it.
    """

    def __init__(
        self,
        command: list[str],
        make_variables: Callable[[Mapping[str, str]], dict[str, str]],
        change_signal: int | None,
        kill_after: float,
    ) -> None:
        self._command = command
        self._make_variables = make_variables
        self._change_signal = change_signal
        self._kill_after = kill_after
        self._has_group = sys.stdin is None or not sys.stdin.isatty()
        self._updates: SimpleQueue[Mapping[str, str] | BaseException] = SimpleQueue()
        self._variables: dict[str, str] | None = None
        """What the command gets from the keys; None before they have been read."""
        self._process: Process | None = None
        self._mask: set[Any] = set()
        self._kill_at: float | None = None
        """When KILL follows TERM: None while the command is not being restarted."""

    def run(self, bursts: Iterator[Burst]) -> int:
        """Run the command and return its exit status; if a signal ended it, end by the same signal.

        Raises what `bursts` raises before the command is started, and `OSError` if it cannot be started.
        """
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if it is ignored, no exit status can be read
        # They stay blocked: one that was passed on must not end this process before the command.
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        main = threading.get_ident()
        thread = threading.Thread(target=self._follow, args=(bursts, main), name="devlxd-bursts", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the limit of threads
            raise DevLXDError(self._command[0], "cannot start a thread") from error
        while True:
            timeout = self._timeout()
            if timeout is None:
                info: signal.struct_siginfo | None = signal.sigwaitinfo(_AWAITED)
            else:
                info = signal.sigtimedwait(_AWAITED, timeout)
            if info is not None and info.si_signo in _PASSED_ON:
                if self._process is None:
                    return _end_by_signal(info.si_signo)
                self._pass_on(self._process, info.si_signo, info.si_code == _SI_KERNEL)
            self._reap()
            self._update()
            status = self._proceed()
            if status is not None:
                return status if status >= 0 else _end_by_signal(-status)

    def _follow(self, bursts: Iterator[Burst], main: int) -> None:
        """The thread: hand over the values of each burst, and what ends it."""
        try:
            for burst in bursts:
                self._updates.put(burst.values)
                signal.pthread_kill(main, _UPDATED)
        except BaseException as error:
            self._updates.put(error)
            signal.pthread_kill(main, _UPDATED)

    def _timeout(self) -> float | None:
        if self._kill_at is None or self._process is None:
            return None
        rest = self._kill_at - time.monotonic()
        return rest if rest > 0 and self._process.status is None else _POLL

    def _pass_on(self, process: Process, number: int, is_from_terminal: bool) -> None:
        if self._has_group or not is_from_terminal:
            (process.send_all if number in _ENDING else process.send)(number)
        if number in _ENDING:
            self._kill_at = None  # no restart any more

    def _reap(self) -> None:
        """Read the exit statuses of the command and, as process 1, of all that have lost their parents."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._process is not None and pid == self._process.pid:
                self._process.status = os.waitstatus_to_exitcode(status)

    def _update(self) -> None:
        """Take the newest values, and stop the command or send it a signal if they differ."""
        values: Mapping[str, str] | None = None
        while not self._updates.empty():
            update = self._updates.get()
            if isinstance(update, BaseException):
                self._report(update)
            else:
                values = update
        if values is None:
            return
        try:
            variables = self._make_variables(values)
            _check_size(self._command, {**inherited_environment(), **variables})
        except BadData as error:
            self._report(error)
            return
        if variables == self._variables:
            return
        self._variables = variables
        if self._process is None or self._process.status is not None:
            return
        if self._change_signal is not None:
            self._process.send(self._change_signal)
        elif self._kill_at is None:
            self._kill_at = time.monotonic() + self._kill_after
            self._process.send_all(signal.SIGTERM)
            self._process.send_all(signal.SIGCONT)  # one that is stopped could not end

    def _report(self, error: BaseException) -> None:
        """Raise an error at the start; later print it, since the command can go on without new values."""
        if self._process is None or not isinstance(error, DevLXDError):
            raise error
        print_error(f"devlxdctl: {error}; {self._command[0]} keeps its values")

    def _proceed(self) -> int | None:
        """Start the command if it is time for that. Return its exit status if it has ended by itself."""
        process = self._process
        if process is not None:
            if process.status is not None and self._kill_at is None:
                return process.status
            if self._kill_at is None:
                return None
            if not process.is_gone():
                if time.monotonic() >= self._kill_at:
                    process.send_all(signal.SIGKILL)
                return None
        if self._variables is not None:
            environment = {**inherited_environment(), **self._variables}
            self._process = Process(self._command, environment, self._mask, self._has_group)
            self._kill_at = None
        return None


def _check_size(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Raise `BadData` for an environment that the kernel would not accept."""
    for name, text in environment.items():
        if not fits_environment(name, text):
            raise BadData(name, "value is too large for an environment")
    strings = [*command, *(f"{name}={text}" for name, text in environment.items())]
    size = sum(len(os.fsencode(string)) + _ARGUMENT_SIZE for string in strings)
    if size > os.sysconf("SC_ARG_MAX"):
        raise BadData(command[0], "the values do not fit into an environment")


def _end_by_signal(number: int) -> int:
    """End this process by the signal that ended the command. Process 1 cannot: return an exit status."""
    if os.getpid() == 1:
        return 128 + number
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the command has written its own core file
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    if number == signal.SIGKILL:
        os.kill(os.getpid(), number)
    die_by_signal(number)
