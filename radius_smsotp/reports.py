"""Which challenge a delivery report is about: reports come later, and name the message only."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from radius_smsotp.core.model import Challenge

MOST = 10_000
"""Messages that are remembered; the oldest is forgotten for one more."""


class Reports:
    """The messages of this process that a report may still come for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._awaited: OrderedDict[tuple[str, str], Challenge] = OrderedDict()

    def expect(self, provider: str, message_id: str, challenge: Challenge) -> None:
        """Remember whose message that is, as the delivery stands now."""
        with self._lock:
            self._awaited[provider, message_id] = challenge
            if len(self._awaited) > MOST:
                self._awaited.popitem(last=False)

    def take(self, provider: str, message_id: str) -> Challenge | None:
        """The challenge of a message, once."""
        with self._lock:
            return self._awaited.pop((provider, message_id), None)
