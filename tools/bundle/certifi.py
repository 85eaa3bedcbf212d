"""Replaces certifi, which requests imports: the program does not use TLS.

The real certifi extracts its file of certificates from the archive to a temporary file.
"""


def where() -> str:
    """The path of a certificate file, which is never opened."""
    return "/etc/ssl/certs/ca-certificates.crt"
