"""Processes with separate stdout and stderr that can be read while they run, most of them in namespaces."""

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")


def poll(what: str, attempt: Callable[[], T | None], timeout: float, interval: float = 0.01) -> T:
    """Call `attempt` until it returns something other than None, and return that.

    Raises TimeoutError, which names `what`, after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = attempt()
        if value is not None:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: timed out after {timeout:g} s")
        time.sleep(interval)


def first_child(pid: int) -> int | None:
    """Return the first child of a process with one thread, as the kernel lists them; None without one."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(children[0]) if children else None


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal. Raises ProcessLookupError if it does not exist."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        raise ProcessLookupError(f"no process {pid}") from None
    # The state follows the name of the command, which can contain spaces and parentheses.
    return stat.rpartition(")")[2].split()[0] == "T"


DEFAULT_SIGNALS = ["env", "--default-signal"]
"""Runs a command with the default action for every signal. A shell in the background passes on an ignored
SIGINT, which a program respects."""


class Job:
    """A process and its output so far. Closing it kills the process if it still runs.

    * `via_nsenter`: `argv` is an nsenter that forks. Signals go to its child.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        via_nsenter: bool = False,
    ) -> None:
        self.argv = list(argv)
        self._via_nsenter = via_nsenter
        # Files in memory can be read while the process writes, and opened as /dev/stdin by any user.
        self._stdout, self._stderr = os.memfd_create("stdout"), os.memfd_create("stderr")
        self._closed = False
        with open(os.memfd_create("stdin"), "w+b") as source:
            source.write(stdin)
            source.seek(0)
            self._process = subprocess.Popen(
                self.argv,
                stdin=source,
                stdout=self._stdout,
                stderr=self._stderr,
                env=env,
                start_new_session=True,  # Ctrl-C in the terminal of the tests must not end it
            )

    def __enter__(self) -> "Job":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process ID outside the namespaces. Raises ProcessLookupError if the process has ended."""
        if not self._via_nsenter:
            return self._process.pid

        def find() -> int | None:
            pid = first_child(self._process.pid)
            if pid is None and not self.running:
                raise ProcessLookupError(self._describe("has ended"))
            return pid

        return poll(f"a child of {self.argv[0]}", find, 10)

    def kill(self, sig: int = signal.SIGTERM) -> None:
        """Send the process a signal. Raises ProcessLookupError if it has ended."""
        pid, parent = self.pid, self._process.pid
        # nsenter stops itself when its child stops. When it continues, it continues the child, and notices
        # the end of the child.
        is_parent_stopped = self._via_nsenter and is_stopped(parent)
        if sig == signal.SIGCONT and is_parent_stopped:
            os.kill(parent, sig)
            # If this returned earlier, a following SIGSTOP could arrive before the SIGCONT of nsenter.
            poll(f"{pid} continues", lambda: None if is_stopped(pid) else True, 10)
            return
        os.kill(pid, sig)
        if sig == signal.SIGKILL and is_parent_stopped:
            os.kill(parent, signal.SIGCONT)
        elif sig == signal.SIGSTOP:
            poll(f"{pid} stopped", lambda: (is_stopped(pid) and is_stopped(parent)) or None, 10)

    def wait(self, timeout: float = 60) -> int:
        """Return the exit status, -n after signal n. Raises TimeoutError, with the output so far."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(self._describe(f"still running after {timeout:g} s")) from None

    def stdout(self) -> bytes:
        """Return everything written to stdout so far."""
        return self._written(self._stdout)

    def stderr(self) -> bytes:
        """Return everything written to stderr so far."""
        return self._written(self._stderr)

    def wait_for(self, text: bytes, timeout: float = 20, *, stderr: bool = False) -> bytes:
        """Return the output as soon as it contains `text`.

        Raises TimeoutError after `timeout` seconds, and when the process ends without it.
        """
        read = self.stderr if stderr else self.stdout

        def find_text() -> bytes | None:
            running = self.running
            output = read()
            if text in output:
                return output
            if not running:
                raise TimeoutError(self._describe(f"ended without {text!r}"))
            return None

        try:
            return poll(repr(text), find_text, timeout)
        except TimeoutError as error:
            raise TimeoutError(self._describe(f"{text!r} is not in its output: {error}")) from None

    def close(self) -> None:
        """Kill the process if it still runs, and discard its output. Can be called again."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                self.kill(signal.SIGKILL)
            self._process.wait(20)
        if not self._closed:
            os.close(self._stdout)
            os.close(self._stderr)
            self._closed = True

    def _written(self, file: int) -> bytes:
        # The process writes at the file position that it shares with this descriptor: do not move it.
        return os.pread(file, os.fstat(file).st_size, 0)

    def _describe(self, what: str) -> str:
        ends = f"stdout ends with {self.stdout()[-2000:]!r}, stderr with {self.stderr()[-2000:]!r}"
        return f"{shlex.join(self.argv)}: {what}; {ends}"
