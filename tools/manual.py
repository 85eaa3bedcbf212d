"""The man pages of both programs."""

from __future__ import annotations

from devlxdctl.cli import devlxdctl
from devlxdctl.cli.commands.help import SIGNALS, manual
from devlxdctl.cli.output.manual import Program, commands, man_page
from devlxdctl.simulator.cli import cli as simulator

__all__ = ["PROGRAMS", "commands", "pages"]

PROGRAMS = (
    manual(devlxdctl),
    Program(
        "devlxd-simulator",
        simulator,
        {
            "0": "success; `run` exits with the status of its command",
            "1": "no simulator at that socket, or it rejected the request",
            "2": "usage error, or invalid guest file",
        },
        SIGNALS,
        {"DEVLXD_SOCKET": "The socket of the running simulator, unless `--socket` is given. `run` sets it."},
        {},
        ("devlxdctl(1)", "lxc(1)"),
    ),
)


def pages() -> dict[str, str]:
    """The pages by file name."""
    return {
        f"{'-'.join(path)}.1": man_page(program, path)
        for program in PROGRAMS
        for path, _ in commands(program.command, (program.name,))
    }
