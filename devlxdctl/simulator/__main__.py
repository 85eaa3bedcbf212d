"""The entry point of `devlxd-simulator`."""

import os
import sys

EXTRA = ("aiohttp", "yaml")
"""The packages of the extra `simulator`."""


def main() -> None:
    """Run the command line, or exit with status 2 if a package of the extra is not installed."""
    try:
        from devlxdctl.simulator.cli import cli

        if "_DEVLXD_SIMULATOR_COMPLETE" in os.environ:
            from devlxdctl.cli.completion import shells  # noqa: F401  # registers them with Click
        cli(prog_name="devlxd-simulator")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in EXTRA:
            raise
        print(
            f"devlxd-simulator: {error.name}: not installed\nhint: pip install 'devlxdctl[simulator]'",
            file=sys.stderr,
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
