"""``python -m tests.hosts lxd|incus [--set KEY=VALUE]… [-- COMMAND…]``: a command inside a real guest.

Standard streams and exit status are the command's; without one it is a shell. The program under test is on
its PATH.
"""

import argparse
import os
import signal
import subprocess
import sys

from .base import HostError
from .daemon import INCUS, LXD, DaemonHost, available, environment


def pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("it is KEY=VALUE")
    return key, value


def main() -> int:
    software = {each.name: each for each in (LXD, INCUS)}
    # argparse takes a command that follows options for a mistake
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser(
        prog="python -m tests.hosts",
        usage="%(prog)s [-h] [--set KEY=VALUE]... {lxd,incus} [-- COMMAND...]",
        description="Run a command, or a shell, inside a guest of a host that is brought up for it.",
    )
    parser.add_argument("host", choices=sorted(software))
    parser.add_argument(
        "--set", metavar="KEY=VALUE", type=pair, action="append", default=[], help="a key of the instance"
    )
    options = parser.parse_args(sys.argv[1:split])
    command = sys.argv[split + 1 :] or ["/bin/sh"]
    chosen = software[options.host]
    if reason := available(chosen):
        parser.exit(1, f"{parser.prog}: {reason}\n")
    variables = environment(0)
    if "TERM" in os.environ:
        variables["TERM"] = os.environ["TERM"]
    try:
        with DaemonHost(chosen) as host:
            host.set(dict(options.set))
            if sys.stdin.isatty():
                # the terminal's Ctrl-C goes to the guest's command, which may live on
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
