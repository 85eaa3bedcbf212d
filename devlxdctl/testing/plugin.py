"""The pytest plugin. pytest imports it at every start, so the simulator is imported only when it is used."""

import pytest

from devlxdctl.testing.host import SimulatedHostFactory, simulated_host


@pytest.fixture(scope="session")
def devlxd_host() -> SimulatedHostFactory:
    """Simulate an LXD or Incus host: `with devlxd_host(config={"user.role": "db"}) as host: ...`.

    See `devlxdctl.testing.SimulatedHostFactory` for its arguments and `devlxdctl.testing.SimulatedHost` for
    what can be done with `host`. The scope is `session`, so fixtures of any scope can use it.
    """
    return simulated_host
