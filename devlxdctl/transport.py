"""requests over a unix socket, with one pool of kept-alive connections.

This is the module that imports requests and urllib3, which takes ten times as long as all of the rest.
"""

from __future__ import annotations

import errno
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import requests
import requests_unixsocket
from requests_unixsocket.adapters import UnixAdapter, UnixHTTPConnection, UnixHTTPConnectionPool
from urllib3 import BaseHTTPResponse
from urllib3.connectionpool import HTTPConnectionPool

from devlxdctl.guarded import GuardedResponse, GuardedSocket


class _Connection(UnixHTTPConnection):  # type: ignore[misc]  # the base is untyped
    response_class = GuardedResponse

    def connect(self) -> None:
        """As the base does it, but nothing is left open when it fails, and any path is taken as it is."""
        path = unquote_to_bytes(urlsplit(self.unix_socket_url).netloc)
        sock = GuardedSocket()
        try:
            sock.settimeout(self.timeout)
            sock.connect(path)
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError) and error.errno == errno.EPROTOTYPE:
                # urllib3 lets this errno pass, as macOS's for a reset, and goes on without a socket.
                raise OSError(errno.ESOCKTNOSUPPORT, "it is no stream socket") from error
            raise
        self.sock = sock


class _Pool(UnixHTTPConnectionPool):  # type: ignore[misc]  # the base is untyped
    """requests_unixsocket's pool, with a size: its own constructor takes none and keeps one connection."""

    def __init__(self, socket_url: str, size: int) -> None:
        HTTPConnectionPool.__init__(self, "localhost", maxsize=size, block=True)
        self.socket_path = socket_url
        self.timeout = None  # each request brings its own

    def _new_conn(self) -> Any:
        self.num_connections += 1
        return _Connection(self.socket_path, None)


class _Adapter(UnixAdapter):  # type: ignore[misc]  # the base is untyped
    """requests_unixsocket's adapter with one pool per socket: its own has one per URL, so nothing is kept."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def get_connection(self, url: str, proxies: Any = None) -> _Pool:
        socket_url = "/".join(url.split("/", 3)[:3])
        with self.pools.lock:
            pool: _Pool | None = self.pools.get(socket_url)
            if pool is None:
                pool = self.pools[socket_url] = _Pool(socket_url, self.size)
            return pool

    def build_response(
        self, request: requests.PreparedRequest, answer: BaseHTTPResponse
    ) -> requests.Response:
        """What is asked of an answer here. The base looks for cookies and a character set, too."""
        response = requests.Response()
        response.status_code = answer.status
        response.headers = requests.structures.CaseInsensitiveDict(answer.headers)
        response.raw = answer
        return response


class _Session(requests_unixsocket.Session):  # type: ignore[misc]  # the base is untyped
    """Sends requests as they are given: no cookies, no hooks, no redirects, no settings from anywhere else.

    requests looks for those in each request and answer anew, which took more than a third of its time.
    """

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        prepared.url = request.url
        prepared.headers = requests.structures.CaseInsensitiveDict({**self.headers, **request.headers})
        if request.data or request.method not in ("GET", "HEAD"):
            prepared.prepare_body(request.data, None)
        return prepared

    def merge_environment_settings(
        self, url: object, proxies: object, stream: object, verify: object, cert: object
    ) -> dict[str, Any]:
        return {}

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        response = self.get_adapter(request.url).send(request, timeout=how["timeout"], stream=True)
        assert isinstance(response, requests.Response)
        return response


def new_session(user_agent: str, connections: int) -> requests.Session:
    """The session: no proxies, no `.netrc`, no cookies, at most `connections` connections, all kept alive."""
    session = _Session()
    session.mount("http+unix://", _Adapter(connections))
    session.headers = requests.structures.CaseInsensitiveDict(
        {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
    )
    assert isinstance(session, requests.Session)
    return session
