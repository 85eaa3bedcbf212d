"""The entry point of `devlxdctl`."""

import os
import signal
import sys
from typing import NoReturn

from devlxdctl.startup import end_process, is_fast_start, prepare


def _use_utf8() -> None:
    """Start again in UTF-8 mode where the locale has another encoding.

    Keys and values are UTF-8 on every host: in such a locale, arguments would be decoded to other keys, and
    `config run` would pass other bytes to its command.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _end_with(problem: str) -> NoReturn:
    """Report what prevents Python itself from working, and end without any clean-up."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(f"devlxdctl: {problem}\n")
            sys.stderr.flush()
    except (OSError, MemoryError):
        pass  # there is no other place for it
    os._exit(1)


def main() -> NoReturn:
    """Run `devlxdctl` with the arguments of this process, and exit."""
    # INT ends the process at once and by that signal, as TERM and HUP do. A command that has to clean up
    # handles the signals itself. A shell that starts a job in the background has INT ignored: keep that.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    is_fast = is_fast_start()
    try:
        _use_utf8()
        if is_fast:
            prepare()
        from devlxdctl.cli import devlxdctl

        devlxdctl.main()
    except (MemoryError, SystemError) as error:
        # Without memory, imports also fail with "error return without exception set".
        if isinstance(error, SystemError) and "without" not in str(error):
            raise
        _end_with("out of memory")
    except ImportError as error:
        # The loader of compiled modules reports that memory or descriptors are missing in its text only.
        if error.path is None or not error.path.endswith(".so"):
            raise
        _end_with(str(error))
    except SystemExit as end:
        if is_fast:
            end_process(end.code if isinstance(end.code, int) else 1)
        raise
    sys.exit(1)


if __name__ == "__main__":
    main()
