"""The entry point of `devlxd-simulator`."""

import os
import sys

EXTRA = ("aiohttp", "yaml")


def main() -> None:
    """Run the command line; without the packages of the extra say so and exit 2."""
    try:
        from devlxdctl.simulator.cli import cli
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in EXTRA:
            raise
        print(
            f"devlxd-simulator: it needs {error.name}, which is not installed: "
            "pip install 'devlxdctl[simulator]'",
            file=sys.stderr,
        )
        sys.exit(2)
    if "_DEVLXD_SIMULATOR_COMPLETE" in os.environ:
        from devlxdctl.cli.completion import shells  # noqa: F401  # registers them with Click
    cli(prog_name="devlxd-simulator")


if __name__ == "__main__":
    main()
