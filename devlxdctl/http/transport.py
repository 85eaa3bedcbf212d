"""requests-unixsocket's session, with a pool of kept-alive connections.

Three classes are subclassed, with one method each. `_Adapter.get_connection` returns one pool per socket:
requests-unixsocket has one per URL, of one connection, so two paths never share a connection. `_Pool` only
names `_Connection` as its class of connections, which urllib3 offers for that. `_Connection.connect` uses a
socket with limits. Requests go to the pool that the session's adapter returns, and not through
`Session.request`: cookies, hooks, redirects, proxies and `.netrc` have no use here, and took a third of the
time of a request.

Importing requests and urllib3 takes ten times as long as the rest of this package: import this module late.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

import requests_unixsocket
from requests_unixsocket.adapters import UnixAdapter
from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from devlxdctl.http.limits import LimitedResponse, LimitedSocket

_SCHEME: Final = "http+unix://"


class _Connection(HTTPConnection):
    response_class = LimitedResponse

    def __init__(self, *args: Any, socket_path: bytes, **options: Any) -> None:
        super().__init__(*args, **options)
        self._socket_path = socket_path

    def connect(self) -> None:
        sock = LimitedSocket()
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._socket_path)
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError) and error.errno == errno.EPROTOTYPE:
                # urllib3 ignores this errno, which macOS uses for a reset, and goes on without a socket.
                raise OSError(errno.ESOCKTNOSUPPORT, "not a stream socket") from error
            raise
        self.sock = sock


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _Adapter(UnixAdapter):  # type: ignore[misc]  # the base is untyped
    def __init__(self, connections: int) -> None:
        super().__init__()
        self._connections = connections

    def get_connection(self, url: str, proxies: Any = None) -> HTTPConnectionPool:
        with self.pools.lock:
            pool: HTTPConnectionPool | None = self.pools.get(url)
            if pool is None:
                path = unquote_to_bytes(url.removeprefix(_SCHEME))
                pool = _Pool("localhost", maxsize=self._connections, block=True, socket_path=path)
                self.pools[url] = pool
            return pool


class Transport:
    """The one session, with at most `connections` connections to a socket, all kept alive. Thread-safe."""

    def __init__(self, user_agent: str, connections: int) -> None:
        self._session = requests_unixsocket.Session()
        self._session.mount(_SCHEME, _Adapter(connections))
        self._headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}

    def send(
        self,
        socket: str,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
    ) -> BaseHTTPResponse:
        """Send one request and return its response, whose body is still to be read.

        `path` is percent-encoded. Raises the exceptions of urllib3 and the operating system.
        """
        url = _SCHEME + quote(os.fsencode(socket), safe="")
        pool: HTTPConnectionPool = self._session.get_adapter(url).get_connection(url)
        return pool.urlopen(
            method,
            path,
            body=body,
            headers={**self._headers, **headers},
            redirect=False,
            retries=False,
            timeout=timeout,
            preload_content=False,
            decode_content=False,
        )

    def close(self) -> None:
        """Close all connections. The next request opens new ones."""
        self._session.close()
