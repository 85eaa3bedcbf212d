"""The fixture of the contract tests: every host, real and simulated."""

from tests.hosts.fixtures import any_host

__all__ = ["any_host"]
