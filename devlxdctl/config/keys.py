"""Listing and reading config keys."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import quote

from devlxdctl.errors import (
    DevLXDError,
    InvalidRequest,
    NotFound,
    NotSupported,
    PermissionDenied,
    UnexpectedResponse,
)
from devlxdctl.http.endpoints import CONFIG, CONFIG_KEY
from devlxdctl.http.messages import Request, Response
from devlxdctl.http.parallel import as_completed
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session

_log: Final = logging.getLogger(__name__)

NAMESPACES: Final = ("user.", "cloud-init.")
"""The beginnings of the keys that guests can read."""

_ENTRY: Final = "/1.0/config/"
_DECODED_TWICE: Final = "keys with % or / cannot be read in a virtual machine"
_SUGGESTIONS: Final = 3


def is_glob(pattern: str) -> bool:
    """Whether `pattern` has glob characters. Without any, it names one key."""
    return re.search(r"[*?[]", pattern) is not None


def escape_glob(key: str) -> str:
    """Return the pattern that only `key` matches: itself, unless it has glob characters."""
    return re.sub(r"([*?[])", r"[\1]", key)


def matches(key: str, patterns: Sequence[str]) -> bool:
    """Whether `key` matches one of `patterns`: keys, or shell globs over the whole key."""
    from fnmatch import fnmatchcase

    return any(fnmatchcase(key, each) if is_glob(each) else key == each for each in patterns)


class KeyReader:
    """Reads the config keys of the instance. `instance_type` returns the field of the state of that name."""

    def __init__(self, session: Session, instance_type: Callable[[RetryPolicy], str]) -> None:
        self._session = session
        self._instance_type = instance_type
        self._warned: set[str] = set()

    def list_keys(self, retry: RetryPolicy) -> list[str]:
        """Return the keys that the host lists, sorted."""
        entries = self._session.get_json(CONFIG, list, retry)
        if not all(isinstance(entry, str) and entry.startswith(_ENTRY) for entry in entries):
            raise UnexpectedResponse("/1.0/config", "response is not a list of config keys", http_status=200)
        return sorted({entry.removeprefix(_ENTRY) for entry in entries})

    def select(
        self, patterns: Sequence[str], retry: RetryPolicy, *, optional: bool = False
    ) -> tuple[list[str], list[str]]:
        """Return the keys that match a glob of `patterns`, and the keys that stand in it, both sorted.

        Without patterns, every listed key is in the first list.
        """
        named = sorted({each for each in patterns if not is_glob(each)})
        globs = [each for each in patterns if is_glob(each)]
        listed = self.list_keys(retry) if globs or not patterns else []
        return [key for key in listed if not patterns or matches(key, globs)], named

    def read(self, key: str, retry: RetryPolicy) -> str:
        """Return the value of `key`. Raises `NotFound` if it is not set."""
        if key in ("", ".", "..") or not _is_encodable(key):
            raise InvalidRequest(f"config key {key!r}", "not a valid name")
        if self._is_decoded_twice(key, retry):
            raise NotSupported(key, _DECODED_TWICE)
        path = _ENTRY + quote(key, safe="", errors="surrogateescape")
        return text_of(self._session.send(Request("GET", path, CONFIG_KEY, object=key), retry), key)

    def read_named(self, keys: Sequence[str], default: str | None, retry: RetryPolicy) -> dict[str, str]:
        """Return the values of `keys`, in their order, with `default` for those that are not set.

        Without a default, raises `NotFound` that names every key that is not set.
        """
        found = dict(self._read_each(keys, retry))
        missing = [key for key in dict.fromkeys(keys) if found[key] is None]
        if missing and default is None:
            raise self.not_set(missing, retry)
        return {key: _or_default(found[key], default) for key in dict.fromkeys(keys)}

    def read_readable(self, keys: Iterable[str], retry: RetryPolicy) -> Iterator[tuple[str, str | None]]:
        """Yield each of `keys` with its value, None where it is not set, in the order of the responses.

        Leaves out keys that cannot be read here, with a warning in the log.
        """
        yield from self._read_each([key for key in keys if self._is_readable(key, retry)], retry)

    def read_following(
        self, keys: Iterable[str], retry: RetryPolicy, list_retry: RetryPolicy
    ) -> Iterator[tuple[str, str | None]]:
        """As `read_readable`, where the API can be switched off meanwhile.

        Status 403 means either that, or that the host forbids this one key. So the list of keys is read, with
        `list_retry`, which can wait for the API: a key that is forbidden after that is left out.
        """

        def read(key: str) -> str | None:
            for is_last in (False, True):
                try:
                    return self.read(key, retry)
                except NotFound:
                    return None
                except PermissionDenied as error:
                    if error.http_status != 403:
                        raise
                    if is_last:
                        self._warn_once(key, f"{error.problem}; skipped")
                        return None
                    self.list_keys(list_retry)
            raise AssertionError("the loop returns or raises")

        return as_completed(read, [key for key in keys if self._is_readable(key, retry)])

    def not_set(self, keys: Sequence[str], retry: RetryPolicy) -> NotFound:
        """The error for `keys` that are not set, with similar keys that are set."""
        hint = self._session.hint(CONFIG_KEY, 404, object=keys[0])
        if "=" in keys[0]:  # the clients of the host would split it there
            hint = self._session.hint(CONFIG_KEY, "edit-config")
        similar = self._similar(keys[0], retry)
        if similar:
            hint = f"did you mean {' or '.join(similar)}?"
        return not_set(keys, hint)

    def explain(self, error: PermissionDenied, key: str, retry: RetryPolicy) -> PermissionDenied:
        """`error` about `key` with a hint that fits a key that guests cannot read."""
        if error.http_status == 403 and not key.startswith(NAMESPACES):
            similar = self._similar(key, retry)
            forbidden = self._session.hint(CONFIG_KEY, 403)
            error.hint = f"did you mean {' or '.join(similar)}?" if similar else forbidden
        return error

    def _similar(self, key: str, retry: RetryPolicy) -> list[str]:
        """The keys that are set and have a name similar to `key`; empty where they cannot be listed."""
        from difflib import get_close_matches

        try:
            listed = self.list_keys(retry)
        except DevLXDError:
            return []
        if f"user.{key}" in listed:
            return [f"user.{key}"]
        return get_close_matches(key, listed, _SUGGESTIONS, cutoff=0.8)

    def _read_each(self, keys: Sequence[str], retry: RetryPolicy) -> Iterator[tuple[str, str | None]]:
        def read(key: str) -> str | None:
            try:
                return self.read(key, retry)
            except NotFound:
                return None
            except PermissionDenied as error:
                raise self.explain(error, key, retry) from None

        return as_completed(read, list(dict.fromkeys(keys)))

    def _is_readable(self, key: str, retry: RetryPolicy) -> bool:
        if key in ("", ".", "..") or not _is_encodable(key):
            self._warn_once(key, "not a valid name; skipped")
            return False
        if self._is_decoded_twice(key, retry):
            self._warn_once(key, _DECODED_TWICE)
            return False
        return True

    def _warn_once(self, key: str, problem: str) -> None:
        if key not in self._warned:
            self._warned.add(key)
            _log.warning("%s: %s", key or repr(key), problem)

    def _is_decoded_twice(self, key: str, retry: RetryPolicy) -> bool:
        """Whether the agent of a virtual machine percent-decodes `key` twice.

        It would answer with nothing, or with the value of another key.
        """
        return ("%" in key or "/" in key) and self._instance_type(retry) == "virtual-machine"


def not_set(keys: Sequence[str], hint: str | None = None) -> NotFound:
    """The error for `keys` that are not set."""
    return NotFound(", ".join(keys), CONFIG_KEY.missing, hint=hint, http_status=404)


def text_of(response: Response, subject: str) -> str:
    """Return the body of a raw value as text. Raises `UnexpectedResponse` for another content type."""
    if response.media_type != CONFIG_KEY.content_type:
        problem = f"unexpected content type {response.media_type or 'none'}"
        raise UnexpectedResponse(subject, problem, http_status=200)
    return response.body.decode("utf-8", "surrogateescape")


def _or_default(value: str | None, default: str | None) -> str:
    if value is not None:
        return value
    return default or ""


def _is_encodable(key: str) -> bool:
    """Whether UTF-8 can encode `key`: JSON can contain single surrogates."""
    try:
        key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True
