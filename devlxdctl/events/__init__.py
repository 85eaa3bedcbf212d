"""Events of the host, and what depends on changes: watching, waiting, holding Ready."""
