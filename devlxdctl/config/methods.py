"""The methods of the client for config keys, and for files made from them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from devlxdctl.config.keys import KeyReader
from devlxdctl.errors import NotFound
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session

if TYPE_CHECKING:
    from devlxdctl.config.bursts import Burst
    from devlxdctl.config.files import Content, FileOptions, SavedFile
    from devlxdctl.config.watch import KeyWatch
    from devlxdctl.events.watch import Change


class ConfigMethods:
    """Config keys of the instance: to read, to wait for, and to write files from."""

    _session: Session
    _keys: KeyReader

    def _retry(self) -> RetryPolicy:
        raise NotImplementedError

    def config_keys(self, *patterns: str, optional: bool = False) -> list[str]:
        """Return the config keys `user.*` and `cloud-init.*`, those of profiles included, sorted.

        * `patterns`: shell globs over the whole key. A pattern without glob characters names one key.
        * `optional`: leave out named keys that are not set. Without it, they raise `NotFound`.
        """
        retry = self._retry()
        matching, named = self._keys.select(patterns, retry)
        found = {*matching, *(set(named) & set(self._keys.list_keys(retry)) if named else ())}
        # Some keys can be read although the host does not list them.
        unlisted = [key for key in named if key not in found]
        found.update(self._read_named(unlisted, optional, retry))
        return sorted(found)

    def config(self, *patterns: str, optional: bool = False) -> dict[str, str]:
        """Return the config keys with their values, sorted. The arguments are those of `config_keys`.

        Leaves out a key that is unset before it is read, and, with a warning in the log, one that cannot be
        read here.
        """
        retry = self._retry()
        matching, named = self._keys.select(patterns, retry)
        found = self._read_named(named, optional, retry)
        rest = [key for key in matching if key not in found]
        for key, value in self._keys.read_readable(rest, retry):
            if value is not None:
                found[key] = value
        return dict(sorted(found.items()))

    def config_get(self, key: str, *, default: str | None = None) -> str:
        """Return the value of one config key.

        `default` is returned for a key that is not set; without it, that raises `NotFound`. A key that guests
        cannot read raises `PermissionDenied` in any case.
        """
        return self.config_get_many([key], default=default)[key]

    def config_get_many(self, keys: Iterable[str], *, default: str | None = None) -> dict[str, str]:
        """Return the values of `keys`, in their order.

        `default` is the value of keys that are not set; without it, `NotFound` names all of them.
        """
        return self._keys.read_named(list(keys), default, self._retry())

    def watch_config(
        self, *patterns: str, interval: float | None = 60.0, output_fd: int | None = None
    ) -> Iterator[Change[str]]:
        """Yield the values of the config keys with the action `initial`, then every change, for ever.

        Changes of a key that follow each other faster than they can be read become one, to the last value.
        Nothing is missed while the host is unavailable.

        * `patterns`: as for `config_keys`; keys that are not set are waited for.
        * `interval`: seconds between full re-reads, since hosts send no events for `cloud-init.*`; None for
          no re-reads.
        * `output_fd`: raise `BrokenPipeError` as soon as the reader of this descriptor has closed it.
        """
        from devlxdctl.config.watch import watch_config

        return watch_config(self._watch(patterns, interval, output_fd))

    def wait_for_config(
        self, key: str, value: str | None = None, *, gone: bool = False, timeout: float | None = None
    ) -> str | None:
        """Wait until `key` is set, or set to `value`, or not set with `gone`. Return its value.

        * `timeout`: seconds after which it raises `TimedOut`; 0 checks once; None waits for ever.

        The host can be unavailable meanwhile. Without `timeout`, it raises `NoDevLXD` where there is neither
        a socket nor a sign that this is a guest.
        """
        from devlxdctl.config.watch import wait_for_config

        return wait_for_config(self._session, self._keys, key, value, gone, timeout)

    # Files

    def render(self, content: Content, *, optional: bool = False) -> str | None:
        """Return a text with the values of config keys in it.

        * `content`: a `Template`, an `EnvironmentFile` or a `ConfigValue`.
        * `optional`: return None if a key is not set that the text needs. Without it, that raises `NotFound`.
        """
        from devlxdctl.config.files import render

        return render(self._keys, content, optional, self._retry())

    def save_file(
        self, content: Content, path: str | os.PathLike[str], options: FileOptions | None = None
    ) -> SavedFile:
        """Write `content` to a file, and return whether that changed it.

        The file is replaced atomically, with its mode and owner: readers find the old content or the new. One
        with the same content is not touched, but gets this mode and owner. A link at `path` is replaced.

        Raises `NotFound` for keys that are not set, `InvalidRequest` for an unknown owner, `PermissionDenied`
        for an owner that only root can set, and `BadData` if the file cannot be written or the check fails.
        For root, that includes a directory on the way to it that other users can write to.

        >>> client.save_file(ConfigValue("user.tls-key"), "/etc/app/key.pem", FileOptions(mode=0o640))
        SavedFile(path='/etc/app/key.pem', changed=True)
        """
        from devlxdctl.config.files import FileOptions, save_file

        return save_file(self._keys, content, os.fspath(path), options or FileOptions(), self._retry())

    def watch_file(
        self,
        content: Content,
        path: str | os.PathLike[str],
        options: FileOptions | None = None,
        *,
        interval: float | None = 60.0,
    ) -> Iterator[SavedFile]:
        """Write `content` to a file as `save_file` does, and again whenever its keys change, for ever.

        Yields the result of the first time, and then each that changed the file: one for an update of several
        keys. Changes while the caller is busy are one afterwards. Nothing is missed while the host is
        unavailable. Raises what is wrong at the start, but not a failed check; later failures are logged, and
        the file is left as it is until the next attempt.

        * `interval`: seconds between full re-reads, as for `watch_config`. The file is then compared, too.
        """
        from devlxdctl.config.bursts import watch_bursts
        from devlxdctl.config.files import FileOptions, watch_file, watched_patterns

        bursts = watch_bursts(self._watch(watched_patterns(content), interval, None))
        return watch_file(self._keys, content, os.fspath(path), options or FileOptions(), bursts)

    def watch_bursts(
        self,
        *patterns: str,
        optional: bool = False,
        interval: float | None = 60.0,
        output_fd: int | None = None,
    ) -> Iterator[Burst]:
        """Yield the values of the config keys, and then a burst for each update of any number of keys.

        As `watch_config`, but changes that follow each other closely are one burst.

        * `optional`: accept patterns without glob characters that are not set. Otherwise, such a key raises
          `NotFound` at the start; later, it is logged, and nothing is yielded until it is set again.
        """
        from devlxdctl.config.bursts import changed_bursts, watch_bursts

        bursts = watch_bursts(self._watch(patterns, interval, output_fd))
        return changed_bursts(self._keys, bursts, () if optional else patterns)

    def _watch(self, patterns: Sequence[str], interval: float | None, output_fd: int | None) -> KeyWatch:
        from devlxdctl.config.watch import KeyWatch

        return KeyWatch(self._session, self._keys, patterns, self._retry(), interval, output_fd)

    def _read_named(self, keys: Sequence[str], optional: bool, retry: RetryPolicy) -> dict[str, str]:
        """The values of `keys`, without those that are not set if `optional`."""
        try:
            return self._keys.read_named(keys, None, retry)
        except NotFound:
            if not optional:
                raise
        return {key: value for key, value in self._keys.read_readable(keys, retry) if value is not None}
