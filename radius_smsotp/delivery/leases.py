"""The leases of messages: who sends one, for how long nobody else may, and whose have run out."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from radius_smsotp.delivery.chain import Chain
from radius_smsotp.model.records import Message

WATCHED_MOST = 1000
"""Leases of other hosts beside which others are looked at."""

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
        self._watched: dict[str, Watched] = {}

    @property
    def watched(self) -> int:
        """How many leases of other hosts have run out, and are watched; up to `WATCHED_MOST`."""
        return min(len(self._watched), WATCHED_MOST)

    def end(self, now: datetime, route: tuple[str, ...]) -> datetime:
        """When a lease ends that begins now."""
        return now + self._length(route)

    def left_behind(
        self, found: Iterable[Message], under_way: Container[tuple[str, int]]
    ) -> list[Message]:
        """
        Those messages, out of some whose lease has run out, that nobody sends.

        Args:
            under_way: The keys of those that this courier sends all the same: the clock may have
                jumped ahead.
        """
        others = [one for one in found if one.key not in under_way]
        now = self._chain.passed()
        due, self._watched = sort_out(others, self._host, self._watched, self._length, now)
        return due

    def _length(self, route: tuple[str, ...]) -> timedelta:
        return timedelta(seconds=self._chain.longest(route) + MARGIN)


@dataclass(frozen=True, slots=True)
class Watched:
    """
    A lease of another host that has run out by the clock of this one.

    Attributes:
        since: When it was first seen so: time that has passed since some start.
    """

    message: Message
    since: timedelta


def sort_out(
    found: Iterable[Message],
    host: str,
    watched: Mapping[str, Watched],
    length: Callable[[tuple[str, ...]], timedelta],
    now: timedelta,
) -> tuple[list[Message], dict[str, Watched]]:
    """
    Tell who has left a message behind from whose clock is behind.

    Of a lease that another host holds its length is believed, not its end: that is by a clock which
    may differ.  It is over once it was seen unchanged for so long.

    Args:
        found: Messages that wait, their lease run out by the clock of this host.
        host: The name of this host, with which its owners of leases begin.
        watched: What was returned the last time, by transaction_id.
        length: How long the lease of a message with this route is.
        now: Time that has passed since some start, on a clock that nobody sets.

    Returns:
        What may be taken up, and what is to be watched.
    """
    due: list[Message] = []
    seen: dict[str, Watched] = {}
    for message in found:
        owner = message.lease_owner
        if owner is None or owner.startswith(f"{host}:"):
            due.append(message)
            continue
        one = watched.get(message.transaction_id)
        if one is None or one.message != message:
            one = Watched(message, now)
        if now - one.since >= length(message.route):
            due.append(message)
        else:
            seen[message.transaction_id] = one
    return due, seen


def postpone(message: Message, now: datetime, wait: float) -> Message:
    """A message that is left to whoever finds it when its time has come."""
    at = now + timedelta(seconds=wait)
    return replace(message, not_before=at, lease_owner=None, lease_until=at)


def due_in(message: Message, now: datetime) -> float:
    """Seconds until the time of a message has come."""
    return max(((message.not_before or now) - now).total_seconds(), 0.0)
