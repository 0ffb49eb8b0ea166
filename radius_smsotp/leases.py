"""The leases of messages: who sends one, for how long nobody else may, and whose have run out."""

from __future__ import annotations

import os
import secrets
import socket
from datetime import timedelta
from typing import TYPE_CHECKING

from radius_smsotp.core import lease

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from datetime import datetime

    from radius_smsotp.chain import Chain
    from radius_smsotp.core.model import Challenge

MARGIN = 5.0
"""Seconds by which a lease outlives the attempt it is for, so that no two processes send."""


class Leases:
    """
    The leases of one courier, and what it sees of those of others.

    Attributes:
        owner: What stands in the leases of this courier.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._host = socket.gethostname()
        self.owner = f"{self._host}:{os.getpid()}:{secrets.token_hex(4)}"
        self._watched: dict[str, lease.Watched] = {}

    def end(self, now: datetime, route: tuple[str, ...]) -> datetime:
        """When a lease ends that begins now."""
        return now + self._length(route)

    def left_behind(self, found: Iterable[Challenge], under_way: Container[str]) -> list[Challenge]:
        """
        Those messages, out of some whose lease has run out, that nobody sends.

        Args:
            under_way: The transaction_ids of those that this courier sends all the same: the clock
                may have jumped ahead.
        """
        others = [one for one in found if one.transaction_id not in under_way]
        now = self._chain.passed()
        due, self._watched = lease.sort_out(others, self._host, self._watched, self._length, now)
        return due

    def _length(self, route: tuple[str, ...]) -> timedelta:
        return timedelta(seconds=self._chain.longest(route) + MARGIN)
