"""What is on the disk already of what was committed: who waits for the disk waits together."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Durability:
    """
    The part of a store that counts what one process commits, and how far that survives a power cut.

    A disk takes its time for a sync, whatever there is to sync.  Those who come meanwhile share
    the next one.

    Args:
        flush: Makes durable whatever was committed before it was called.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._counting = threading.Lock()
        self._syncing = threading.Lock()
        self._committed = 0
        self._durable = 0

    @property
    def position(self) -> int:
        """See `Store.position`: the number of the last commit."""
        return self._committed

    def committed(self) -> None:
        """There was a commit; its number is `position` or below from now on."""
        with self._counting:
            self._committed += 1

    def sync(self, position: int) -> None:
        """See `Store.sync`.  Where it fails, those who wait behind try by themselves."""
        with self._syncing:
            if self._durable < position:
                reached = self._committed
                self._flush()
                self._durable = reached
