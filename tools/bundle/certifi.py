"""Where the certificates of authorities are, for requests, which asks for it when it is imported.

Nothing is sent over TLS here. The certifi proper writes a file to say so when it is in an archive.
"""


def where() -> str:
    """A path, which nobody opens."""
    return "/etc/ssl/certs/ca-certificates.crt"
