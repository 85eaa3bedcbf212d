"""Run a command beside the simulator, forward signals to it, and end by the same signal."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType, TracebackType

TERMINATION_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def die_by(number: int) -> None:
    """End this process by a signal, so that its parent sees it; return if the signal does not end it."""
    sys.stdout.flush()
    # Only the command's core dump is useful.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)


class ChildProcess:
    """Runs one command and forwards termination signals to it.

    The first signal is sent to the command as SIGTERM, a second one as SIGKILL. `received` is the
    first signal's number, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._previous_handlers: dict[int, object] = {}

    def __enter__(self) -> "ChildProcess":
        for number in TERMINATION_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
                self._previous_handlers[number] = signal.signal(number, self._forward)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # signal.signal returned it

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run the command and return its status, negative for a signal.

        Raises OSError if the command cannot be started.
        """
        if self.received is not None:
            return -self.received
        self._child = subprocess.Popen(command, env=environment)
        if self.received is not None:  # a signal arrived between the check and the start
            self._child.terminate()
        return self._child.wait()

    def _forward(self, number: int, _: FrameType | None) -> None:
        again, self.received = self.received is not None, self.received or number
        if self._child is not None and self._child.returncode is None:
            self._child.send_signal(signal.SIGKILL if again else signal.SIGTERM)
