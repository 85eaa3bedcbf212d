"""Processes, most of them inside namespaces, with their output apart and readable while they run."""

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
    """What attempt returns as soon as that is not None; TimeoutError, which says what for, past timeout."""
    deadline = time.monotonic() + timeout
    while True:
        value = attempt()
        if value is not None:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(interval)


def child_of(pid: int) -> int | None:
    """The first child of a process of one thread, as the kernel lists them; None while there is none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(children[0]) if children else None


def stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal; ProcessLookupError when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        raise ProcessLookupError(f"no process {pid}") from None
    # the state follows the command's name, which may hold blanks and parentheses itself
    return stat.rpartition(")")[2].split()[0] == "T"


# A background shell hands down an ignored SIGINT, which a process takes for its caller's wish
DEFAULT_SIGNALS = ["env", "--default-signal"]


class Job:
    """A process and what it has written so far; its end is waited for, or it is killed on close.

    Where entered is true, argv is an nsenter that forks: its child is the process meant, to which signals go.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        entered: bool = False,
    ) -> None:
        self.argv = list(argv)
        self._entered = entered
        # files in memory: they are read from outside at any time, and by any uid under the name /dev/stdin
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
                # Ctrl-C at the terminal of the tests is not meant for it
                start_new_session=True,
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
        """The process's id outside; ProcessLookupError when it has ended."""
        if not self._entered:
            return self._process.pid

        def find() -> int | None:
            pid = child_of(self._process.pid)
            if pid is None and not self.running:
                raise ProcessLookupError(self._describe("has ended"))
            return pid

        return poll(f"a child of {self.argv[0]}", find, 10)

    def kill(self, sig: int = signal.SIGTERM) -> None:
        """Send the process a signal; ProcessLookupError when it has ended."""
        pid, parent = self.pid, self._process.pid
        # nsenter stops itself when its child is stopped; woken, it wakes the child, and notices its end
        parent_stopped = self._entered and stopped(parent)
        if sig == signal.SIGCONT and parent_stopped:
            os.kill(parent, sig)
            # woken any later, the child would miss the next SIGSTOP
            poll(f"{pid} woken", lambda: None if stopped(pid) else True, 10)
            return
        os.kill(pid, sig)
        if sig == signal.SIGKILL and parent_stopped:
            os.kill(parent, signal.SIGCONT)
        elif sig == signal.SIGSTOP:
            poll(f"{pid} stopped", lambda: (stopped(pid) and stopped(parent)) or None, 10)

    def wait(self, timeout: float = 60) -> int:
        """The exit status, -n where signal n killed it; TimeoutError, with its output, past timeout."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(self._describe(f"still running after {timeout:g} s")) from None

    def stdout(self) -> bytes:
        """All that it has written to its standard output so far."""
        return self._written(self._stdout)

    def stderr(self) -> bytes:
        """All that it has written to its standard error so far."""
        return self._written(self._stderr)

    def wait_for(self, text: bytes, timeout: float = 20, *, stderr: bool = False) -> bytes:
        """All of its output, as soon as that contains text; TimeoutError past timeout or at its end."""
        read = self.stderr if stderr else self.stdout

        def look() -> bytes | None:
            running = self.running
            output = read()
            if text in output:
                return output
            if not running:
                raise TimeoutError(self._describe(f"ended without {text!r}"))
            return None

        try:
            return poll(repr(text), look, timeout)
        except TimeoutError as error:
            raise TimeoutError(self._describe(f"{text!r} not in its output: {error}")) from None

    def close(self) -> None:
        """Kill it if it still runs, and forget its output. Safe to call again."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):  # it was quicker
                self.kill(signal.SIGKILL)
            self._process.wait(20)
        if not self._closed:
            os.close(self._stdout)
            os.close(self._stderr)
            self._closed = True

    def _written(self, file: int) -> bytes:
        # at an offset: the process writes where the shared file position stands
        return os.pread(file, os.fstat(file).st_size, 0)

    def _describe(self, what: str) -> str:
        ends = f"stdout ends {self.stdout()[-2000:]!r}, stderr {self.stderr()[-2000:]!r}"
        return f"{shlex.join(self.argv)}: {what}; {ends}"
