"""Which challenge a delivery receipt is about: receipts name the message only."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from radius_smsotp.model.records import Challenge

MOST = 10_000
"""Messages that are remembered; the oldest is forgotten for one more."""

EARLY = 120.0
"""Seconds for which a report is kept that nobody expects yet: no send takes longer."""


class _Early(NamedTuple):
    """A report, and when it came (`time.monotonic()`)."""

    at: float
    delivered: bool
    words: str


class Reports:
    """
    The messages of this process that a report may still come for.

    A report may be faster than the receipt of its message: an SMSC may send both in one breath,
    and they are taken by different threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._awaited: OrderedDict[tuple[str, str], Challenge] = OrderedDict()
        self._early: OrderedDict[tuple[str, str], _Early] = OrderedDict()

    def expect(
        self, provider: str, message_id: str, challenge: Challenge
    ) -> list[tuple[bool, str]]:
        """
        Remember whose message that is, as the delivery stands now.

        Returns:
            The report that has come already, if there is one: delivered or not, and the words.
        """
        with self._lock:
            self._awaited[provider, message_id] = challenge
            if len(self._awaited) > MOST:
                self._awaited.popitem(last=False)
            early = self._early.pop((provider, message_id), None)
        if early is None or time.monotonic() - early.at >= EARLY:
            return []
        return [(early.delivered, early.words)]

    def take(self, provider: str, message_id: str, delivered: bool, words: str) -> Challenge | None:
        """The challenge of a message, once; None if nobody expects its report, or not yet."""
        with self._lock:
            found = self._awaited.pop((provider, message_id), None)
            if found is None:
                self._early[provider, message_id] = _Early(time.monotonic(), delivered, words)
                if len(self._early) > MOST:
                    self._early.popitem(last=False)
            return found
