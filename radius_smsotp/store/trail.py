"""
The ceiling of the audit trail: what anybody can cause without end is summed up.

A request with a made-up `State` costs its sender nothing.  So of the events that are noted (see
`Transaction.note`) some a minute become a line each, and the rest one line together, with their
number.  Each process sums up its own.  What it has not written yet it loses when it is killed: the
numbers of one minute.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from radius_smsotp.model.records import Event

LINES = (600, 60, 20)
"""Events of a kind that become a line each in a minute: of a process, of one client, of one name at
one client.  That is twice the failures which lock an account by default."""

MOST = (5000, 5500)
"""Sums that are kept: by name and client, and by client; what is more is summed up by kind."""

NAMED = 60
"""Accounts that have lines of sums of their own in a minute, those of the highest numbers."""

ALIKE = {"login-refused": "pin-wrong"}
"""Kinds that are counted as one: whether a line is written must not show which of both it is."""

GUESSES = "pin-wrong"
"""A kind that only accounts have: no made-up name is in its way, nor what was not looked at."""

SUMS = "\nsums"
"""What nobody is called: who writes sums makes no login wait."""


class Group(NamedTuple):
    """What is summed up together; `minute` since 1970, `account` and `client` "" for several."""

    minute: int
    kind: str
    reason: str
    client: str
    account: str


class Sum(NamedTuple):
    """How many events, the last one's time, and their station, "" if there were several."""

    number: int
    time: datetime
    station: str

    def plus(self, other: Sum) -> Sum:
        """Both together."""
        station = self.station if self.station == other.station else ""
        return Sum(self.number + other.number, max(self.time, other.time), station)


class Trail:
    """The part of a store that knows how many events of a kind this process has noted lately."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._lines: Counter[tuple[str, ...]] = Counter()
        self._sums: dict[Group, Sum] = {}

    def admits(self, event: Event) -> bool:
        """Whether an event becomes a line of its own; else it is to be counted."""
        # By what was asked for, never by what is known of it: that would show in the time.
        whole = (ALIKE.get(event.kind, event.kind), event.client, event.account)
        keys = [whole[: length + 1] for length in range(len(LINES))]
        with self._lock:
            minute = _minute(event.time)
            if minute != self._minute:
                self._minute = minute
                self._lines.clear()
            if any(self._lines[key] >= most for key, most in zip(keys, LINES, strict=True)):
                return False
            self._lines.update(keys)
            return True

    def count(self, events: Iterable[Event]) -> None:
        """Count events that get no line of their own.  Nothing is written before
        `store.settle`."""
        for one in events:
            reason = str(one.detail.get("reason", ""))
            group = Group(_minute(one.time), one.kind, reason, one.client, one.account)
            self._add(group, Sum(1, one.time, one.station))

    def take(self, now: datetime | None) -> dict[Group, Sum]:
        """The sums of the minutes that are over, of all if it is None; they are here no more."""
        minute = None if now is None else _minute(now)
        with self._lock:
            # A minute that lies ahead is over as well: the clock was set.
            taken = [group for group in self._sums if group.minute != minute]
            return {group: self._sums.pop(group) for group in taken}

    def put_back(self, sums: dict[Group, Sum]) -> None:
        """Keep what could not be written."""
        for group, found in sums.items():
            self._add(group, found)

    def _add(self, group: Group, found: Sum) -> None:
        by_name, by_client = MOST
        with self._lock:
            if group not in self._sums and len(self._sums) >= by_name and group.kind != GUESSES:
                group = group._replace(account="")
            if group not in self._sums and len(self._sums) >= by_client:
                group = group._replace(client="")
            before = self._sums.get(group)
            self._sums[group] = before.plus(found) if before else found


def lines(sums: dict[Group, Sum], known: Collection[str]) -> Iterator[Event]:
    """
    The events that sums come to, in the order of their times.  Pure.

    Args:
        known: Names of which something is known; the others come together in one line.
    """
    merged: dict[Group, Sum] = {}
    ranked = sorted(sums, key=lambda one: (one.kind != GUESSES, -sums[one].number))
    named = set(list(dict.fromkeys(one.account for one in ranked if one.account in known))[:NAMED])
    for group in ranked:
        key = group if group.account in named else group._replace(account="")
        merged[key] = merged[key].plus(sums[group]) if key in merged else sums[group]
    for group, found in sorted(merged.items(), key=lambda item: item[1].time):
        detail: dict[str, str | int | float] = {"reason": group.reason} if group.reason else {}
        one = Event(group.kind, found.time, group.account, "", group.client, found.station)
        yield replace(one, detail={**detail, "more": found.number})


def _minute(time: datetime) -> int:
    return int(time.timestamp()) // 60
