"""Errors of the operating system."""


class SocketError(Exception):
    """The socket cannot be created; the text is `PATH: REASON`."""


def os_reason(error: OSError) -> str:
    """Return the system's text for an error, in lower case."""
    return (error.strerror or str(error)).lower()
