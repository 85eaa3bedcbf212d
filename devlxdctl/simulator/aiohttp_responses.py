"""Responses for aiohttp that send the headers of a real host, in the host's order."""

from email.utils import formatdate

from aiohttp import web

from devlxdctl.simulator.messages import Response, StreamedResponse

_LAST_HEADERS = ("Content-Length", "Connection", "Transfer-Encoding")


class BufferedHTTPResponse(web.Response):
    """Sends a Response."""

    def __init__(self, response: Response, *, chunked: bool) -> None:
        super().__init__(status=response.status, body=response.body)
        headers = list(response.headers)
        if response.content_type is not None:
            headers.append(("Content-Type", response.content_type))
        self._host_headers = sorted(headers)
        if chunked:
            self.enable_chunked_encoding()

    def order_headers(self) -> None:
        """Keep only the headers that a host sends: its handler's sorted, then Date, then the others."""
        rest = [(name, self.headers[name]) for name in _LAST_HEADERS if name in self.headers]
        self.headers.clear()
        for name, value in [*self._host_headers, ("Date", formatdate(usegmt=True)), *rest]:
            self.headers.add(name, value)


class StreamedHTTPResponse(web.StreamResponse):
    """Sends a StreamedResponse. A known Content-Length comes before Date, as on real hosts."""

    def __init__(self, response: StreamedResponse, *, chunked: bool) -> None:
        super().__init__(status=response.head.status)
        self._host_headers = [*response.head.headers, ("Content-Type", response.head.content_type or "")]
        if response.length is not None:
            self._host_headers.append(("Content-Length", str(response.length)))
            self.content_length = response.length
        elif chunked:
            self.enable_chunked_encoding()
        self._host_headers.sort()

    def order_headers(self) -> None:
        """Keep only the headers that a host sends, in its order."""
        rest = [(name, self.headers[name]) for name in _LAST_HEADERS[1:] if name in self.headers]
        self.headers.clear()
        for name, value in [*self._host_headers, ("Date", formatdate(usegmt=True)), *rest]:
            self.headers.add(name, value)


async def order_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Signal handler for `on_response_prepare`."""
    if isinstance(response, BufferedHTTPResponse | StreamedHTTPResponse):
        response.order_headers()
