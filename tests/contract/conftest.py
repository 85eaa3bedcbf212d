from tests.hosts.fixtures import host

__all__ = ["host"]
