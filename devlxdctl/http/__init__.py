"""HTTP over the Unix socket of the host: one session, limits on time and size, retries, errors."""
