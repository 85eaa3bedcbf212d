"""Texts of operating system errors."""


def os_reason(error: OSError) -> str:
    """Return the system's text for an error, in lower case."""
    return (error.strerror or str(error)).lower()
