"""The entry point: runs the command line, and leaves."""

import gc
import os
import signal
import sys
import warnings
from typing import NoReturn


def _start_light() -> None:
    """What is this process's to decide, and saves it a tenth of the time that a short command takes."""
    # To start makes some 40,000 objects, all of which live on. By default they would be looked through for
    # garbage fifty times. Commands that stay collect theirs all the same, each time it may be 20 MB.
    gc.set_threshold(100_000)
    # requests imports what guesses the character set of a text, which is never asked here. It can do without,
    # and warns of that.
    sys.modules.update(dict.fromkeys(("chardet", "charset_normalizer")))  # type: ignore[arg-type]
    warnings.filterwarnings("ignore", "Unable to find acceptable character detection")


def main() -> NoReturn:
    """Runs `devlxdctl` with the arguments of this process and ends it."""
    # An interrupt ends the process at once and by that signal, as TERM and HUP do. A command with something
    # to clean up takes the signals over. A shell that starts it in the background has INT ignored: so be it.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _start_light()
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
