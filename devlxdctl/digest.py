"""SHA-256 in a thread of its own, so that a stream is hashed while it is fetched and written."""

from __future__ import annotations

import hashlib
import queue
import threading
from types import TracebackType
from typing import Final

_DEPTH: Final = 2  # pieces that are not hashed yet; more would only take memory
_LAST_MOMENT: Final = 1.0  # seconds for the thread to end where its work is not wanted any more


class Digest:
    """The SHA-256 of what it is given. A context, at whose end the thread has ended.

    Used by one thread, in which a signal may raise at any time: nothing here waits for a lock that the raise
    could have left locked.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(_DEPTH):
            self._room.put(None)
        self._dropped = False
        self._thread = threading.Thread(target=self._run, name="devlxdctl-digest", daemon=True)

    def __enter__(self) -> Digest:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dropped = True
        self._pieces.put(None)
        self._thread.join(_LAST_MOMENT)

    def update(self, piece: bytes) -> None:
        """Adds a piece. Waits while too many are not hashed yet."""
        self._room.get()
        self._pieces.put(piece)

    def hexdigest(self) -> str:
        """The digest of all that was added. Nothing can be added any more."""
        self._pieces.put(None)
        self._thread.join()
        return self._hash.hexdigest()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if not self._dropped:
                self._hash.update(piece)
            self._room.put(None)
