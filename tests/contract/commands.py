"""devlxdctl inside a guest."""

from __future__ import annotations

from tests.hosts import Host
from tests.support.program import PROGRAM, Result


def devlxdctl(host: Host, *argv: str, user: int = 0, stdin: bytes = b"") -> Result:
    """Run devlxdctl inside the guest and return how it ended."""
    return host.run(PROGRAM, *argv, user=user, stdin=stdin)


def stdout_of(host: Host, *argv: str) -> bytes:
    """Run devlxdctl, which must succeed and write nothing to stderr, and return its stdout."""
    result = devlxdctl(host, *argv)
    assert (result.status, result.stderr) == (0, b""), result
    return result.stdout


def failure(status: int, subject: str, problem: str, hint: str | None = None) -> Result:
    """Return the result of a command that ends with this error."""
    lines = [f"devlxdctl: {subject}: {problem}", *([] if hint is None else [f"hint: {hint}"])]
    return Result(status, b"", "".join(f"{line}\n" for line in lines).encode())
