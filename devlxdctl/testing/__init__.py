"""Test programs that use the devLXD API, without LXD or Incus.

`pip install 'devlxdctl[testing]'` gives pytest the fixture `devlxd_host`, which simulates a host:

>>> def test_role_is_read_from_the_host(devlxd_host):
...     with devlxd_host(config={"user.role": "db"}) as host:
...         assert my_program.role() == "db"
...         host.set({"user.role": "web"})
...         assert my_program.role() == "web"

Inside the `with` block `DEVLXD_SOCKET` names the host's socket, for this process and for those it starts.

The names below are for annotations: `devlxd_host: SimulatedHostFactory`, `host: SimulatedHost`.
"""

from devlxdctl.testing.host import Request, SimulatedHost, SimulatedHostFactory

__all__ = ["Request", "SimulatedHost", "SimulatedHostFactory"]
