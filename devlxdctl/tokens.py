"""Bearer tokens: what one may look like, and one that is kept in a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from devlxdctl.errors import BadData, DevLXDError, InvalidRequest, NotPermitted
from devlxdctl.log import log

Token = str | Callable[[], str | None] | None
"""A bearer token, or a function that returns it."""

_LIMIT: Final = 64 * 1024
"""Bytes; the tokens of LXD, which are JWTs, have less than 1 KiB."""


def is_sendable(token: str) -> bool:
    """Whether `token` can stand in a header, as one word."""
    return token != "" and token.isascii() and token.isprintable() and " " not in token


def usable_token(token: Token) -> str | None:
    """The token itself, None where there is none. Raises `InvalidRequest` for what cannot be sent."""
    text = token() if callable(token) else token
    if text and not is_sendable(text):
        # Said here: the library that would notice puts the value into its error.
        raise InvalidRequest("bearer token", "it holds characters that no token has")
    return text or None


class TokenFile:
    """A bearer token in a file, as a function for `Client(token=…)`: read again for each request.

    White space around it is dropped. Once it was read, a file that is empty, unreadable or gone leaves the
    token as it was: whoever replaces it may do so in two steps, and a pipe can be read only once. Before,
    that raises `NotPermitted` where the file's mode forbids it, and `BadData` otherwise.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._last = ""

    def __repr__(self) -> str:
        return f"TokenFile({self._path!r})"

    def __call__(self) -> str:
        try:
            self._last = self._read()
        except DevLXDError as error:
            if not self._last:
                raise
            log.debug("%s; the token that was there before is sent", error)
        return self._last

    def _read(self) -> str:
        try:
            with open(self._path, "rb") as file:
                data = file.read(_LIMIT + 1)
        except PermissionError as error:
            raise NotPermitted(self._path, "permission denied") from error
        except OSError as error:
            raise BadData(self._path, (error.strerror or "cannot be read").lower()) from error
        except ValueError as error:  # a NUL in the path
            raise BadData(repr(self._path), "no file has this name") from error
        # As text where every byte is a character: what the file holds must not end up in a decoder's error.
        token = data.decode("latin-1").strip()
        if not token:
            raise BadData(self._path, "it is empty, and should hold a token")
        if len(data) > _LIMIT or not is_sendable(token):
            raise BadData(self._path, "it holds more than a token, or characters that no token has")
        return token
