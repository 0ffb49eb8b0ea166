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


class Receipt(NamedTuple):
    """
    What a network says of a message that a provider took.

    Attributes:
        delivered: Whether all of it has arrived.
        words: The network's own.
    """

    delivered: bool
    words: str


class EarlyReceipts:
    """
    Receipts that were faster than the record of their attempt, or that are not ours.

    An SMSC may send the answer to a message and its receipt in one breath, and they are taken by
    different threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[float, Receipt]] = OrderedDict()

    def keep(self, provider: str, provider_id: str, receipt: Receipt) -> None:
        """Keep a receipt that no attempt in the store is known by."""
        with self._lock:
            self._kept[provider, provider_id] = (time.monotonic(), receipt)
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
        if found is None or time.monotonic() - found[0] >= KEPT_SECONDS:
            return None
        return found[1]
