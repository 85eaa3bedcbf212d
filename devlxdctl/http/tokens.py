"""Bearer tokens, given as text or kept in a file."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Final

from devlxdctl.errors import BadData, DevLXDError, InvalidRequest, PermissionDenied

__all__ = ["Token", "TokenFile"]

_log: Final = logging.getLogger(__name__)

Token = str | Callable[[], str | None] | None
"""A bearer token, or a function that returns it."""

_MAX_SIZE: Final = 64 * 1024
"""Bytes of a token file; the tokens of LXD, which are JWTs, have less than 1 KiB."""


def is_valid_token(token: str) -> bool:
    """Whether a header can carry `token` as one word."""
    return token != "" and token.isascii() and token.isprintable() and " " not in token


def resolve_token(token: Token) -> str | None:
    """Return the text of `token`, None without one. Raises `InvalidRequest` for invalid characters."""
    text = token() if callable(token) else token
    if text and not is_valid_token(text):
        # Checked here, since the HTTP library would put the token into its error.
        raise InvalidRequest("bearer token", "contains invalid characters")
    return text or None


class TokenFile:
    """A bearer token in a file, as a function for `Client(token=…)`. The file is read for each request.

    White space around the token is removed. After the first successful read, a file that is empty, unreadable
    or missing leaves the token unchanged: a writer can replace it in two steps, and a pipe can be read only
    once. Before that, it raises `PermissionDenied` if the mode of the file forbids reading, else `BadData`.

    * `path`: the file.
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
            _log.debug("%s; sending the previous token", error)
        return self._last

    def _read(self) -> str:
        try:
            with open(self._path, "rb") as file:
                data = file.read(_MAX_SIZE + 1)
        except PermissionError as error:
            raise PermissionDenied(self._path, "permission denied") from error
        except OSError as error:
            raise BadData.from_os_error(self._path, error, "cannot be read") from error
        except ValueError as error:  # a NUL in the path
            raise BadData(repr(self._path), "not a valid file name") from error
        # Decoded without errors, since the text of a decoding error would contain the token.
        token = data.decode("latin-1").strip()
        if not token:
            raise BadData(self._path, "is empty, expected a token")
        if len(data) > _MAX_SIZE or not is_valid_token(token):
            raise BadData(self._path, "contains more than a token, or invalid characters")
        return token
