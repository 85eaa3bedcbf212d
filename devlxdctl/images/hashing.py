"""SHA-256 in a thread of its own, so that an image is hashed while it is downloaded and written."""

from __future__ import annotations

import hashlib
import queue
import threading
from types import TracebackType
from typing import Final

_MAX_PENDING: Final = 2  # pieces not hashed yet; more would only take memory
_JOIN_TIMEOUT: Final = 1.0  # seconds for the thread to end when its result is not needed


class Sha256Thread:
    """The SHA-256 of the pieces it gets. A context manager, at whose end the thread has ended.

    Used by one thread, in which a signal handler can raise at any time. So nothing here waits for a lock that
    such an exception could have left locked. Where no thread can be started, the pieces are hashed at once.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(_MAX_PENDING):
            self._free.put(None)
        self._cancelled = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Sha256Thread:
        thread = threading.Thread(target=self._run, name="devlxdctl-sha256", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the limit of threads
            return self
        self._thread = thread
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cancelled = True
        self._pieces.put(None)
        if self._thread is not None:
            self._thread.join(_JOIN_TIMEOUT)

    def update(self, piece: bytes) -> None:
        """Add a piece. Waits while too many are not hashed yet."""
        if self._thread is None:
            self._hash.update(piece)
            return
        self._free.get()
        self._pieces.put(piece)

    def hexdigest(self) -> str:
        """Return the digest of all pieces. Nothing can be added any more."""
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()
        return self._hash.hexdigest()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if not self._cancelled:
                self._hash.update(piece)
            self._free.put(None)
