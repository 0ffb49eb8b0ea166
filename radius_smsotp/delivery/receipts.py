"""Receipts: the network's word on what became of an attempt."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import NamedTuple

MOST = 10_000
"""Receipts that are kept; the oldest is forgotten for one more."""

KEPT_SECONDS = 120.0
"""For how long a receipt is kept whose attempt is not in the store yet: no send takes longer."""

AGAIN_SECONDS = 1.0
"""After which the store is asked once more for its attempt, then after twice that, and so on."""


class Receipt(NamedTuple):
    """
    What a network says of a message that a provider took.

    Attributes:
        delivered: Whether all of it has arrived.
        words: The network's own.
    """

    delivered: bool
    words: str


class _Kept(NamedTuple):
    """A receipt, since when it is kept, and when to ask for its attempt (`time.monotonic()`)."""

    since: float
    again: float
    receipt: Receipt


class EarlyReceipts:
    """
    Receipts that were faster than the record of their attempt, or that are not ours.

    An SMSC may send the answer to a message and its receipt in one breath, and they are taken by
    different threads, or by different servers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()

    def keep(self, provider: str, provider_id: str, receipt: Receipt) -> None:
        """Keep a receipt that no attempt in the store is known by."""
        with self._lock:
            now = time.monotonic()
            self._kept[provider, provider_id] = _Kept(now, now + AGAIN_SECONDS, receipt)
            self._kept.move_to_end((provider, provider_id))
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)

    def __contains__(self, attempt: tuple[str, str]) -> bool:
        """Whether there is one, by provider and id."""
        with self._lock:
            return attempt in self._kept

    def take(self, provider: str, provider_id: str) -> Receipt | None:
        """The receipt of an attempt that has just been recorded, if it has come already."""
        with self._lock:
            found = self._kept.pop((provider, provider_id), None)
        if found is None or time.monotonic() - found.since >= KEPT_SECONDS:
            return None
        return found.receipt

    def due(self) -> list[tuple[str, str]]:
        """Provider and id of those whose attempt another process may have recorded meanwhile."""
        now, found = time.monotonic(), []
        with self._lock:
            for key, one in [*self._kept.items()]:
                if now >= one.since + KEPT_SECONDS:
                    del self._kept[key]
                elif one.again <= now:
                    self._kept[key] = one._replace(again=2 * now - one.since)
                    found.append(key)
        return found
