"""
What providers have taken from this process, whatever the store says of it.

What a courier records waits for no standby, so a fail-over may lose it, and the message would be
found unsent, and sent once more.
"""

from __future__ import annotations

import threading
from datetime import datetime

from radius_smsotp.model.records import Attempt, Challenge, Message
from radius_smsotp.store.transaction import Transaction

SPARE = 1000
"""Of attempts whose codes have come to their end; after more, they are forgotten."""


class Departures:
    """Of each message that has left, or may have: the last attempt, while its code lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempts: dict[tuple[str, int], tuple[Attempt, datetime]] = {}
        self._most = SPARE

    def add(self, challenge: Challenge, message: Message, attempt: Attempt, now: datetime) -> None:
        """A provider has taken a message: before that is recorded."""
        with self._lock:
            self._attempts[message.key] = attempt, challenge.expires_at
            if len(self._attempts) > self._most:
                alive = {key: one for key, one in self._attempts.items() if one[1] > now}
                self._attempts, self._most = alive, 2 * len(alive) + SPARE

    def lost(self, tx: Transaction, message: Message) -> Attempt | None:
        """What has become of a message that waits, if the store has forgotten that."""
        with self._lock:
            attempt, _ = self._attempts.get(message.key, (None, None))
        if attempt is None:
            return None
        known = tx.attempts(message.transaction_id)
        found = {(number, one.provider, one.verdict) for number, one in known}
        return None if (message.number, attempt.provider, attempt.verdict) in found else attempt
