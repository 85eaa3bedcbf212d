"""The entry point: runs the command line, and leaves."""

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs `devlxdctl` with the arguments of this process and ends it."""
    try:
        from devlxdctl.cli import devlxdctl

        devlxdctl.main()
    except KeyboardInterrupt:  # before or after the boundary that devlxdctl.cli has for it
        import signal

        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except SystemExit as end:
        # Everything is written and closed by now. Taking the interpreter apart would cost a fifth of the time
        # of a short command, and wait for connections that a failed read has left behind in threads.
        os._exit(end.code if isinstance(end.code, int) else 1)
    sys.exit(1)


if __name__ == "__main__":
    main()
