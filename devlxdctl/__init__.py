"""A typed client for the devLXD API inside LXD and Incus guests."""

__version__ = "0.1.0"
