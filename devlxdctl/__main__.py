"""The entry point of `devlxdctl`."""

import contextlib
import gc
import os
import signal
import sys
import warnings
from typing import NoReturn


def _use_utf8() -> None:
    """Start again in UTF-8 mode where the locale has another encoding.

    Keys and values are UTF-8 on every host: in such a locale, arguments would be decoded to other keys, and
    `config run` would pass other bytes to its command.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _reduce_startup() -> None:
    """Save a tenth of the time of a short command. Only the program may change these, not the library."""
    # Start-up creates some 40,000 objects that all stay, which the default would scan fifty times for
    # garbage. Long-running commands still collect theirs, each time up to 20 MB.
    gc.set_threshold(100_000)
    # requests imports a detector of character sets, which is not used here, and warns when it has none.
    sys.modules.update(dict.fromkeys(("chardet", "charset_normalizer")))  # type: ignore[arg-type]
    warnings.filterwarnings("ignore", "Unable to find acceptable character detection")


def _report(problem: str) -> None:
    with contextlib.suppress(OSError, MemoryError):
        if sys.stderr is not None:
            sys.stderr.write(f"devlxdctl: {problem}\n")
            sys.stderr.flush()


def main() -> NoReturn:
    """Run `devlxdctl` with the arguments of this process, and exit."""
    # INT ends the process at once and by that signal, as TERM and HUP do. A command that has to clean up
    # handles the signals itself. A shell that starts a job in the background has INT ignored: keep that.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        _use_utf8()
        _reduce_startup()
        from devlxdctl.cli import devlxdctl

        devlxdctl.main()
    except (MemoryError, SystemError) as error:
        # Without memory, imports also fail with "error return without exception set".
        if isinstance(error, SystemError) and "without" not in str(error):
            raise
        _report("out of memory")
        os._exit(1)
    except ImportError as error:
        # The loader of compiled modules reports that memory or descriptors are missing in its text only.
        if error.path is None or not error.path.endswith(".so"):
            raise
        _report(str(error))
        os._exit(1)
    except SystemExit as end:
        # All output is written and flushed. Finalizing the interpreter takes a fifth of the time of a short
        # command, and waits for connections that a failed read has left in threads.
        os._exit(end.code if isinstance(end.code, int) else 1)
    sys.exit(1)


if __name__ == "__main__":
    main()
