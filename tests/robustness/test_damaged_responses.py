"""Responses of every endpoint that end at any byte, or have another byte anywhere in their head.

The command ends with one line of error and no output. Some changes leave the response valid: then the output
is that of the valid response, or the beginning of it where the length is shorter.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from devlxdctl import Client, DevLXDError
from devlxdctl.cli import devlxdctl
from tests.cli.command_tree import INVOCATIONS
from tests.support.exports import FINGERPRINT, unified
from tests.support.raw_host import OCTET_STREAM, RawHost, response, websocket_accept

VOLUME = b'{"name":"v","pool":"p","type":"custom","content_type":"filesystem"}'
SNAPSHOT = b'{"name":"s","content_type":"filesystem"}'
TOKEN = next(word for word in INVOCATIONS["pool show"].arguments if word.endswith(".token"))
NOT_FOUND = response(b"not found", "text/plain", "404 Not Found")
STATUSES = {1, 2, 3, 4, 6, 7, 8, 124}
"""The exit statuses of an error, except 5: there is a socket."""


class Exchange(NamedTuple):
    """A command, and the response to its first request.

    * `has_output`: whether the command prints the body, and not only when it is complete.
    * `later`: the response to its later requests, by default one that ends the command.
    * `is_resumed`: whether the command continues when the body is truncated, so only its head is.
    """

    argv: tuple[str, ...]
    given: bytes | Callable[[bytes], bytes]
    later: bytes = NOT_FOUND
    has_output: bool = False
    is_resumed: bool = False


EXCHANGES = {
    "/": Exchange(("versions",), response(b'["/1.0"]')),
    "/1.0": Exchange(("state",), response(b'{"state":"Started"}')),
    "PATCH /1.0": Exchange(("ready",), response(b"", OCTET_STREAM), response(b'{"state":"Ready"}')),
    "/1.0/config": Exchange(("config", "ls"), response(b'["/1.0/config/user.a"]')),
    "/1.0/config/{key}": Exchange(("config", "get", "user.a"), response(b"0123456789", OCTET_STREAM)),
    "/1.0/devices": Exchange(("devices",), response(b'{"root":{"path":"/","type":"disk"}}')),
    "/1.0/meta-data": Exchange(("metadata",), response(b"#cloud-config\n", OCTET_STREAM)),
    "/1.0/images/{fingerprint}/export": Exchange(
        ("image", "export", FINGERPRINT, "-o", "{directory}/image"), unified(), is_resumed=True
    ),
    "/1.0/ubuntu-pro": Exchange(("pro", "status"), response(b'{"guest_attach":"on"}')),
    "/1.0/ubuntu-pro/token": Exchange(("pro", "token"), response(b'{"guest_token":"secret"}')),
    "/1.0/storage-pools/{pool}": Exchange(("pool", "show", "p"), response(b'{"name":"p","driver":"dir"}')),
    "/1.0/storage-pools/{pool}/volumes/custom": Exchange(("volume", "ls", "p"), response(b"[]")),
    "/1.0/storage-pools/{pool}/volumes/custom/{volume}": Exchange(
        ("volume", "show", "p", "v"), response(VOLUME)
    ),
    "/1.0/storage-pools/{pool}/volumes/custom/{volume}/snapshots": Exchange(
        ("volume", "snapshot", "ls", "p", "v"), response(b"[]")
    ),
    "/1.0/storage-pools/{pool}/volumes/custom/{volume}/snapshots/{snapshot}": Exchange(
        ("volume", "snapshot", "show", "p", "v", "s"), response(SNAPSHOT)
    ),
    "{path}": Exchange(("query", "/"), response(b"abc", "text/plain"), has_output=True),
}


class DamagingHost(RawHost):
    """Sends the damaged response to the first request of a command, then closes or resets the connection.

    * `damage`: what becomes of the next response; set before each command.
    """

    def __init__(self, path: Path, exchange: Exchange, *, resets: bool) -> None:
        super().__init__(path, None)
        self._exchange = exchange
        self._resets = resets
        self.damage: Callable[[bytes], bytes] | None = None

    def __enter__(self) -> DamagingHost:
        super().__enter__()
        return self

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = self._receive(connection)
            damage, self.damage = self.damage, None
            if damage is None:
                connection.sendall(self._exchange.later)
            else:
                given = self._exchange.given
                connection.sendall(damage(given(request) if callable(given) else given))
            if not self._resets:
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    continue

    def _receive(self, connection: socket.socket) -> bytes:
        """Return a request. Closing a socket with unread bytes resets the connection: leave them unread."""
        request = b""
        while True:
            request = connection.recv(65536, socket.MSG_PEEK)
            head, end, body = request.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            if not request or (end and len(body) >= int(length[1] if length else 0)):
                break
        if not self._resets:
            connection.recv(65536)
        return request


class Outcome(NamedTuple):
    status: int
    stdout: str
    stderr: str


@pytest.fixture(params=["close", "reset"])
def resets(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "reset")


def run_damaged(
    exchange: Exchange, path: Path, resets: bool, damages: Iterator[Callable[[bytes], bytes]], wait: int = 0
) -> Iterator[Outcome]:
    """Run the command once for each of `damages`, in this process: a program each would take an hour."""
    runner = CliRunner()
    arguments = [word.format(directory=path.parent) for word in exchange.argv]
    token = ["--token-file", TOKEN] if arguments[0] in ("pool", "volume") else []
    with DamagingHost(path, exchange, resets=resets) as host:
        for damage in damages:
            host.damage = damage
            result = runner.invoke(
                devlxdctl,
                ["--socket", str(path), "--wait", str(wait), *arguments, *token],
                catch_exceptions=True,
            )
            assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
            yield Outcome(result.exit_code, result.stdout, result.stderr)


def undamaged(exchange: Exchange, path: Path, resets: bool) -> tuple[Outcome, bytes]:
    """Return the outcome of the valid response, and the response."""
    seen: list[bytes] = []

    def keep(given: bytes) -> bytes:
        seen.append(given)
        return given

    # A second request can meet the closed connection, and is then sent again.
    [outcome] = run_damaged(exchange, path, resets, iter([keep]), wait=60)
    for made in path.parent.iterdir():
        made.unlink()
    return outcome, seen[0]


def assert_error(outcome: Outcome, exchange: Exchange, where: int) -> None:
    """One line of error and possibly a hint. `query` prints the body of an error before them."""
    body = "(abc\n)?" if exchange.has_output else ""
    assert outcome.status in STATUSES, (where, outcome)
    assert re.fullmatch(rf"{body}devlxdctl: [^\n]+\n(hint: [^\n]+\n)?", outcome.stderr), (where, outcome)


def cut(size: int) -> Callable[[bytes], bytes]:
    return lambda given: given[:size]


def replace(at: int) -> Callable[[bytes], bytes]:
    return lambda given: given[:at] + bytes([given[at] ^ 1]) + given[at + 1 :]


@pytest.mark.parametrize("endpoint", EXCHANGES)
def test_response_that_ends_at_any_byte_is_an_error_without_output(
    endpoint: str, resets: bool, socket_directory: Path
) -> None:
    exchange, path = EXCHANGES[endpoint], socket_directory / "sock"
    expected, given = undamaged(exchange, path, resets)
    assert expected.status == 0
    size = given.index(b"\r\n\r\n") + 4 if exchange.is_resumed else len(given)
    outcomes = run_damaged(exchange, path, resets, map(cut, range(size)))
    for number, outcome in enumerate(outcomes):
        assert_error(outcome, exchange, number)
        assert outcome.stdout == "" or (exchange.has_output and expected.stdout.startswith(outcome.stdout))
    assert [made.name for made in socket_directory.iterdir() if made != path] == []


@pytest.mark.parametrize("endpoint", EXCHANGES)
def test_response_with_another_byte_in_its_head_is_an_error_or_means_the_same(
    endpoint: str, resets: bool, socket_directory: Path
) -> None:
    exchange, path = EXCHANGES[endpoint], socket_directory / "sock"
    expected, given = undamaged(exchange, path, resets)
    outcomes = run_damaged(exchange, path, resets, map(replace, range(given.index(b"\r\n\r\n") + 4)))
    for number, outcome in enumerate(outcomes):
        if outcome.status == 0:
            assert (outcome.stderr, expected.stdout.startswith(outcome.stdout.rstrip("\n"))) == ("", True)
        else:
            assert_error(outcome, exchange, number)
            assert outcome.stdout == "" or exchange.has_output


@pytest.mark.parametrize("damage", [cut, replace])
def test_damaged_handshake_for_events_is_an_error_or_accepted(
    damage: Callable[[int], Callable[[bytes], bytes]], resets: bool, socket_directory: Path
) -> None:
    """With the library: the command would wait for an event where the handshake is still valid."""
    given = websocket_accept(b"")
    rejected = set()
    with DamagingHost(socket_directory / "sock", Exchange((), websocket_accept), resets=resets) as host:
        for number in range(len(given)):
            host.damage = damage(number)
            try:
                Client(host.path, wait=0).events().close()
            except DevLXDError as error:
                assert "\n" not in str(error) and error.exit_status in STATUSES, number
                rejected.add(number)
    if damage is cut:
        assert rejected >= set(range(len(given) - 1))
    else:  # bytes of the version, of the reason and of line ends do not matter
        status, accept = given.index(b"101"), given.index(b"Accept: ") + len("Accept: ")
        assert rejected >= {*range(status, status + 3), *range(accept, len(given) - len("\r\n\r\n"))}
