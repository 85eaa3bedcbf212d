"""Answers on their way through aiohttp, with the headers that a host sends, in its order."""

from email.utils import formatdate

from aiohttp import web

from devlxdctl.simulator import export
from devlxdctl.simulator.answers import Answer

_LAST_HEADERS = ("Content-Length", "Connection", "Transfer-Encoding")


class Response(web.Response):
    """An answer on its way through aiohttp."""

    def __init__(self, answer: Answer, *, chunked: bool) -> None:
        super().__init__(status=answer.status, body=answer.body)
        own = list(answer.headers)
        if answer.content_type is not None:
            own.append(("Content-Type", answer.content_type))
        self._own = sorted(own)
        if chunked:
            self.enable_chunked_encoding()

    def order_headers(self) -> None:
        """Leave what a host sends, in its order: the handler's sorted, then Date and the rest."""
        rest = [(name, self.headers[name]) for name in _LAST_HEADERS if name in self.headers]
        self.headers.clear()
        for name, value in [*self._own, ("Date", formatdate(usegmt=True)), *rest]:
            self.headers.add(name, value)


class Download(web.StreamResponse):
    """An image on its way: a length that is known is among the headers of the handler, as on hosts."""

    def __init__(self, body: export.Body, *, chunked: bool) -> None:
        super().__init__(status=body.head.status)
        self._own = [*body.head.headers, ("Content-Type", body.head.content_type or "")]
        if body.length is not None:
            self._own.append(("Content-Length", str(body.length)))
            self.content_length = body.length
        elif chunked:
            self.enable_chunked_encoding()
        self._own.sort()

    def order_headers(self) -> None:
        """As Response does."""
        rest = [(name, self.headers[name]) for name in _LAST_HEADERS[1:] if name in self.headers]
        self.headers.clear()
        for name, value in [*self._own, ("Date", formatdate(usegmt=True)), *rest]:
            self.headers.add(name, value)


async def order_headers(_: web.Request, response: web.StreamResponse) -> None:
    """To be called before an answer is sent."""
    if isinstance(response, Response | Download):
        response.order_headers()
