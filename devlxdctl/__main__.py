"""The entry point: runs the command line, and leaves."""

import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs `devlxdctl` with the arguments of this process and ends it."""
    # An interrupt ends the process at once and by that signal, as TERM and HUP do. A command with something
    # to clean up takes the signals over. A shell that starts it in the background has INT ignored: so be it.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from devlxdctl.cli import devlxdctl

    try:
        devlxdctl.main()
    except SystemExit as end:
        # Everything is written and closed by now. Taking the interpreter apart would cost a fifth of the time
        # of a short command, and wait for connections that a failed read has left behind in threads.
        os._exit(end.code if isinstance(end.code, int) else 1)
    sys.exit(1)


if __name__ == "__main__":
    main()
