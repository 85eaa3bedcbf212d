"""Running a command beside the simulator, and ending by a signal as one should."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType, TracebackType

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def die_by(number: int) -> None:
    """End this process by a signal, so that who waits for it sees that; returns where it does not end one."""
    sys.stdout.flush()
    # The command's core dump is of interest, this process's is not.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)


class Runner:
    """Runs one command while signals that ask this process to end are passed on to it as TERM.

    A second one kills the command. `received` is the first, None where there was none.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Runner":
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave us

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run it and return its status, negative for a signal. Raises OSError where it cannot start."""
        if self.received is not None:
            return -self.received
        self._child = subprocess.Popen(command, env=environment)
        if self.received is not None:  # between the check and the start
            self._child.terminate()
        return self._child.wait()

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        again, self.received = self.received is not None, self.received or number
        if self._child is not None and self._child.returncode is None:
            self._child.send_signal(signal.SIGKILL if again else signal.SIGTERM)
