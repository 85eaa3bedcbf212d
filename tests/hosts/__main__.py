"""`python -m tests.hosts lxd|incus [--set KEY=VALUE]… [-- COMMAND…]`: run a command inside a real guest.

The standard streams and the exit status are those of the command; the default command is a shell. devlxdctl
is in its PATH.
"""

import argparse
import os
import signal
import subprocess
import sys

from .base import HostError
from .daemon import DaemonHost
from .software import INCUS, LXD, default_environment, unavailable_reason


def key_and_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("expected KEY=VALUE")
    return key, value


def main() -> int:
    software = {each.name: each for each in (LXD, INCUS)}
    # argparse rejects a command that follows options.
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser(
        prog="python -m tests.hosts",
        usage="%(prog)s [-h] [--set KEY=VALUE]... {lxd,incus} [-- COMMAND...]",
        description="Start a host with one guest, and run a command or a shell inside the guest.",
    )
    parser.add_argument("host", choices=sorted(software))
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        type=key_and_value,
        action="append",
        default=[],
        help="config key of the instance",
    )
    options = parser.parse_args(sys.argv[1:split])
    command = sys.argv[split + 1 :] or ["/bin/sh"]
    chosen = software[options.host]
    if reason := unavailable_reason(chosen):
        parser.exit(1, f"{parser.prog}: {reason}\n")
    variables = default_environment(0)
    if "TERM" in os.environ:
        variables["TERM"] = os.environ["TERM"]
    try:
        with DaemonHost(chosen) as host:
            host.set(dict(options.set))
            if sys.stdin.isatty():
                # Ctrl-C in the terminal is for the command in the guest, which may continue to run.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            process = subprocess.Popen(host.command(*command, env=variables, cwd="/root"))
            status = process.wait()
    except HostError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
