"""Events of the host, and what depends on changes: waiting for devices, holding Ready."""
