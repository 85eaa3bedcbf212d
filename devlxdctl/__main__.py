"""The entry point of `devlxdctl`, and what makes it start and end faster.

Only the program does that, not the library. With `DEVLXDCTL_FAST_START=0` in the environment, nothing of it
is done: use that to find out whether it is the cause of a problem.

The figures are what each part saves of the CPU time of `devlxdctl -f json state`: medians of 40 runs in turn,
with Python 3.11, requests 2.34 and urllib3 2.8. Together they save 39 %. What saves less than 3 % is left
out: stubs for idna, certifi, uuid and http.cookies save 1 to 2 % each.
"""

import contextlib
import gc
import os
import signal
import sys
import warnings
from types import ModuleType
from typing import NoReturn


def is_fast_start() -> bool:
    """Whether the environment allows a fast start."""
    return os.environ.get("DEVLXDCTL_FAST_START") != "0"


def _prepare() -> None:
    """Prepare the start. Called before Click and the HTTP libraries are imported."""
    _collect_less_garbage()
    _skip_detection_of_character_sets()
    _skip_tls()
    _skip_http2()


def _collect_less_garbage() -> None:
    # 10 %. Start-up creates some 40,000 objects that all stay, which the default would scan fifty times for
    # garbage. Long-running commands still collect theirs, each time up to 20 MB.
    gc.set_threshold(100_000)


def _skip_detection_of_character_sets() -> None:
    # 11 %. requests imports a detector, which nothing here uses, and warns when it has none.
    _mark_as_not_installed("chardet", "charset_normalizer")
    warnings.filterwarnings("ignore", "Unable to find acceptable character detection")


def _skip_tls() -> None:
    # 5 %. A Unix socket has no TLS. http.client, urllib3 and websocket-client also work in a Python without
    # it. requests would then look for another implementation.
    _mark_as_not_installed("ssl", "urllib3.contrib.pyopenssl")


def _skip_http2() -> None:
    # 3 %. urllib3 imports importlib.metadata to find a library for HTTP/2, which hosts do not offer.
    http2 = ModuleType("urllib3.http2")
    http2.probe = None  # type: ignore[attr-defined]
    sys.modules["urllib3.http2"] = http2


def _mark_as_not_installed(*names: str) -> None:
    """Let each import of these modules raise `ModuleNotFoundError`."""
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]


def end_process(status: int) -> NoReturn:
    """End the process without finalizing the interpreter.

    27 %. Finalizing would also wait for connections that a failed read has left in threads. Output is written
    already, since every write flushes; the streams are flushed for code that does not.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    os._exit(status)


def _use_utf8() -> None:
    """Start again in UTF-8 mode where the locale has another encoding.

    Keys and values are UTF-8 on every host: in such a locale, arguments would be decoded to other keys, and
    `config run` would pass other bytes to its command.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        # Empty where a caller started Python by a name that is in no directory of PATH.
        python = sys.executable or "/proc/self/exe"
        os.execv(python, [python, "-X", "utf8", *sys.orig_argv[1:]])


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
            _prepare()
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
