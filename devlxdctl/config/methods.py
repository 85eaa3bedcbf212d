"""The methods of the client for files made from config keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from devlxdctl.config.keys import KeyReader
from devlxdctl.http.retry import RetryPolicy
from devlxdctl.http.session import Session

if TYPE_CHECKING:
    from devlxdctl.config.bursts import Burst
    from devlxdctl.config.files import Content, FileOptions, SavedFile


class FileMethods:
    """The part of `Client` that writes files."""

    _session: Session
    _keys: KeyReader

    def _retry(self) -> RetryPolicy:
        raise NotImplementedError

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

        patterns = watched_patterns(content)
        bursts = watch_bursts(self._session, self._keys, patterns, interval, None, self._retry())
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

        retry = self._retry()
        bursts = watch_bursts(self._session, self._keys, patterns, interval, output_fd, retry)
        return changed_bursts(self._keys, bursts, () if optional else patterns)
